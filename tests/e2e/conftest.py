"""One demo for all end-to-end tests: the bundled recordings through the embedded set-up."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import callwise_json, environment


@dataclass(frozen=True)
class Demo:
    """A finished demo: its home, the environment to ask it questions, and what it said of itself."""

    home: Path
    environment: dict[str, str]
    outcome: dict[str, Any]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`callwise demo --exit`, run once, in a home whose path has spaces."""
    home = tmp_path_factory.mktemp("a demo's home") / "home of the demo"
    asked = environment(home, CALLWISE_WEB__PORT="0")
    outcome = callwise_json("demo", "--exit", "--home", str(home), environment=asked)
    return Demo(home, asked, outcome)
