"""Laws of the pages of users, tokens, the audit log and one's own account."""

import html
import re
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crm.access import Permission, Role
from crm.audit import entries
from crm.tables import team
from crm.tokens import list_tokens
from crm.users import create_user, find_user
from tests.seeds import NOW, seed_call
from tests.web_client import PASSWORD, Hall, make_hall
from tests.xss import XSS


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    made = make_hall(tmp_path)
    with made.wiring.database.write() as connection:
        seed_call(connection, agent="Andrew K")
        connection.execute(sa.insert(team).values(id=uuid4(), name="Deliveries"))
    made.sign_in()
    return made


def secret_of(page: str) -> str:
    found = re.search(r'<code class="secret">([^<]+)</code>', page)
    assert found, "the page shows nothing once"
    return html.unescape(found[1])


def test_a_user_whom_an_admin_makes_signs_in_and_sees_what_the_role_says(hall):
    page = hall.post("/users", name="ann", role="agent", agent="Andrew K")
    password = secret_of(page.text)
    assert password not in hall.client.get("/users").text
    hall.client.cookies.clear()
    assert hall.sign_in("ann", password).status_code == 303
    assert len(hall.client.get("/api/v1/calls").json()["calls"]) == 1
    assert hall.client.get("/users").status_code == 403


def test_another_role_counts_from_the_next_request_on(hall):
    password = secret_of(hall.post("/users", name="lea", role="analyst").text)
    other = make_hall(hall.wiring.settings.home_path, create=False)
    other.sign_in("lea", password)
    assert len(other.client.get("/api/v1/calls").json()["calls"]) == 1
    assert hall.post("/users/lea/role", role="lead", teams="Deliveries").status_code == 200
    # Nobody is in that team.
    assert other.client.get("/api/v1/calls").json()["calls"] == []


@pytest.mark.parametrize("name", ["sales/ann", "a?b#c", "50 %"])
def test_somebody_of_any_name_can_be_let_in_no_more(hall, name):
    page = hall.post("/users", name=name, role="analyst").text
    path = f"/users/{quote(name, safe='')}"
    assert f'action="{path}/active"' in page
    assert "is let in no more" in hall.post(f"{path}/active", is_active="false").text
    assert hall.client.patch(f"/api/v1{path}", json={"is_active": True}).json()["is_active"] is True


@pytest.mark.parametrize("way", ["sign-out", "active", "password"])
def test_an_admin_ends_every_session_of_somebody_at_once(hall, way):
    password = secret_of(hall.post("/users", name="lea", role="analyst").text)
    others = [make_hall(hall.wiring.settings.home_path, create=False) for _ in range(2)]
    for other in others:
        other.sign_in("lea", password)
    hall.post(f"/users/lea/{way}", **({"is_active": "false"} if way == "active" else {}))
    assert [other.client.get("/calls").status_code for other in others] == [303, 303]
    assert hall.client.get("/calls").status_code == 200


def test_signing_out_ends_the_session_for_whoever_kept_its_cookie(hall):
    cookie = hall.client.cookies["callwise_session"]
    hall.post("/logout")
    hall.client.cookies.set("callwise_session", cookie)
    assert hall.client.get("/calls").status_code == 303


def test_signing_out_everywhere_ends_ones_sessions_on_every_machine(hall):
    other = make_hall(hall.wiring.settings.home_path, create=False)
    other.sign_in()
    other.post("/account/sign-out")
    assert hall.client.get("/calls").status_code == 303


def test_a_password_is_changed_by_whoever_knows_the_old_one(hall):
    assert hall.post("/account/password", old="wrong password", new="another good password").status_code == 400
    assert hall.post("/account/password", old=PASSWORD, new="short").status_code == 400
    assert hall.post("/account/password", old=PASSWORD, new="another good password").status_code == 303
    assert hall.client.get("/calls").status_code == 303
    assert hall.sign_in(password="another good password").status_code == 303


