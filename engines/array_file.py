"""Models of our own as files: a zip of plain arrays and what is said about them, read without pickle."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from calls.errors import TerminalError

# numpy's arrays by name.
Arrays = Mapping[str, Any]


class UnreadableModel(TerminalError):
    """What lies in a model's place is none, or of another version of Callwise."""

    code = "unreadable_model"


def to_bytes(about: Mapping[str, Any], arrays: Arrays) -> bytes:
    """The file; `about` is kept as JSON."""
    file = io.BytesIO()
    told = np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), dtype=np.uint8)
    np.savez_compressed(file, about=told, **arrays)
    return file.getvalue()


@contextmanager
def reading(
    content: bytes, *, version: int, most_bytes: int, otherwise: str
) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """What is said and the arrays of a file that `to_bytes` made, with that `format`.

    Raises UnreadableModel(`otherwise`) for anything else, for one that would fill more than `most_bytes`, and where the
    block finds by a ValueError, KeyError, TypeError or IndexError that it is none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            if sum(part.file_size for part in parts.infolist()) > most_bytes:
                raise ValueError
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about: dict[str, Any] = json.loads(arrays["about"].tobytes())
            if about["format"] != version:
                raise ValueError
            yield about, arrays
    except (ValueError, KeyError, TypeError, IndexError, OSError, EOFError, zipfile.BadZipFile):
        raise UnreadableModel(otherwise) from None
