"""`up`: the embedded set-up, listener, worker and web in one command."""

import os
import secrets
import signal
import socket
from datetime import UTC, datetime
from typing import Annotated

import typer

from calls.errors import SettingsError
from cli.common import HomeOption, say, wire
from cli.operate import prepare
from cli.supervisor import Supervisor
from crm.users import create_user, has_users
from runtime.choice import choose_language, choose_speech
from runtime.wiring import Wiring


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up)


def up(
    home: HomeOption = None,
    port: Annotated[int | None, typer.Option(help="Port of the pages; 0: any free one.", min=0, max=65535)] = None,
) -> None:
    """Run listener, worker and web together; Ctrl-C drains and stops."""
    wired = wire(home)
    supervisor = Supervisor(wired.settings.home_path, child_environment(wired))
    supervisor.claim_home()
    # Before the first child: who stops us while we start must not leave children behind.
    signal.signal(signal.SIGTERM, supervisor.end_soon)
    signal.signal(signal.SIGINT, supervisor.end_soon)
    try:
        say_engines(wired)
        prepare(wired)
        password = first_admin(wired)
        address = start_all(supervisor, wired, port)
        say(f"Pages: {address}")
        if password:
            say(f"Sign in as admin with the password {password} (shown this once)")
        if wired.settings.objects.kind == "folder":
            say(f"Recordings go into {wired.settings.objects_folder}")
        supervisor.keep_running(say)
        say("Draining: work in progress is finished first.")
    finally:
        supervisor.stop()


def say_engines(wired: Wiring) -> None:
    """Say which engines will do the work, and why these."""
    for part, choice in (("speech", choose_speech(wired.settings)), ("language", choose_language(wired.settings))):
        say(f"{part}: {choice.name} ({choice.why})")


def child_environment(wired: Wiring) -> dict[str, str]:
    """The environment of the child processes: ours, with the home made explicit."""
    return dict(os.environ) | {"CALLWISE_HOME": str(wired.settings.home_path)}


def first_admin(wired: Wiring) -> str | None:
    """Make the first user, `admin`, and return the random password; None when there are users already."""
    with wired.database.write() as connection:
        if has_users(connection):
            return None
        password = secrets.token_urlsafe(12)
        create_user(connection, "admin", password, "admin", datetime.now(UTC))
    return password


def start_all(supervisor: Supervisor, wired: Wiring, port: int | None) -> str:
    """Start web, listener and worker; returns the pages' address. Raises SettingsError when the port is taken."""
    host = wired.settings.web.host
    chosen = free_port(host, wired.settings.web.port if port is None else port)
    supervisor.start("web", "--host", host, "--port", str(chosen))
    supervisor.start("listen")
    supervisor.start("worker")
    return f"http://{host}:{chosen}/"


def free_port(host: str, port: int) -> int:
    """`port` when nobody listens on it, any free one for 0. Raises SettingsError when it is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"web.port: cannot listen on {host}:{port} ({error.strerror});"
                " choose another with --port or CALLWISE_WEB__PORT"
            ) from None
        return int(probe.getsockname()[1])
