"""A PostgreSQL server for the tests, without fsync: its data need not outlive the machine's next crash."""

import os
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import psycopg

from tests.servers.process import ServerProcess, answers, find_program, free_port, missing

_INSTALL = "apt-get install postgresql (macOS: brew install postgresql@17)"
# Safe for as long as the machine itself stands: what is committed outlives a kill of the server.
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=200")


class PostgresServer(ServerProcess):
    """PostgreSQL on a free port of the loopback interface; root starts it as the user `postgres`, as it insists."""

    def __init__(self) -> None:
        program = find_program(
            "postgres", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"
        )
        if program is None:
            missing("PostgreSQL", _INSTALL)
        super().__init__("postgres")
        self._bin = program.resolve().parent
        self._user = "postgres" if os.geteuid() == 0 else None
        self._data = self.folder / "data"
        self._numbers = count(1)
        self.port = free_port()
        self._initialise()
        self.start()

    def start(self) -> None:
        """Start the server on its data folder, again after a `kill`, too."""
        options = [part for setting in _FAST for part in ("-c", setting)]
        self.launch(
            [
                self._bin / "postgres",
                "-D",
                self._data,
                "-p",
                str(self.port),
                "-h",
                "127.0.0.1",
                "-k",
                self.folder,
                *options,
            ],
            is_ready=self._accepts,
            user=self._user,
        )

    def restart(self) -> None:
        """Stop at once, as a crash would, and start on the same port and data."""
        self.kill(signal.SIGQUIT)
        self.start()

    def close(self) -> None:
        """Stop and remove everything."""
        self.kill(signal.SIGINT)
        super().close()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of one database."""
        return f"postgresql+psycopg://callwise@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template0") -> str:
        """A fresh database, a copy of `template`; returns its name."""
        name = f"callwise_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Remove the database with whatever still uses it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def dump(self, database: str) -> bytes:
        """Everything in the database, as `pg_dump` writes it."""
        arguments = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "callwise", database]
        return subprocess.run([str(self._bin / "pg_dump"), *arguments], check=True, capture_output=True).stdout

    def execute(self, statement: str) -> None:
        """Run one statement in the server's own database."""
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="callwise", dbname="postgres", autocommit=True, connect_timeout=5
        )

    def _accepts(self) -> bool:
        if not answers(self.port):
            return False
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self) -> None:
        if self._user:
            shutil.chown(self.folder, self._user)
        # The letters of all languages, as in production: with plain C, lower() knows A to Z only.
        letters = "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        arguments = ["--username=callwise", "--auth=trust", "--encoding=UTF8", "--locale=C", f"--lc-ctype={letters}"]
        arguments.append("--no-sync")
        made = subprocess.run(
            [str(Path(self._bin / "initdb")), "-D", str(self._data), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            user=self._user,
            extra_groups=[] if self._user else None,
            check=False,
        )
        if made.returncode:
            raise AssertionError(f"initdb: {made.stdout}{made.stderr}")