def test_a_token_of_ones_own_is_shown_once_and_ends_when_it_is_revoked(hall):
    text = secret_of(hall.post("/account/tokens", name="report", scopes="read_calls", days="7").text)
    assert text not in hall.client.get("/account").text
    bearer = {"Authorization": f"Bearer {text}"}
    stranger = make_hall(hall.wiring.settings.home_path, create=False)
    assert stranger.client.get("/api/v1/calls", headers=bearer).status_code == 200
    with hall.wiring.database.read() as connection:
        (token,) = list_tokens(connection)
    assert token.scopes == {Permission.READ_CALLS}
    assert token.last_used_at == NOW
    assert hall.post(f"/account/tokens/{token.id}/revoke").status_code == 200
    assert stranger.client.get("/api/v1/calls", headers=bearer).status_code == 401


def test_nobody_revokes_anothers_token_or_makes_one_that_reaches_further_than_the_role(hall):
    hall.post("/tokens", user="maria", name="report", scopes="read_calls", days="7")
    password = secret_of(hall.post("/users", name="ana", role="analyst").text)
    with hall.wiring.database.read() as connection:
        (token,) = list_tokens(connection)
    other = make_hall(hall.wiring.settings.home_path, create=False)
    other.sign_in("ana", password)
    form = {"form_token": Hall.token_in(other.client.get("/account").text)}
    assert other.client.post(f"/account/tokens/{token.id}/revoke", data=form).status_code == 404
    wish = form | {"name": "all", "scopes": "erase", "days": "7"}
    assert other.client.post("/account/tokens", data=wish).status_code == 400
    with hall.wiring.database.read() as connection:
        assert [one.revoked_at for one in list_tokens(connection)] == [None]


def test_a_role_that_shrinks_shrinks_its_tokens(hall):
    with hall.wiring.database.write() as connection:
        create_user(connection, "ben", PASSWORD, "admin", NOW)
    text = secret_of(hall.post("/tokens", user="ben", name="ops", scopes="operate", days="7").text)
    bearer = {"Authorization": f"Bearer {text}"}
    stranger = make_hall(hall.wiring.settings.home_path, create=False)
    assert stranger.client.get("/api/v1/status", headers=bearer).status_code == 200
    hall.post("/users/ben/role", role="analyst")
    assert stranger.client.get("/api/v1/status", headers=bearer).status_code == 403
    hall.post("/users/ben/active", is_active="false")
    assert stranger.client.get("/api/v1/status", headers=bearer).status_code == 401


def test_what_cannot_be_done_is_said_and_changes_nothing(hall):
    for path, wish in (
        ("/users", {"name": "maria", "role": "agent"}),
        ("/users", {"name": "x", "role": "king"}),
        ("/users", {"name": "x", "role": "agent", "agent": "Nobody Such"}),
        ("/users/maria/role", {"role": "analyst"}),
        ("/users/maria/active", {"is_active": "false"}),
        ("/users/nobody/password", {}),
        ("/tokens", {"user": "maria", "name": "x", "days": "7"}),
    ):
        answer = hall.post(path, **wish)
        assert answer.status_code == 400, path
        assert 'role="alert"' in answer.text
    with hall.wiring.database.read() as connection:
        assert find_user(connection, "maria").role is Role.ADMIN
        assert find_user(connection, "x") is None


@pytest.mark.parametrize("hostile", XSS)
def test_names_are_text_on_every_page(hall, hostile):
    name = hostile[:90].strip()
    hall.post("/users", name=name, role="analyst")
    hall.post("/tokens", user="maria", name=name, scopes="read_calls", days="7")
    for path in ("/users", "/account", "/audit"):
        page = hall.client.get(path).text
        assert name not in page or name == html.escape(name)


def test_the_audit_log_shows_who_read_what_and_that_it_is_whole(hall):
    with hall.wiring.database.read() as connection:
        call_id = connection.execute(sa.text("SELECT id FROM call").columns(id=sa.Uuid)).scalar_one()
    for _ in range(3):
        hall.client.get(f"/calls/{call_id}")
    hall.client.get(f"/api/v1/calls/{uuid4()}")
    with hall.wiring.database.read() as connection:
        written = [(entry.action, entry.actor, entry.call_id) for entry in entries(connection)]
    # Loading a page again is one reading, and a call that is not there was not read.
    assert written == [("read_transcript", "maria", call_id), ("sign_in", "maria", None)]
    page = hall.client.get(f"/audit?call={call_id}&check=true").text
    assert "All 2 rows follow from one another" in page
    assert f'href="/calls/{call_id}"' in page
