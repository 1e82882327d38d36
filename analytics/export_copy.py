"""PostgreSQL's binary COPY as Arrow batches, a column at a time instead of a row at a time.

The columns are asked for in an order that makes them cheap to read. First those that are never null and of one size,
many small ones of them as the bits of few numbers (export_bits.py): the beginnings of all rows of a batch are then one
array of records, which numpy takes apart. Last the texts and what may be null: few different ends of rows occur in a
batch, and each is read once.

COPY TO sends one message per row (PostgreSQL, "Message Formats", CopyData).
"""

import struct
from array import array
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from analytics.export_bits import BEYOND, Word, packed, unpacked, words
from analytics.export_columns import ids, numbers, numbers_of, texts
from analytics.export_tables import Bits, ExportTable
from analytics.star import SCHEMA
from crm.tables import UtcDateTime

# "PGCOPY\n\xff\r\n\0", flags and the length of an extension that no version has.
_HEADER_BYTES = 19
# Of the last message, which is no row: as many fields as no row has.
_END_BYTES = 2
_AT_ONCE = 1_024
_BATCH_BYTES = 64 << 20
_LONGEST = 1 << 30
# PostgreSQL counts from 2000-01-01.
_EPOCH_US = 946_684_800_000_000
_EPOCH_DAYS = 10_957
_NO_ID = UUID(int=0)


@dataclass(frozen=True)
class _Fixed:
    """A column of one size: its numpy type in the row, and how its array becomes an Arrow array."""

    column: sa.ColumnElement[Any]
    dtype: str
    read: Callable[[Any, pa.DataType], pa.Array]


def copied(
    connection: sa.Connection, table: ExportTable, wanted: pa.Schema, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """The rows of the table in batches, in the order in which they lie in the database.

    Within the connection's transaction, and so in its view of the database. The rows with a number that needs more bits
    than the table says come last.
    """
    left_out = array("q")

    def read(asked: _Asked, where: str) -> Iterator[pa.RecordBatch]:
        query = f"COPY ({asked.query}{where}) TO STDOUT (FORMAT binary)"
        with closing(_messages(connection, query, batch_rows)) as found:
            for rows, ends in found:
                batch = asked.layout.batch(rows, ends, wanted, left_out)
                if batch.num_rows:
                    yield batch

    asked = _asked(table.select, table.bits, table.day or table.chunk or table.primary_key[0])
    yield from read(asked, _within(table, asked.key))
    plain = _asked(table.select, (), table.primary_key[0])
    for first in range(0, len(left_out), batch_rows):
        listed = ",".join(map(str, left_out[first : first + batch_rows]))
        yield from read(plain, f" WHERE {plain.key} = ANY ('{{{listed}}}')")


def _within(table: ExportTable, key: str) -> str:
    if not table.keys:
        return ""
    where = f" WHERE {key} BETWEEN {table.keys[0]} AND {table.keys[1]}"
    if table.before_day:
        # Every value that the column can have, so that the index is of use.
        members, member = table.foreign_keys[table.before_day]
        where += f" AND {table.before_day} IN (SELECT {member} FROM {SCHEMA}.{members})"  # noqa: S608 - names of ours
    return where


@dataclass(frozen=True)
class _Asked:
    """A statement without its WHERE, the column for that, and how the rows are read."""

    query: str
    key: str
    layout: "_Layout"


@lru_cache(maxsize=128)
def _asked(select: sa.Select[Any] | None, bits: tuple[Bits, ...], key: str) -> _Asked:
    if select is None:
        raise ValueError("the table does not come from the database")
    columns = {column.name: column for column in select.selected_columns}
    in_bits = words(bits)
    taken = {one.name for one in bits}
    fixed = [found for name, column in columns.items() if name not in taken and (found := _fixed(column))]
    taken |= {found.column.name for found in fixed}
    ends = [column for name, column in columns.items() if name not in taken]
    listed = [
        *(_never_null(found.column) for found in fixed),
        *packed(in_bits, columns),
        *ends,
    ]
    statement = select.with_only_columns(*listed, maintain_column_froms=True)
    readers = [(column.name, _end_reader(column)) for column in ends]
    return _Asked(_sql(statement), _sql(columns[key]), _Layout(fixed, in_bits, readers))


def _sql(clause: Any) -> str:
    return str(clause.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]


def _messages(
    connection: sa.Connection, query: str, batch_rows: int
) -> Generator[tuple[bytearray, list[int]], None, None]:
    """The rows that a COPY sends, one behind the other, and where each ends; both are used again for the next ones.

    Straight from libpq: psycopg's own loop costs as much as the rest.
    """
    from psycopg import pq
    from psycopg.errors import error_from_result

    # So that a transaction has begun, whose view this is read in.
    connection.exec_driver_sql("SELECT 1")
    driver: Any = connection.connection.driver_connection
    link = driver.pgconn
    result = link.exec_(query.encode())
    if result.status != pq.ExecStatus.COPY_OUT:
        raise error_from_result(result)
    get = link.get_copy_data
    rows, ends, at = bytearray(), [], 0
    length, message = get(0)
    try:
        if length > _HEADER_BYTES:
            # The first row comes with the header.
            rows += message[_HEADER_BYTES:]
            at = len(rows)
            ends.append(at)
        while length > 0:
            for _ in repeat(None, _AT_ONCE):
                length, message = get(0)
                if length <= 0:
                    break
                rows += message
                at += length
                ends.append(at)
            else:
                if len(ends) + _AT_ONCE > batch_rows or at > _BATCH_BYTES:
                    yield rows, ends
                    rows.clear()
                    ends.clear()
                    at = 0
        if ends and at - (ends[-2] if len(ends) > 1 else 0) == _END_BYTES:
            ends.pop()
        if ends:
            yield rows, ends
    finally:
        if length > 0:
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
        self, fixed: Sequence[_Fixed], in_bits: Sequence[Word], ends: Sequence[tuple[str, Callable[[bytes], Any]]]
    ) -> None:
        self._fixed, self._words, self._ends = fixed, in_bits, ends
        sizes = [found.dtype for found in fixed] + [">i8"] * len(in_bits)
        # Of each row: how many fields, and before each field how many bytes.
        self._row = np.dtype(
            [("fields", ">i2"), *(pair for n, size in enumerate(sizes) for pair in ((f"l{n}", ">i4"), (f"f{n}", size)))]
        )

    def batch(self, rows: bytearray, ends: Sequence[int], wanted: pa.Schema, left_out: "array[int]") -> pa.RecordBatch:
        """The rows as a batch; the first fixed column of those that cannot be read by the bits goes to `left_out`."""
        offsets = np.zeros(len(ends) + 1, np.int32)
        offsets[1:] = ends
        whole = pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(rows)])
        size = self._row.itemsize
        begins = np.frombuffer(pc.binary_slice(whole, 0, size).buffers()[2], self._row, len(ends))
        arrays = {
            found.column.name: found.read(begins[f"f{n}"], wanted.field(found.column.name).type)
            for n, found in enumerate(self._fixed)
        }
        is_beyond = None
        for n, word in enumerate(self._words, len(self._fixed)):
            of_word = unpacked(word, begins[f"f{n}"].astype(np.int64))
            is_beyond = of_word.pop(BEYOND, is_beyond)
            arrays |= {name: numbers(values, wanted.field(name).type) for name, values in of_word.items()}
        if self._ends:
            arrays |= self._read_ends(pc.binary_slice(whole, size, _LONGEST).dictionary_encode(), wanted)
        batch = pa.RecordBatch.from_arrays([arrays[field.name] for field in wanted], schema=wanted)
        if is_beyond is not None and is_beyond.any():
            # The first of the columns of one size is the key of the table.
            left_out.extend(begins["f0"][is_beyond != 0].tolist())
            return batch.filter(numbers(is_beyond == 0, pa.bool_()))
        return batch

    def _read_ends(self, ends: pa.DictionaryArray, wanted: pa.Schema) -> Mapping[str, pa.Array]:
        values: list[list[Any]] = [[] for _ in self._ends]
        for end in ends.dictionary.to_pylist():
            at = 0
            for (_, read), found in zip(self._ends, values, strict=True):
                (length,) = struct.unpack_from(">i", end, at)
                at += 4
                found.append(None if length < 0 else read(end[at : at + length]))
                at += max(length, 0)
        return {
            name: _spread(found, ends.indices, wanted.field(name).type)
            for (name, _), found in zip(self._ends, values, strict=True)
        }


