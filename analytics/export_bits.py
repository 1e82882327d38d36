"""Many small numbers of a row as the bits of a few large ones.

What a column costs PostgreSQL in a COPY is a buffer and a message field of its own, whatever it holds; two operations
on numbers cost a third of that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from analytics.export_tables import Bits

# Without the bit for the sign.
_WORD_BITS = 63

Word = tuple[tuple[Bits, int], ...]


def words(bits: Sequence[Bits]) -> list[Word]:
    """The columns of each number, each with the place of its lowest bit."""
    found: list[list[tuple[Bits, int]]] = []
    filled: list[int] = []
    for one in sorted(bits, key=lambda one: -one.width):
        at = next((n for n, used in enumerate(filled) if used + one.width <= _WORD_BITS), len(filled))
        if at == len(filled):
            found.append([])
            filled.append(0)
        found[at].append((one, filled[at]))
        filled[at] += one.width
    return [tuple(word) for word in found]


def packed(word: Word, columns: Mapping[str, Any]) -> sa.ColumnElement[int]:
    """The number as PostgreSQL makes it of the columns."""
    total: Any = None
    for one, at in word:
        column = columns[one.name]
        if isinstance(column.type, sa.Boolean):
            value: Any = sa.case((column, _number(1 << at)), else_=_number(0))
        else:
            value = _value(one, column)
            value = value.bitwise_lshift(at) if at else value
        total = value if total is None else total.bitwise_or(value)
    return sa.cast(total, sa.BigInteger)


def excess(bits: Sequence[Bits], columns: Mapping[str, Any]) -> sa.ColumnElement[int]:
    """What the columns hold beyond their bits: 0 where the packed numbers can be taken apart again."""
    of_width: dict[int, Any] = {}
    for one in bits:
        if not isinstance(columns[one.name].type, sa.Boolean):
            value, before = _value(one, columns[one.name]), of_width.get(one.width)
            of_width[one.width] = value if before is None else before.bitwise_or(value)
    total: Any = _number(0)
    for width, seen in of_width.items():
        total = total.bitwise_or(seen.self_group().bitwise_rshift(width))
    return sa.cast(total, sa.BigInteger)


def unpacked(word: Word, numbers: Any) -> dict[str, Any]:
    """The columns of a number, by name, from an array of it."""
    found = {}
    for one, at in word:
        values = numbers >> at
        values &= (1 << one.width) - 1
        if one.bias:
            values -= one.bias
        found[one.name] = values
    return found


def _value(one: Bits, column: Any) -> Any:
    value = column if isinstance(column.type, sa.BigInteger) else sa.cast(column, sa.BigInteger)
    return value + sa.literal(one.bias) if one.bias else value


def _number(value: int) -> sa.ColumnElement[int]:
    return sa.cast(sa.literal(value), sa.BigInteger)
