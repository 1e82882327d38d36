"""Many small numbers of a row as the bits of a few large ones.

What a column costs PostgreSQL in a COPY is a buffer and a message field of its own, whatever it holds; two operations
on numbers cost a third of that. Each operation counts: a row has a hundred of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from analytics.export_tables import Bits

# The sign is a bit as any other.
_WORD_BITS = 64
# The flag of a row with a column that holds more than its bits.
BEYOND = "beyond"

Word = tuple[tuple[Bits, int], ...]


def words(bits: Sequence[Bits]) -> list[Word]:
    """The columns of each number, each with the place of its lowest bit; the last column of all is BEYOND."""
    found: list[list[tuple[Bits, int]]] = []
    filled: list[int] = []
    for one in [*sorted(bits, key=lambda one: -one.width), *([Bits(BEYOND, 1, 0)] if bits else [])]:
        at = next((n for n, used in enumerate(filled) if used + one.width <= _WORD_BITS), len(filled))
        if at == len(filled):
            found.append([])
            filled.append(0)
        found[at].append((one, filled[at]))
        filled[at] += one.width
    return [tuple(word) for word in found]


def packed(in_words: Sequence[Word], columns: Mapping[str, Any]) -> list[sa.ColumnElement[int]]:
    """The numbers as PostgreSQL makes them of the columns."""
    bits = [one for word in in_words for one, _ in word if one.name != BEYOND]
    columns = {**columns, BEYOND: _excess(bits, columns) != _number(0)}
    return [_packed(word, columns) for word in in_words]


def _packed(word: Word, columns: Mapping[str, Any]) -> sa.ColumnElement[int]:
    total: Any = None
    for one, at in word:
        column = columns[one.name]
        if isinstance(column.type, sa.Boolean):
            value: Any = sa.case((column, _number(_signed(1 << at))), else_=_number(0))
        else:
            value = _value(one, column)
            # What is shifted to the upper end of the word loses the copies of its sign by that.
            if one.is_whole and at + one.width < _WORD_BITS:
                value = value.bitwise_and(_number((1 << one.width) - 1))
            value = value.bitwise_lshift(at) if at else value
        total = value if total is None else total.bitwise_or(value)
    return sa.cast(total, sa.BigInteger)


def _excess(bits: Sequence[Bits], columns: Mapping[str, Any]) -> sa.ColumnElement[int]:
    """What the columns hold beyond their bits: 0 where the packed numbers can be taken apart again."""
    of_width: dict[int, Any] = {}
    for one in bits:
        if not (one.is_whole or isinstance(columns[one.name].type, sa.Boolean)):
            value, before = _value(one, columns[one.name]), of_width.get(one.width)
            of_width[one.width] = value if before is None else before.bitwise_or(value)
    total: Any = None
    for width, seen in of_width.items():
        value = seen.self_group().bitwise_rshift(width)
        total = value if total is None else total.bitwise_or(value)
    return _number(0) if total is None else sa.cast(total, sa.BigInteger)


def unpacked(word: Word, numbers: Any) -> dict[str, Any]:
    """The columns of a number, by name, from an array of it."""
    found = {}
    for one, at in word:
        if one.is_whole:
            # Up and down again: with its sign.
            values = numbers << (_WORD_BITS - one.width - at)
            values >>= _WORD_BITS - one.width
        else:
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


def _signed(value: int) -> int:
    """The bits of a number without a sign, as those of one with it."""
    return value - (1 << _WORD_BITS) if value >> (_WORD_BITS - 1) else value
