"""The packages are importable as they are, from this checkout and nowhere else."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["calls", "engines", "crm", "ingest", "analytics", "runtime", "workers", "web", "cli", "samples"]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_resolves_inside_the_checkout(name):
    assert Path(importlib.import_module(name).__file__).parent == ROOT / name
