"""One door to the database: a short write transaction, or a read."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import sqlalchemy as sa

from calls.errors import CallwiseError, SettingsError, TransientError
from crm.forks import UNFORKED
from crm.sqlite_log import TOO_LONG, LogKeeper

IDLE_S = 1.0
# How long a write waits for others, and between two looks whether they are done.
_BUSY_S = 30.0
_FIRST_LOOK_S = 0.0005
_LONGEST_LOOK_S = 0.004
_PRAGMAS = (
    # Of a database that is made now; one that is there keeps its own. The ids of calls are spread over their indexes:
    # with the 4 KB of SQLite, a batch of new calls writes twice as many bytes, and four times as many pages.
    "page_size=16384",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    # What is deleted is overwritten: some builds of SQLite do so by themselves, others leave it lying in the file.
    "secure_delete=ON",
    f"busy_timeout={_BUSY_S * 1000:.0f}",
    # The ids of calls are spread over their indexes: with the 2 MB of SQLite, each batch of new ones reads most pages
    # again.
    "cache_size=-16384",
    # Mostly it is done before, see crm.sqlite_log.
    f"wal_autocheckpoint={TOO_LONG}",
)
_WRITES = {"callwise_writes": True}
# An option of a statement that PostgreSQL is to plan for the values that it has. It is not prepared: the plan of a
# prepared one is after some times that for any values, which are rare ones to it.
BY_VALUES = {"callwise_by_values": True}


class Database:
    """An SQLite or PostgreSQL database by URL. Connections are made on first use, anew in each process after a fork."""

    def __init__(self, url: str) -> None:
        try:
            self.url = sa.make_url(url)
        except sa.exc.ArgumentError:
            raise SettingsError(
                "database.url is no database URL; write sqlite:///path/callwise.db or postgresql+psycopg://user@host/name"
            ) from None
        if self.url.get_backend_name() not in {"sqlite", "postgresql", "postgres"}:
            raise SettingsError(
                f"database.url: {self.url.get_backend_name()} is not spoken; use sqlite:// or postgresql+psycopg://"
            )
        if self.url.drivername in {"postgresql", "postgres"}:
            self.url = self.url.set(drivername="postgresql+psycopg")
        self._engine: sa.Engine | None = None
        self._log: LogKeeper | None = None
        self._pid = 0

    @property
    def is_sqlite(self) -> bool:
        """True for the embedded set-up's database."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's engine of this process."""
        if self._engine is None or self._pid != os.getpid():
            if self._engine is not None:
                # The parent's connections belong to the parent: forget them without closing its sockets.
                self._engine.dispose(close=False)
            self._engine = _make_engine(self.url)
            file = _sqlite_file(self.url)
            self._log = LogKeeper(file) if file else None
            self._pid = os.getpid()
        return self._engine

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One short write transaction: committed at the end, rolled back by an exception.

        Raises TransientError when the database cannot be reached.
        """
        with self._connect() as connection:
            connection.execution_options(**_WRITES)
            with connection.begin():
                yield connection
        if self._log is not None:
            self._log.committed()

    @contextmanager
    def alter(self) -> Iterator[sa.Connection]:
        """A write transaction that may make tables anew: SQLite, which drops the old one, looks at its foreign keys at
        the end instead of at each statement.
        """
        with self._connect() as connection:
            connection.execution_options(**_WRITES)
            raw = connection.connection.dbapi_connection if self.is_sqlite else None
            if raw is not None:
                raw.execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    yield connection
                    if raw is not None and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                        raise CallwiseError("the tables would not fit each other any more: nothing was changed")
            finally:
                if raw is not None:
                    raw.execute("PRAGMA foreign_keys=ON")

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent view for reading. Raises TransientError when the database cannot be reached."""
        with self._connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def glance(self) -> Iterator[sa.Connection]:
        """For the few statements of one request, each of which may see what was committed meanwhile, as PostgreSQL's
        transactions let them, too: there, none is begun and ended around them, which takes as long as they do.

        Raises TransientError when the database cannot be reached.
        """
        with self._connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="AUTOCOMMIT")
            with connection.begin():
                yield connection

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        with UNFORKED if self.is_sqlite else nullcontext(), self._connected() as connection:
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            connection = self.engine.connect()
        except sa.exc.DBAPIError as error:
            raise TransientError(
                f"cannot reach {self.url!r}: {_first_line(error)}", code="database_unreachable"
            ) from error
        with connection:
            try:
                yield connection
            except sa.exc.OperationalError as error:
                raise TransientError(_first_line(error), code="database_unreachable") from error

    def empty_log(self) -> bool:
        """Write SQLite's log into the database and cut it to nothing: it holds pages as they were. True when it could
        not, since somebody reads or writes at this moment.
        """
        if self._log is not None:
            self._log.wait()
        with self._connect() as connection:
            raw = connection.connection.dbapi_connection
            if raw is None:
                raise CallwiseError("there is no connection to the database")
            is_busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return bool(is_busy)

    def dispose(self) -> None:
        """Close this process's connections."""
        if self._engine is not None and self._pid == os.getpid():
            if self._log is not None:
                self._log.wait()
            self._engine.dispose()
        self._engine = self._log = None


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().split("\n", 1)[0]


