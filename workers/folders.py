"""The folders that steps work in."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calls.errors import DiskFull


@contextmanager
def private_folder(scratch: Path) -> Iterator[Path]:
    """An empty folder of this step's own, gone afterwards. Raises DiskFull when there is no room to work in."""
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(f"no space left at {scratch}: free some") from error
        raise
