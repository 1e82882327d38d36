"""tools/setup_environment.sh where it has nothing to install: what it finds ready, and how it refuses."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "cat", "cksum", "dirname", "id", "rm")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script reads, in a folder with a space."""
    folder = tmp_path / "a checkout"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "setup_environment.sh", folder / "tools")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with a shell and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return str(folder)


def run(checkout: Path, *parts: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [checkout / "tools" / "setup_environment.sh", *parts],
        env={"PATH": os.environ["PATH"], **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def make_ready(checkout: Path, part: str) -> None:
    """An environment as the script leaves it, but for its Python, which does nothing and says so."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    python = checkout / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\necho asked to install >&2\nexit 1\n")
    python.chmod(0o755)
    checksum = subprocess.run(
        "cat pyproject.toml tools/setup_environment.sh | cksum",
        shell=True,
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (checkout / ".venv" / f".ready-{part}").write_text(f"{checkout.resolve()} {checksum}")
    (checkout / ".venv" / ".made-in").write_text(f"{checkout.resolve()}\n")


def test_an_environment_that_is_ready_is_left_alone_in_silence(checkout, bare_path):
    make_ready(checkout, "base")
    before = sorted((path, path.lstat().st_mtime_ns) for path in (checkout / ".venv").rglob("*"))
    ready = run(checkout, "base", PATH=bare_path)
    assert (ready.returncode, ready.stdout, ready.stderr) == (0, "", "")
    assert sorted((path, path.lstat().st_mtime_ns) for path in (checkout / ".venv").rglob("*")) == before


def test_another_part_is_installed(checkout, bare_path):
    make_ready(checkout, "base")
    assert "asked to install" in run(checkout, "dev", PATH=bare_path).stderr


def test_another_pyproject_is_installed(checkout, bare_path):
    make_ready(checkout, "base")
    with (checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n# one more line\n")
    assert "asked to install" in run(checkout, "base", PATH=bare_path).stderr


def test_an_environment_that_was_moved_is_made_anew(checkout, bare_path):
    make_ready(checkout, "base")
    moved = run(checkout.rename(checkout.with_name("moved")), "base", PATH=bare_path)
    # There is no Python to make it with.
    assert "no Python 3.11 or newer found" in moved.stderr


def test_a_machine_without_python_is_told_what_to_install_in_one_line(checkout, bare_path):
    refused = run(checkout, PATH=bare_path)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "apt-get install python3 python3-venv" in refused.stderr
    assert "brew install" in refused.stderr


def test_a_python_that_does_not_suit_is_refused_by_name_and_nothing_is_removed(checkout):
    make_ready(checkout, "base")
    refused = run(checkout, PYTHON="/bin/false")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "PYTHON=/bin/false" in refused.stderr
    assert (checkout / ".venv" / "bin" / "python").exists()
