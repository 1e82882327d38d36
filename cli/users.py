"""`users`: who may sign in, what they may do, and the log of what they did."""

import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.access import OPERATOR, Role
from crm.audit import Action, entries, has_hash, note, verify
from crm.schema import require_current
from crm.sign_ins import end_sessions_of
from crm.user_documents import audit_document, user_document
from crm.users import (
    User,
    agent_named,
    change_user,
    create_user,
    list_users,
    names_of,
    put_in_team,
    set_password,
    teams_named,
    user_named,
)
from runtime.wiring import Wiring

users = typer.Typer(help="Who may sign in to the pages, and what they may do.", no_args_is_help=True)
PasswordFlag = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
AgentOption = Annotated[str, typer.Option(help="For an agent: the name under which telephony knows them.")]
TeamsOption = Annotated[list[str] | None, typer.Option("--team", help="For a lead: a team that they lead; repeatable.")]
ROLES = ", ".join(Role)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(users, name="users")


@users.command("add")
def users_add(
    name: str,
    *,
    role: Annotated[str, typer.Option(help=f"One of {ROLES}.")] = Role.ADMIN.value,
    agent: AgentOption = "",
    team: TeamsOption = None,
    password_stdin: PasswordFlag = False,
    home: HomeOption = None,
) -> None:
    """Make a user; without --password-stdin a random password is made and printed once."""
    wired = open_home(home)
    password = _password(password_stdin)
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        agent_id = agent_named(connection, agent) if agent else None
        made = create_user(
            connection, name, password, role, now, agent_id=agent_id, team_ids=teams_named(connection, team or ())
        )
        note(connection, OPERATOR, Action.USER_ADDED, detail=f"{made.id} {made.role}", now=now)
    _tell_password(name, None if password_stdin else password)