def _spread(found: Sequence[Any], indices: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values at these places; most columns hold one value all through a batch."""
    is_one = len(set(found)) == 1
    some = found[:1] if is_one else found
    values = texts(some) if pa.types.is_string(kind) else numbers_of(some, kind)
    return pa.repeat(values[0], len(indices)) if is_one else values.take(indices)


def _fixed(column: Any) -> _Fixed | None:
    """How the column is read when it is of one size and never null; None when it is not."""
    kind, is_nullable = column.type, getattr(column, "nullable", True)
    if isinstance(kind, sa.Uuid):
        # The only ids that may be missing are those of the members for what is not known: they travel as zeros.
        return _Fixed(column, "V16", lambda found, _kind: ids(found.tobytes(), zeros_are_null=is_nullable))
    if is_nullable:
        return None
    if isinstance(kind, sa.Boolean):
        return _Fixed(column, "i1", numbers)
    if isinstance(kind, sa.BigInteger):
        return _Fixed(column, ">i8", numbers)
    if isinstance(kind, sa.Integer):
        return _Fixed(column, ">i4", numbers)
    if isinstance(kind, UtcDateTime):
        return _Fixed(column, ">i8", lambda found, kind: numbers(found.astype(np.int64) + _EPOCH_US, kind))
    if isinstance(kind, sa.Date):
        return _Fixed(column, ">i4", lambda found, kind: numbers(found.astype(np.int32) + _EPOCH_DAYS, kind))
    return None


def _never_null(column: Any) -> Any:
    is_id = isinstance(column.type, sa.Uuid) and getattr(column, "nullable", True)
    return sa.func.coalesce(column, _NO_ID).label(column.name) if is_id else column


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
