"""Arrow arrays straight from numbers and texts, by their buffers.

`pa.array` looks whether its argument is something of pandas, and for that imports pandas wherever it is installed: that
alone takes longer than a small export.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

# Where the 32 digits of a UUID stand in its text, between its hyphens.
_DIGITS = [slice(0, 8), slice(9, 13), slice(14, 18), slice(19, 23), slice(24, 36)]
_ID_CHARACTERS = 36
_STORED = {pa.date32(): np.dtype(np.int32)}


def numbers(values: Any, kind: pa.DataType, is_missing: Any = None) -> pa.Array:
    """An array of whole numbers as integers, truths, days since 1970 or microseconds since then.

    `is_missing`: an array of truths, where the value is null; None: nowhere.
    """
    if pa.types.is_boolean(kind):
        data: Any = np.packbits(values != 0, bitorder="little")
    else:
        data = np.ascontiguousarray(values, _STORED.get(kind, np.dtype(np.int64)))
    return pa.Array.from_buffers(kind, len(values), [_validity(is_missing), pa.py_buffer(data)])


def numbers_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """The same of a list that may hold None."""
    is_missing = None
    if None in values:
        is_missing = np.fromiter((value is None for value in values), np.bool_, len(values))
        values = [0 if value is None else value for value in values]
    return numbers(np.fromiter(values, np.int64, len(values)), kind, is_missing)


def texts(values: Sequence[str | None]) -> pa.Array:
    """An array of texts; None is null."""
    is_missing = None
    if None in values:
        is_missing = np.fromiter((value is None for value in values), np.bool_, len(values))
        values = [value or "" for value in values]
    data = [str(value).encode() for value in values]
    offsets = np.zeros(len(data) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, data), np.int32, len(data)), out=offsets[1:])
    buffers = [_validity(is_missing), pa.py_buffer(offsets), pa.py_buffer(b"".join(data))]
    return pa.Array.from_buffers(pa.string(), len(data), buffers)


def ids(data: bytes, *, zeros_are_null: bool) -> pa.Array:
    """UUIDs, 16 bytes each, as text."""
    raw = np.frombuffer(data, np.uint8).reshape(-1, 16)
    is_missing = ~raw.any(axis=1) if zeros_are_null else np.zeros(len(raw), np.bool_)
    return _hyphened(data.hex(), is_missing)


def ids_of(values: Sequence[str | None]) -> pa.Array:
    """UUIDs, 32 digits each, as text; None is null."""
    zeros = "0" * 32
    digits = "".join([value or zeros for value in values])
    return _hyphened(digits, np.fromiter((value is None for value in values), np.bool_, len(values)))


def _hyphened(digits: str, is_missing: Any) -> pa.Array:
    count = len(is_missing)
    given = np.frombuffer(digits.encode(), np.uint8).reshape(count, 32)
    text = np.full((count, _ID_CHARACTERS), ord("-"), np.uint8)
    for n, at in enumerate(_DIGITS):
        text[:, at] = given[:, at.start - n : at.stop - n]
    offsets = np.arange(0, _ID_CHARACTERS * (count + 1), _ID_CHARACTERS, dtype=np.int32)
    buffers = [_validity(is_missing), pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), count, buffers)


def _validity(is_missing: Any) -> pa.Buffer | None:
    if is_missing is None or not is_missing.any():
        return None
    return pa.py_buffer(np.packbits(~is_missing, bitorder="little"))
