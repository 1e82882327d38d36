"""A process that is forked while another thread works with SQLite, as a worker's pool does, can write."""

import os
import threading

from crm.database import Database


def test_a_process_that_is_forked_beside_a_write_can_write(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'callwise.db'}")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (body TEXT)")
    forked = threading.Event()
    ends = []

    def write_in_a_child():
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                with database.write() as connection:
                    connection.exec_driver_sql("INSERT INTO kept VALUES ('child')")
                code = 0
            finally:
                os._exit(code)
        forked.set()
        ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

    thread = threading.Thread(target=write_in_a_child)
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO kept VALUES ('parent')")
        thread.start()
        # Where nothing made it wait, it would be forked by now.
        forked.wait(0.5)
    thread.join()
    assert ends == [0]
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT body FROM kept").scalars().all() == ["parent", "child"]
    database.dispose()