def _sqlite_file(url: sa.URL) -> Path | None:
    """The file of an SQLite database; None of another one, and of one in the memory."""
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(str(url.database)).absolute()


def _make_engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() != "sqlite":
        engine = sa.create_engine(url, pool_size=5, max_overflow=15, hide_parameters=True)
        _ping_after_idling(engine)
        _plan_by_values(engine)
        _describe_later(engine)
        return engine
    if file := _sqlite_file(url):
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": 30}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _record: Any) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves: a write must take its lock at the start, not half-way
        for pragma in _PRAGMAS:
            raw.execute(f"PRAGMA {pragma}")
        # SQLite's own lower() knows the letters A to Z only: nobody would find Ødegaard by "ødegaard".
        raw.create_function("lower", 1, _lower, deterministic=True)

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        # Past SQLAlchemy, which would put together a statement and a result for each of these words.
        raw: Any = connection.connection.dbapi_connection
        if connection.get_execution_options().get("callwise_writes"):
            _begin_writing(raw)
            return
        try:
            raw.execute("BEGIN")
        except sqlite3.Error as error:
            raise sa.exc.DBAPIError.instance("BEGIN", None, error, sqlite3.Error) from error

    # The tables of the star schema stand in the schema `bi`; SQLite has no schemas, their names are unique without it.
    return engine.execution_options(schema_translate_map={"bi": None})


def _begin_writing(raw: Any) -> None:
    """Take the write lock. SQLite's own way to wait for it looks ten times a second in the end, and two listeners that
    write in turns would idle most of the time.
    """
    ends_at, pause_s = monotonic() + _BUSY_S, _FIRST_LOOK_S
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > ends_at:
                    raise sa.exc.OperationalError("BEGIN IMMEDIATE", None, error) from error
            sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_LOOK_S)
    finally:
        raw.execute(f"PRAGMA busy_timeout={_BUSY_S * 1000:.0f}")


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _ping_after_idling(engine: sa.Engine) -> None:
    """Replace a connection that the server dropped while it idled; busy ones are not asked before each transaction."""

    @sa.event.listens_for(engine, "checkin")
    def _on_checkin(_raw: Any, record: Any) -> None:
        record.info["idle_since"] = monotonic()

    @sa.event.listens_for(engine, "checkout")
    def _on_checkout(raw: Any, record: Any, _proxy: Any) -> None:
        if monotonic() - record.info.get("idle_since", monotonic()) < IDLE_S:
            return
        try:
            engine.dialect.do_ping(raw)
        except Exception as error:
            raise sa.exc.DisconnectionError from error  # the pool then makes a new connection


def _plan_by_values(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "do_execute")
    def _on_execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        is_by_values = context is not None and "callwise_by_values" in context.execution_options
        if is_by_values:
            cursor.execute(statement, parameters, prepare=False)
        return is_by_values


def _describe_later(engine: sa.Engine) -> None:
    # Only where there is psycopg.
    from crm.described import DescribedLater

    @sa.event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _record: Any) -> None:
        raw.cursor_factory = DescribedLater


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT of the connection's own dialect, for `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        return pg_insert(table)
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert(table)
