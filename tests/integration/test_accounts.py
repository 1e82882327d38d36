"""Laws of accounts, sessions and tokens on both databases."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crm.access import OPERATOR, NotAllowed, Permission, Role, Viewer, visible_calls
from crm.access_tables import api_token, web_session
from crm.calls import CallFilter, NoSuchCall, earlier_calls, filter_choices, list_calls, see_call
from crm.database import Database
from crm.one_call import call_in_full
from crm.outside_users import Outsider, admit
from crm.sign_ins import end_session, end_sessions_of, open_session, user_of_session
from crm.tables import agent, call
from crm.tokens import TokenError, create_token, revoke_token, viewer_of_token
from crm.users import (
    UserError,
    agent_named,
    change_user,
    create_user,
    find_user,
    put_in_team,
    set_password,
    teams_named,
)
from tests.seeds import NOW, seed_call, seed_taxonomy

PASSWORD = "correct horse battery"
DAY = timedelta(days=1)


@pytest.fixture
def connection(any_database: Database) -> Iterator[sa.Connection]:
    with any_database.write() as connection:
        seed_taxonomy(connection)
        yield connection


def test_each_role_sees_its_calls_in_every_query(connection):
    number = "+15550100"
    own = seed_call(connection, agent="Ann", contact_number=number)
    team = seed_call(connection, agent="Abe", contact_number=number, happened_at=NOW + DAY)
    other = seed_call(connection, agent="Bob", contact_number=number, happened_at=NOW + 2 * DAY)
    put_in_team(connection, "North", [agent_named(connection, name) for name in ("Ann", "Abe")])
    north = teams_named(connection, ["North"])
    ann = create_user(connection, "ann", PASSWORD, "agent", NOW, agent_id=agent_named(connection, "Ann")).viewer()
    lea = create_user(connection, "lea", PASSWORD, "lead", NOW, team_ids=north).viewer()
    for viewer, seen, agents in ((ann, [own], ("Ann",)), (lea, [team, own], ("Abe", "Ann"))):
        assert [line.id for line in list_calls(connection, viewer, CallFilter()).calls] == seen
        assert filter_choices(connection, viewer).agents == agents
        with pytest.raises(NoSuchCall):
            see_call(connection, viewer, other)
        with pytest.raises(NoSuchCall):
            call_in_full(connection, viewer, other)
        assert {line.id for line in earlier_calls(connection, viewer, other)} == set(seen)
    assert len(list_calls(connection, OPERATOR, CallFilter()).calls) == 3


@pytest.mark.parametrize(
    "viewer",
    [
        Viewer("nobody", None),
        Viewer("unbound", Role.AGENT),
        Viewer("teamless", Role.LEAD),
        Viewer("narrow", Role.ADMIN, scopes=frozenset({Permission.OPERATE})),
    ],
)
def test_whoever_no_rule_lets_see_a_call_sees_none(connection, viewer):
    seed_call(connection, agent=None)
    seed_call(connection, agent="Ann")
    assert connection.execute(sa.select(call.c.id).where(visible_calls(viewer))).all() == []


def test_what_is_missing_is_named():
    narrow = Viewer("narrow", Role.ADMIN, scopes=frozenset({Permission.READ_CALLS}))
    with pytest.raises(NotAllowed, match="correct is missing"):
        narrow.require(Permission.READ_CALLS, Permission.CORRECT)
    with pytest.raises(NotAllowed, match="read_calls is missing"):
        Viewer("nobody", None).require(Permission.READ_CALLS)


def test_a_session_ends_by_time_by_hand_by_a_password_and_with_the_account(connection):
    user = create_user(connection, "ann", PASSWORD, "analyst", NOW)
    create_user(connection, "maria", PASSWORD, "admin", NOW)
    for number in range(5):
        open_session(connection, user.id, f"key{number}", now=NOW, expires_at=NOW + DAY)
    assert user_of_session(connection, "key0", NOW).name == "ann"
    assert user_of_session(connection, "key0", NOW + DAY) is None
    end_session(connection, "key0")
    assert user_of_session(connection, "key0", NOW) is None
    assert end_sessions_of(connection, user.id) == 4
    open_session(connection, user.id, "again", now=NOW, expires_at=NOW + DAY)
    set_password(connection, "ann", "another good password")
    assert user_of_session(connection, "again", NOW) is None
    open_session(connection, user.id, "again", now=NOW, expires_at=NOW + DAY)
    change_user(connection, "ann", is_active=False)
    change_user(connection, "ann", is_active=True)
    assert user_of_session(connection, "again", NOW) is None


def test_sessions_that_are_over_leave_no_rows(connection):
    user = create_user(connection, "ann", PASSWORD, "analyst", NOW)
    open_session(connection, user.id, "old", now=NOW, expires_at=NOW + DAY)
    open_session(connection, user.id, "new", now=NOW + 2 * DAY, expires_at=NOW + 3 * DAY)
    assert connection.execute(sa.select(web_session.c.key_hash)).scalars().all() == ["new"]


def test_a_token_is_kept_as_a_hash_and_opens_until_its_end(connection):
    user = create_user(connection, "ann", PASSWORD, "analyst", NOW)
    made, text = create_token(connection, user, "report", ["read_calls"], lifetime=DAY, now=NOW)
    (row,) = connection.execute(sa.select(api_token)).all()
    assert text not in str(row)
    viewer, token = viewer_of_token(connection, text, NOW)
    assert (viewer.may(Permission.READ_CALLS), viewer.may(Permission.ASK), token) == (True, False, made)
    assert viewer_of_token(connection, text, NOW + DAY) is None
    assert viewer_of_token(connection, text[:-1], NOW) is None
    revoke_token(connection, made.id, NOW)
    assert viewer_of_token(connection, text, NOW) is None


@pytest.mark.parametrize(
    ("scopes", "days", "code"),
    [
        (["erase"], 1, "wrong_scope"),
        (["fly"], 1, "wrong_scope"),
        ([], 1, "wrong_scope"),
        (["ask"], 0, "wrong_lifetime"),
        (["ask"], 400, "wrong_lifetime"),
    ],
)
def test_a_token_that_reaches_too_far_or_lives_too_long_is_not_made(connection, scopes, days, code):
    user = create_user(connection, "ann", PASSWORD, "analyst", NOW)
    with pytest.raises(TokenError) as refused:
        create_token(connection, user, "x", scopes, lifetime=timedelta(days=days), now=NOW)
    assert refused.value.code == code
    with pytest.raises(TokenError):
        revoke_token(connection, uuid4(), NOW)


def test_the_last_admin_who_is_let_in_stays_one(connection):
    create_user(connection, "maria", PASSWORD, "admin", NOW)
    create_user(connection, "ben", PASSWORD, "admin", NOW)
    change_user(connection, "ben", is_active=False)
    for change in ({"is_active": False}, {"role": "lead"}):
        with pytest.raises(UserError, match="last one"):
            change_user(connection, "maria", **change)
    change_user(connection, "ben", is_active=True)
    assert change_user(connection, "maria", role="analyst").role is Role.ANALYST


def test_another_role_drops_what_it_has_no_use_for(connection):
    seed_call(connection, agent="Ann")
    create_user(connection, "ann", PASSWORD, "agent", NOW, agent_id=agent_named(connection, "Ann"))
    assert change_user(connection, "ann", role="reviewer").agent_id is None
    assert find_user(connection, "ann").agent_id is None


def test_two_agents_of_one_address_are_nobodys_account(connection):
    seed_call(connection, agent="Ann")
    seed_call(connection, agent="Abe")
    connection.execute(sa.update(agent).values(email="team@centre.example"))
    who = Outsider("https://id.example u-1", "ann", Role.AGENT, ("team@centre.example",))
    assert admit(connection, who, NOW).agent_id is None
    assert admit(connection, Outsider(who.subject, "ann", Role.AGENT, ("ann",)), NOW).agent_id is not None
    assert admit(connection, Outsider(who.subject, "ann", None), NOW) is None
