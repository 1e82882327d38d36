"""`worker`, `beat`, `web`: one production process each; `work`: everything there is to do, here and now."""

import signal
import sys
from enum import StrEnum
from typing import Annotated, Literal

import typer

from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from runtime.logs import set_up_logs


class Queue(StrEnum):
    """The queues, as words on the command line."""

    SPEECH = "speech"
    LANGUAGE = "language"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("worker")(worker)
    app.command("beat")(beat)
    app.command("web")(web)
    app.command("work")(work)


def worker(
    queue: Annotated[list[Queue] | None, typer.Option(help="Queue to serve; default: all.")] = None,
    pool: Annotated[
        Literal["prefork", "threads", "solo"] | None,
        typer.Option(help="How work runs side by side. Default: threads where only the language queue is served."),
    ] = None,
    concurrency: Annotated[int, typer.Option(help="Pieces of work side by side; 0: one per core.")] = 0,
) -> None:
    """Serve the queues until Ctrl-C; work in progress is finished first."""
    from calls.pipeline import QUEUES
    from crm.schema import require_current
    from workers.app import wiring
    from workers.run import run_worker

    settings = wiring().settings
    require_current(wiring().database)
    queues = tuple(name.value for name in queue) if queue else QUEUES
    chosen = pool or ("threads" if queues == ("language",) else "prefork")
    run_worker(settings, queues=queues, pool=chosen, concurrency=concurrency)


def beat() -> None:
    """The production clock: rings for the sweep and the roll-ups."""
    from crm.schema import require_current
    from workers.app import wiring
    from workers.run import run_beat

    require_current(wiring().database)
    run_beat()


def web(
    port: Annotated[int | None, typer.Option(help="Port to listen on; default: web.port.", min=0, max=65535)] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: web.host.")] = None,
) -> None:
    """Serve the pages and the API until Ctrl-C."""
    from cli.up import free_port
    from crm.schema import require_current
    from web.serving import serve

    wired = wire()
    require_current(wired.database)
    site = wired.settings.web
    serve(wired, host=host, port=free_port(host or site.host, site.port if port is None else port))


def work(
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when nothing is left to do.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Give up after this many seconds.")] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Take in what has arrived and do all the work in this process."""
    if not until_idle:
        stop("callwise work: --until-idle is needed; to keep running, use `callwise up`", code=2)
    from cli.operate import prepare, print_status
    from crm.schema import require_current
    from runtime.listening import catch_up
    from workers.app import make_parts
    from workers.run import work_until_idle
    from workers.sweep import hand_over, roll_up, tend_batches, tend_privacy, wake_parked

    wired = wire(home)
    set_up_logs(wired.settings.log_level)
    if wired.database.is_sqlite:
        prepare(wired)
    require_current(wired.database)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wake_parked(wired)
    idle = work_until_idle(
        make_parts(wired, ring=None),
        catch_up=lambda: catch_up(wired),
        roll=lambda: roll_up(wired),
        timeout_s=timeout,
        # Nobody else's questions are waited for here.
        tend_batches=lambda: tend_batches(wired, gather_s=0.0),
        poll_s=wired.settings.language.batch_poll_s,
    )
    hand_over(wired)
    tend_privacy(wired)
    document = print_status(wired, as_json=as_json)
    if as_json:
        emit(document)
    if idle.timed_out:
        stop(f"callwise work: {idle.unfinished_count} calls are still on their way after {timeout:g} s")
    if idle.unfinished_count:
        say(f"callwise work: {idle.unfinished_count} calls wait for a setting to be mended; see `callwise doctor`")
        raise typer.Exit(1)
