"""PostgreSQL's binary COPY as Arrow batches, a column at a time instead of a row at a time.

The columns are asked for in an order that makes them cheap to read. First those that are never null and of one size:
the beginnings of all rows of a batch are then one array of records, which numpy takes apart. The columns that hold
0 or 1 travel as the bits of one number. Last the texts and what may be null: few different ends of rows occur in a
batch, and each is read once.

COPY TO sends one message per row (PostgreSQL, "Message Formats", CopyData).
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from analytics.export_tables import ExportTable
from calls.errors import CallwiseError
from crm.tables import UtcDateTime

# "PGCOPY\n\xff\r\n\0", flags and the length of an extension that no version has.
_HEADER_BYTES = 19
_END = b"\xff\xff"
_BITS = 62
# PostgreSQL counts from 2000-01-01.
_EPOCH_US = 946_684_800_000_000
_EPOCH_DAYS = np.int32(10_957)
_NO_ID = UUID(int=0)
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.dtype("S2"))
# Where the bytes of a UUID stand in its text, and where its hyphens do.
_AT_BYTES = (0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34)
_AT_HYPHENS = [8, 13, 18, 23]


class NotAFlag(CallwiseError):
    """A column that is to hold 0 or 1 holds something else: the file would be wrong, so that none is written."""

    code = "not_a_flag"


@dataclass(frozen=True)
class _Fixed:
    """A column of one size: its numpy type in the row, and how its array becomes an Arrow array."""

    column: sa.ColumnElement[Any]
    dtype: str
    read: Callable[[Any], pa.Array]


def copied(
    connection: sa.Connection, table: ExportTable, wanted: pa.Schema, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """The rows of the table in batches, in the order in which they lie in the database.

    Within the connection's transaction, and so in its view of the database. Raises NotAFlag.
    """
    if table.select is None:
        raise ValueError(f"{table.name} does not come from the database")
    columns = list(table.select.selected_columns)
    flags = [column for column in columns if column.name in table.flags]
    fixed = [found for column in columns if column.name not in table.flags and (found := _fixed(column))]
    taken = {found.column.name for found in fixed} | table.flags
    ends = [column for column in columns if column.name not in taken]
    words = [flags[start : start + _BITS] for start in range(0, len(flags), _BITS)]
    layout = _Layout(
        fixed=fixed,
        words=[[column.name for column in word] for word in words],
        ends=[(column.name, _end_reader(column)) for column in ends],
    )
    asked = [
        *(_asked(found.column) for found in fixed),
        *(_packed(word) for word in words),
        *([_seen(flags)] if flags else []),
        *ends,
    ]
    select = table.select.with_only_columns(*asked, maintain_column_froms=True)
    query = select.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    yield from layout.batches(_messages(connection, f"COPY ({query}) TO STDOUT (FORMAT binary)"), wanted, batch_rows)


def _messages(connection: sa.Connection, query: str) -> Iterator[memoryview]:
    """What a COPY sends, message by message, straight from libpq: psycopg's own loop costs as much as the rest."""
    from psycopg import pq
    from psycopg.errors import error_from_result

    # So that a transaction has begun, whose view this is read in.
    connection.exec_driver_sql("SELECT 1")
    driver: Any = connection.connection.driver_connection
    link = driver.pgconn
    result = link.exec_(query.encode())
    if result.status != pq.ExecStatus.COPY_OUT:
        raise error_from_result(result)
    get, is_whole = link.get_copy_data, False
    try:
        while True:
            length, message = get(0)
            if length <= 0:
                is_whole = True
                break
            yield message
    finally:
        if not is_whole:
            link.get_cancel().cancel()
            while get(0)[0] > 0:
                pass
        failed = None
        while (result := link.get_result()) is not None:
            failed = result if result.status != pq.ExecStatus.COMMAND_OK else failed
    if failed is not None:
        raise error_from_result(failed)


