"""Serving the pages and the API: in this process, or in several that share one port."""

import os
import signal
from multiprocessing import parent_process
from threading import Thread

import uvicorn
from fastapi import FastAPI

from runtime.logs import set_up_logs
from runtime.program import spare_the_program
from runtime.settings import read_settings
from runtime.wiring import Wiring

# A machine that is busy with speech does not answer within uvicorn's 5 seconds, and is well.
_ALIVE_WITHIN_S = 60
_HOST = "CALLWISE_WEB__HOST"


def serve(wiring: Wiring, *, host: str | None = None, port: int | None = None) -> None:
    """Serve until Ctrl-C, at the address and port of the settings where none is given; a process of several that dies
    gets a successor.
    """
    settings = wiring.settings
    address, at = host or settings.web.host, settings.web.port if port is None else port
    if settings.web.processes == 1:
        from web.app import create_app

        set_up_logs(settings.log_level)
        app = create_app(wiring, host=host)
        spare_the_program()
        uvicorn.run(app, host=address, port=at, log_level="warning", server_header=False)
        return
    # The others read the settings as this one did.
    os.environ[_HOST] = address
    wiring.database.dispose()
    uvicorn.run(
        "web.serving:app_of_settings",
        factory=True,
        host=address,
        port=at,
        workers=settings.web.processes,
        timeout_worker_healthcheck=_ALIVE_WITHIN_S,
        log_level="warning",
        server_header=False,
    )


def app_of_settings() -> FastAPI:
    """The application by the settings of the environment and the file: in each process of several."""
    from web.app import create_app

    _end_with_parent()
    wiring = Wiring(read_settings())
    set_up_logs(wiring.settings.log_level)
    app = create_app(wiring)
    spare_the_program()
    return app


def _end_with_parent() -> None:
    """Left behind by a parent that was killed, this process would keep its port from the next one."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="parent", daemon=True).start()
