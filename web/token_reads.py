"""Reads by token that come together: answered on one connection, and written down in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

import sqlalchemy as sa
from starlette.responses import Response

from crm.access import Permission, Viewer
from crm.audit import Deed
from crm.tokens import Token, needs_use_noted, note_use, viewer_of_token
from web.auth import count_request
from web.errors import NotSignedIn
from web.site import Site

# Who is first does not wait for many that take long.
NEXT_WITHIN_S = 0.03


@dataclass(frozen=True)
class Read:
    """An answer, and what has to be written down before it leaves; None where nothing has."""

    response: Response
    action: str | None


@dataclass(frozen=True)
class Asked:
    """What is asked for, by whom, and what one has to be permitted for it."""

    read: Callable[[sa.Connection, Site, Viewer, UUID], Read]
    wanted: UUID
    token: str
    permissions: Sequence[Permission]


def read_all(site: Site, asked: Sequence[Asked], *, next_within_s: float = NEXT_WITHIN_S) -> list[Response | Exception]:
    """The answers or the errors of the first of these requests, in order: after `next_within_s` no other is begun.

    All have come before the first is answered: each token is looked up once. Raises what kept a reading from being
    written down, or the database from being read.
    """
    now, ends_at = site.clock(), monotonic() + next_within_s
    bearers: dict[str, tuple[Viewer, Token] | None] = {}
    deeds: list[Deed] = []

    def answer(connection: sa.Connection, one: Asked) -> Response:
        if one.token not in bearers:
            bearers[one.token] = viewer_of_token(connection, one.token, now)
        bearer = bearers[one.token]
        if bearer is None:
            raise NotSignedIn
        viewer, _ = bearer
        count_request(site, viewer)
        viewer.require(*one.permissions)
        read = one.read(connection, site, viewer, one.wanted)
        if read.action:
            deeds.append(Deed(viewer, read.action, now, one.wanted))
        return read.response

    found: list[Response | Exception] = []
    with site.wiring.database.glance() as connection:
        for one in asked:
            if found and monotonic() > ends_at:
                break
            try:
                found.append(answer(connection, one))
            except sa.exc.DBAPIError:
                raise
            except Exception as error:  # noqa: BLE001 - raised where this was asked for
                found.append(error)
    used = [bearer[1].id for bearer in bearers.values() if bearer and needs_use_noted(bearer[1], now)]
    if used:
        with site.wiring.database.write() as connection:
            for token_id in used:
                note_use(connection, token_id, now)
    site.readings.note_all(site.wiring.database, deeds)
    return found
