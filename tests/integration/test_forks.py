"""A process that is forked while another thread is in the middle of something, as a worker's pool does, is of use."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import redirect_stderr

import structlog

from crm.database import Database
from runtime.logs import set_up_logs


class ForkedBeside:
    """A child that does one thing, forked by a thread of its own; `end` is its exit code, 0 when it has done it."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do
        self._forked = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        # Where nothing makes it wait, it is forked by then.
        self._forked.wait(0.5)

    def _run(self) -> None:
        pid = os.fork()
        if pid == 0:
            # A child that waits for ever must not outlive the test.
            signal.alarm(40)
            code = 1
            try:
                self._do()
                code = 0
            finally:
                os._exit(code)
        self._forked.set()
        self._end = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def end(self) -> int:
        self._thread.join()
        return self._end


def test_beside_a_write_it_can_write(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'callwise.db'}")

    def keep(body):
        with database.write() as connection:
            connection.exec_driver_sql("INSERT INTO kept VALUES (?)", (body,))

    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (body TEXT)")
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO kept VALUES ('parent')")
        child = ForkedBeside(lambda: keep("child"))
    assert child.end() == 0
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT body FROM kept").scalars().all() == ["parent", "child"]
    database.dispose()


def test_beside_a_line_of_the_log_it_can_log():
    class SlowLog:
        """A pipe that nobody empties while the first line is written."""

        children: tuple[ForkedBeside, ...] = ()
        lines = 0

        def write(self, line):
            self.lines += 1
            if self.lines == 1:
                self.children = (ForkedBeside(lambda: structlog.get_logger().info("of_the_child")),)

        def flush(self):
            pass

        def isatty(self):
            return False

    slow = SlowLog()
    with redirect_stderr(slow):
        set_up_logs()
        structlog.get_logger().info("of_the_parent")
    [child] = slow.children
    assert child.end() == 0
