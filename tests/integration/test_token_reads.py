"""Laws of reads by token that come together: each is allowed, answered and written down as if it had come alone."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from calls.errors import TransientError
from crm.access import NotAllowed, Permission
from crm.access_tables import api_token
from crm.audit import entries, verify
from crm.calls import NoSuchCall
from crm.database import Database
from crm.tokens import create_token, revoke_token
from runtime.settings import Settings
from runtime.settings_site import DatabaseSettings
from runtime.wiring import Wiring
from tests.seeds import NOW, seed_call, seed_taxonomy
from tests.statements import statements
from tests.web_client import Clock, make_user
from web.api_calls import ReadOfCall
from web.app import create_app
from web.errors import NotSignedIn
from web.site import Site
from web.token_reads import Asked, read_all


@pytest.fixture
def site(any_database: Database, tmp_path: Path) -> Iterator[Site]:
    url = any_database.url.render_as_string(hide_password=False)
    wiring = Wiring(Settings(home=tmp_path, database=DatabaseSettings(url=url)))
    yield create_app(wiring, clock=Clock()).state.site
    wiring.database.dispose()


@pytest.fixture
def calls(site: Site) -> list[UUID]:
    with site.wiring.database.write() as connection:
        seed_taxonomy(connection)
        return [seed_call(connection) for _ in range(3)]


def token(site: Site, name: str, *scopes: Permission) -> str:
    with site.wiring.database.write() as connection:
        user = make_user(connection, name, "admin", NOW)
        return create_token(connection, user, "programs", scopes, lifetime=timedelta(days=1), now=NOW)[1]


def asked(text: str, calls: Sequence[UUID]) -> list[Asked]:
    return [Asked(ReadOfCall.read, one, text, (Permission.READ_CALLS,)) for one in calls]


def test_reads_that_come_together_look_a_token_up_once_and_are_written_in_one_go(site, calls):
    ours, theirs = token(site, "ann", Permission.READ_CALLS), token(site, "bob", Permission.READ_CALLS)
    read_all(site, [*asked(ours, [uuid4()]), *asked(theirs, [uuid4()])])
    with statements(site.wiring.database) as found:
        read_all(site, [*asked(ours, calls[:2]), *asked(theirs, calls), *asked(ours, calls)], next_within_s=60)
    looked_up = [one for one in found if "FROM app_user" in one]
    written = [one for one in found if one.startswith("INSERT INTO audit_entry")]
    assert (len(looked_up), len(written)) == (2, 1)
    with site.wiring.database.read() as connection:
        log = entries(connection)
        assert verify(connection).broken_at is None
    assert sorted((one.actor, str(one.call_id)) for one in log) == sorted(
        (name, str(one)) for name in ("ann", "bob") for one in calls
    )


def test_who_takes_long_does_not_keep_the_others_answers(site, calls):
    ours = token(site, "ann", Permission.READ_CALLS)
    assert len(read_all(site, asked(ours, calls), next_within_s=-1)) == 1


def test_nobody_is_refused_or_let_in_for_another(site, calls):
    reads, corrects = token(site, "ann", Permission.READ_CALLS), token(site, "bob", Permission.CORRECT)
    gone = token(site, "eve", Permission.READ_CALLS)
    with site.wiring.database.write() as connection:
        hint = gone[:10]
        revoke_token(connection, connection.execute(sa.select(api_token.c.id).filter_by(hint=hint)).scalar_one(), NOW)
    together = [asked(text, [one])[0] for text, one in ((gone, calls[0]), (reads, uuid4()), (corrects, calls[0]))]
    found = read_all(site, [*together, *asked(reads, calls[:1])], next_within_s=60)
    assert [type(one) for one in found[:3]] == [NotSignedIn, NoSuchCall, NotAllowed]
    assert found[3].status_code == 200
    with site.wiring.database.read() as connection:
        assert [(one.actor, one.call_id) for one in entries(connection)] == [("ann", calls[0])]


def test_what_cannot_be_written_down_is_not_shown(site, calls):
    ours = token(site, "ann", Permission.READ_CALLS)
    with site.wiring.database.write() as connection:
        connection.execute(sa.text("ALTER TABLE audit_entry RENAME TO mislaid"))
    with pytest.raises((TransientError, sa.exc.DBAPIError)):
        read_all(site, asked(ours, calls[:1]))