@users.command("role")
def users_role(
    name: str,
    role: Annotated[str, typer.Argument(help=f"One of {ROLES}.")],
    *,
    agent: AgentOption = "",
    team: TeamsOption = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change what a user may do; it counts from the next request on."""
    wired = open_home(home)
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        changed = change_user(
            connection,
            name,
            role=role,
            agent_id=agent_named(connection, agent) if agent else None,
            team_ids=None if team is None else teams_named(connection, team),
        )
        note(connection, OPERATOR, Action.USER_CHANGED, detail=f"{changed.id} role {changed.role}", now=now)
    _show(wired, changed, as_json=as_json)


@users.command("password")
def users_password(name: str, password_stdin: PasswordFlag = False, home: HomeOption = None) -> None:
    """Change a user's password; all sessions of that user end."""
    wired = open_home(home)
    password = _password(password_stdin)
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        set_password(connection, name, password)
        user = user_named(connection, name)
        note(connection, OPERATOR, Action.USER_CHANGED, detail=f"{user.id} password", now=now)
    _tell_password(name, None if password_stdin else password)


# The name of the first version.
users.command("passwd", hidden=True)(users_password)


@users.command("disable")
def users_disable(name: str, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Let a user in no more: sessions end, tokens open nothing."""
    _set_active(name, home, is_active=False, as_json=as_json)


@users.command("enable")
def users_enable(name: str, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Let a user in again."""
    _set_active(name, home, is_active=True, as_json=as_json)


@users.command("sign-out")
def users_sign_out(name: str, home: HomeOption = None) -> None:
    """End every session of a user."""
    wired = open_home(home)
    with wired.database.write() as connection:
        user = user_named(connection, name)
        count = end_sessions_of(connection, user.id)
        note(connection, OPERATOR, Action.SIGN_OUT, detail=f"{user.id} everywhere", now=datetime.now(UTC))
    say(f"{count} sessions of {name} have ended.")


@users.command("team")
def users_team(
    name: str,
    agent: Annotated[list[str] | None, typer.Option("--agent", help="An agent's name; repeatable.")] = None,
    home: HomeOption = None,
) -> None:
    """Put agents into a team, which is made where there is none: for telephony that names no teams."""
    wired = open_home(home)
    with wired.database.write() as connection:
        put_in_team(connection, name, [agent_named(connection, one) for one in agent or ()])
        note(connection, OPERATOR, Action.USER_CHANGED, detail="agents of a team", now=datetime.now(UTC))
    say(f"{len(agent or ())} agents are in {name} now.")


@users.command("list")
def users_list(home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """List the users."""
    wired = open_home(home)
    with wired.database.read() as connection:
        names = names_of(connection)
        found = [user_document(user, names) for user in list_users(connection)]
    if as_json:
        emit({"users": found})
        return
    table = Table("name", "role", "agent or teams", "active", "since", title="Users")
    for user in found:
        whose = user["agent"] or ", ".join(user["teams"])
        active = "yes" if user["is_active"] else "no"
        table.add_row(escape(user["name"]), user["role"], escape(whose), active, user["created_at"][:10])
    Console().print(table)


@users.command("audit")
def users_audit(
    *,
    check: Annotated[bool, typer.Option("--verify", help="Follow the chain of hashes through the whole log.")] = False,
    head: Annotated[
        str, typer.Option(help="With --verify: the hash that an earlier check printed; the log must still have it.")
    ] = "",
    call: Annotated[str, typer.Option(help="Only what was done with this call (our id).")] = "",
    user: Annotated[str, typer.Option(help="Only what this user did.")] = "",
    limit: Annotated[int, typer.Option(help="Rows at once.", min=1, max=10_000)] = 50,
    before: Annotated[int | None, typer.Option(help="Only rows before this number.")] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Who read and changed what, the latest first; or, with --verify, whether anybody rewrote it."""
    wired = open_home(home)
    if check:
        _verify(wired, head, as_json=as_json)
        return
    call_id = read_id(call) if call else None
    with wired.database.read() as connection:
        found = entries(connection, call_id=call_id, actor=user, before=before, limit=limit)
    if as_json:
        emit({"entries": [audit_document(entry) for entry in found]})
        return
    table = Table("no.", "when (UTC)", "who", "role", "what", "call", "detail", title="Audit log")
    for entry in found:
        at, call_text = f"{entry.at:%Y-%m-%d %H:%M:%S}", str(entry.call_id or "")
        table.add_row(
            str(entry.seq), at, escape(entry.actor), entry.role or "", entry.action, call_text, escape(entry.detail)
        )
    Console().print(table)


def open_home(home: Path | None) -> Wiring:
    """The parts over a home whose database is at this version."""
    wired = wire(home)
    require_current(wired.database)
    return wired


def read_id(text: str) -> UUID:
    """An id that somebody typed; ends the command with a line about one that is none."""
    try:
        return UUID(text)
    except ValueError:
        stop(f"{text!r} is no id", 2)


def _set_active(name: str, home: Path | None, *, is_active: bool, as_json: bool) -> None:
    wired = open_home(home)
    with wired.database.write() as connection:
        changed = change_user(connection, name, is_active=is_active)
        detail = f"{changed.id} {'enabled' if is_active else 'disabled'}"
        note(connection, OPERATOR, Action.USER_CHANGED, detail=detail, now=datetime.now(UTC))
    _show(wired, changed, as_json=as_json)


def _show(wired: Wiring, user: User, *, as_json: bool) -> None:
    with wired.database.read() as connection:
        document = user_document(user, names_of(connection))
    if as_json:
        emit(document)
        return
    whose = document["agent"] or ", ".join(document["teams"])
    state = "may sign in" if user.is_active else "is let in no more"
    say(f"{user.name} is {user.role}{f' ({whose})' if whose else ''} and {state}.")


def _verify(wired: Wiring, head: str, *, as_json: bool) -> None:
    with wired.database.read() as connection:
        verdict = verify(connection)
        is_missing = bool(head) and not has_hash(connection, head)
    if as_json:
        emit(verdict.__dict__ | ({"has_given_head": not is_missing} if head else {}))
    elif verdict.broken_at is None and not is_missing:
        say(f"All {verdict.entry_count} rows follow from one another; the last has the hash")
        typer.echo(verdict.head)
    if verdict.broken_at is not None:
        stop(f"Row {verdict.broken_at} does not follow from the row before it: the log was changed.")
    if is_missing:
        stop("The log has no row with that hash any more: its end was cut off.")


def _password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else secrets.token_urlsafe(12)


def _tell_password(name: str, made: str | None) -> None:
    if made is None:
        say(f"The password of {name} is set.")
    else:
        say(f"The password of {name}, shown this once:")
        typer.echo(made)