class _Layout:
    """Where each column stands in a row, and how a batch of rows becomes arrays."""

    def __init__(
        self,
        fixed: Sequence[_Fixed],
        words: Sequence[Sequence[str]],
        ends: Sequence[tuple[str, Callable[[bytes], Any]]],
    ) -> None:
        self._fixed, self._words, self._ends = fixed, words, ends
        sizes = [found.dtype for found in fixed] + [">i8"] * (len(words) + bool(words))
        # Of each row: how many fields, and before each field how many bytes.
        self._row = np.dtype(
            [("fields", ">i2"), *(pair for n, size in enumerate(sizes) for pair in ((f"l{n}", ">i4"), (f"f{n}", size)))]
        )

    def batches(self, messages: Iterator[memoryview], wanted: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Batch by batch from the messages of a COPY."""
        size = self._row.itemsize
        begins, filled = bytearray(batch_rows * size), 0
        codes: dict[bytes, int] = {}
        of_rows: list[int] = []
        add_code, code_of = of_rows.append, codes.get
        for message in _rows(messages):
            begins[filled : filled + size] = message[:size]
            filled += size
            end = message[size:].tobytes()
            code = code_of(end)
            if code is None:
                code = codes[end] = len(codes)
            add_code(code)
            if len(of_rows) == batch_rows:
                yield self._batch(begins, codes, of_rows, wanted)
                filled = 0
                codes.clear()
                of_rows.clear()
        if of_rows:
            yield self._batch(begins[:filled], codes, of_rows, wanted)

    def _batch(
        self, begins: bytearray, codes: dict[bytes, int], of_rows: Sequence[int], wanted: pa.Schema
    ) -> pa.RecordBatch:
        records = np.frombuffer(begins, self._row)
        arrays = {found.column.name: found.read(records[f"f{n}"]) for n, found in enumerate(self._fixed)}
        at = len(self._fixed)
        for n, names in enumerate(self._words):
            word = records[f"f{at + n}"].astype(np.int64)
            arrays |= {name: pa.array((word >> bit) & 1) for bit, name in enumerate(names)}
        if self._words and (records[f"f{at + len(self._words)}"] & ~np.int64(1)).any():
            raise NotAFlag("a count of calls on the row of one call is neither 0 nor 1")
        arrays |= self._read_ends(list(codes), of_rows, wanted)
        return pa.RecordBatch.from_arrays([arrays[field.name] for field in wanted], schema=wanted)

    def _read_ends(self, ends: Sequence[bytes], of_rows: Sequence[int], wanted: pa.Schema) -> dict[str, pa.Array]:
        if not self._ends:
            return {}
        values: list[list[Any]] = [[] for _ in self._ends]
        for end in ends:
            at = 0
            for (_, read), found in zip(self._ends, values, strict=True):
                (length,) = struct.unpack_from(">i", end, at)
                at += 4
                found.append(None if length < 0 else read(end[at : at + length]))
                at += max(length, 0)
        indices = pa.array(np.array(of_rows, np.int64))
        return {
            name: pa.array(found, wanted.field(name).type).take(indices)
            for (name, _), found in zip(self._ends, values, strict=True)
        }


def _rows(messages: Iterator[memoryview]) -> Iterator[memoryview]:
    """The messages that are rows: the first begins with the header, the last says that there are no more."""
    for first in messages:
        if len(first) > _HEADER_BYTES and first[_HEADER_BYTES:] != _END:
            yield first[_HEADER_BYTES:]
        break
    for message in messages:
        if message != _END:
            yield message


def _fixed(column: Any) -> _Fixed | None:
    """How the column is read when it is of one size and never null; None when it is not."""
    kind = column.type
    if isinstance(kind, sa.Uuid):
        # The only ids that may be missing are those of the members for what is not known: they travel as zeros.
        return _Fixed(column, "V16", _ids)
    if getattr(column, "nullable", True):
        return None
    if isinstance(kind, sa.Boolean):
        return _Fixed(column, "i1", lambda found: pa.array(found.astype(np.bool_)))
    if isinstance(kind, sa.BigInteger):
        return _Fixed(column, ">i8", _integers)
    if isinstance(kind, sa.Integer):
        return _Fixed(column, ">i4", _integers)
    if isinstance(kind, UtcDateTime):
        return _Fixed(
            column, ">i8", lambda found: pa.array(found.astype(np.int64) + _EPOCH_US).cast(pa.timestamp("us", tz="UTC"))
        )
    if isinstance(kind, sa.Date):
        return _Fixed(
            column,
            ">i4",
            lambda found: pa.array((found.astype(np.int64) + _EPOCH_DAYS).astype(np.int32)).cast(pa.date32()),
        )
    return None


def _integers(found: Any) -> pa.Array:
    return pa.array(found.astype(np.int64))


def _ids(found: Any) -> pa.Array:
    """UUIDs as text; zeros as null."""
    data = np.frombuffer(found.tobytes(), np.uint8).reshape(len(found), 16)
    text = np.empty((len(found), 36), np.uint8)
    pairs = _HEX[data].view(np.uint8).reshape(len(found), 16, 2)
    for n, at in enumerate(_AT_BYTES):
        text[:, at : at + 2] = pairs[:, n]
    text[:, _AT_HYPHENS] = ord("-")
    offsets = np.arange(0, 36 * (len(found) + 1), 36, dtype=np.int32)
    whole = pa.StringArray.from_buffers(len(found), pa.py_buffer(offsets), pa.py_buffer(text))
    is_missing = ~data.any(axis=1)
    return pa.compute.if_else(pa.array(is_missing), None, whole) if is_missing.any() else whole


def _asked(column: Any) -> Any:
    is_id = isinstance(column.type, sa.Uuid) and getattr(column, "nullable", True)
    return sa.func.coalesce(column, _NO_ID).label(column.name) if is_id else column


def _packed(word: Sequence[Any]) -> sa.ColumnElement[int]:
    """The flags as the bits of one number, the first as the lowest."""
    total: Any = word[0]
    for bit, column in enumerate(word[1:], 1):
        total = total.bitwise_or(column.bitwise_lshift(bit))
    return sa.cast(total, sa.BigInteger)


def _seen(flags: Sequence[Any]) -> sa.ColumnElement[int]:
    """Every bit that any of the columns has set: no other than the lowest, where all hold 0 or 1."""
    total: Any = flags[0]
    for column in flags[1:]:
        total = total.bitwise_or(column)
    return sa.cast(total, sa.BigInteger)


def _end_reader(column: Any) -> Callable[[bytes], Any]:
    kind = column.type
    if isinstance(kind, sa.Boolean):
        return lambda raw: raw != b"\0"
    if isinstance(kind, sa.Integer):
        return lambda raw: int.from_bytes(raw, "big", signed=True)
    if isinstance(kind, UtcDateTime):
        return lambda raw: int.from_bytes(raw, "big", signed=True) + _EPOCH_US
    if isinstance(kind, sa.Text | sa.String | sa.types.NullType):
        return lambda raw: raw.decode()
    raise TypeError(f"{column}: no way to read {kind!r} from a COPY")
