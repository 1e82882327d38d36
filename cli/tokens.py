"""`tokens`: what programs call the API with."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.common import HomeOption, JsonFlag, emit, say
from cli.users import open_home, read_id
from crm.access import OPERATOR, Permission
from crm.audit import Action, note
from crm.tokens import create_token, list_tokens, revoke_token
from crm.user_documents import token_document
from crm.users import user_named

tokens = typer.Typer(help="What programs call the API with.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(tokens, name="tokens")


@tokens.command("create")
def tokens_create(
    user: Annotated[str, typer.Argument(help="Whose token it is: it sees no more than this user.")],
    name: Annotated[str, typer.Argument(help="What it is for.")],
    *,
    scope: Annotated[list[str], typer.Option("--scope", help=f"Repeatable; of {', '.join(Permission)}.")],
    days: Annotated[int, typer.Option(help="How long it opens anything.", min=1, max=366)] = 90,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    wired = open_home(home)
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        owner = user_named(connection, user)
        made, text = create_token(connection, owner, name, scope, lifetime=timedelta(days=days), now=now)
        note(connection, OPERATOR, Action.TOKEN_MADE, detail=f"{made.id} of {owner.id}", now=now)
    if as_json:
        emit(token_document(made, now) | {"token": text})
        return
    say(f"The token {made.name} of {user}, shown this once; it ends on {made.expires_at:%Y-%m-%d}:")
    typer.echo(text)


@tokens.command("list")
def tokens_list(home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """List the tokens; nobody can read a token itself again."""
    wired = open_home(home)
    now = datetime.now(UTC)
    with wired.database.read() as connection:
        found = [token_document(token, now) for token in list_tokens(connection)]
    if as_json:
        emit({"tokens": found})
        return
    table = Table("id", "user", "name", "begins with", "scopes", "ends", "last used", "valid", title="Tokens")
    for token in found:
        table.add_row(
            token["id"],
            escape(token["user"]),
            escape(token["name"]),
            token["hint"],
            ", ".join(token["scopes"]),
            token["expires_at"][:10],
            (token["last_used_at"] or "never")[:16],
            "yes" if token["is_valid"] else "no",
        )
    Console().print(table)


@tokens.command("revoke")
def tokens_revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `tokens list` shows it.")],
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """A token opens nothing any more."""
    wired = open_home(home)
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        revoked = revoke_token(connection, read_id(token_id), now)
        note(connection, OPERATOR, Action.TOKEN_REVOKED, detail=str(revoked.id), now=now)
    if as_json:
        emit(token_document(revoked, now))
    else:
        say(f"The token {revoked.name} of {revoked.user_name} opens nothing any more.")
