"""The statements that are sent to a database, and what they are about."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from crm.database import Database


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What is sent to the database meanwhile; BEGIN and COMMIT are not among it."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(" ".join(statement.split()))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(database.engine, "before_cursor_execute", note)


def tables(found: Sequence[str]) -> list[str]:
    """The table that each of them is about."""
    return [re.search(r"(?:\bFROM|INTO) (\w+)", _outer(statement))[1] for statement in found]


def _outer(statement: str) -> str:
    """Without what stands in parentheses."""
    while "(" in statement:
        statement = re.sub(r"\([^()]*\)", "", statement)
    return statement
