"""Laws of signing in at an OpenID Connect provider: who gets in, as whom, and what is not believed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crm.access import Role
from crm.tables import agent, team
from crm.users import create_user, find_user, list_users
from runtime.settings_web import OidcSettings, WebSettings
from tests.seeds import NOW, seed_call
from tests.servers.oidc import CLIENT_ID, CLIENT_SECRET, OidcServer
from tests.web_client import PASSWORD, Hall, make_hall

ROLES = {"cc-admins": "admin", "cc-leads": "lead", "cc-agents": "agent"}


@dataclass
class Visit:
    """A browser between the site and the provider."""

    hall: Hall
    provider: OidcServer

    def come(self, *, next_path: str = "") -> Any:
        """Go to the provider and back: the answer of the callback."""
        return self.hall.client.get(self.back(next_path=next_path))

    def back(self, *, next_path: str = "") -> str:
        """Go to the provider: where it sends the browser."""
        sent = self.hall.client.get("/login/oidc", params={"next": next_path})
        assert sent.status_code == 303
        return self.provider.authorize(sent.headers["location"])


@pytest.fixture(scope="module")
def server() -> Iterator[OidcServer]:
    with OidcServer(NOW.timestamp()) as running:
        yield running


@pytest.fixture
def visit(server: OidcServer, tmp_path: Path) -> Visit:
    server.lie = server.refuses = ""
    server.signs_with = ["RS256", "HS256", "none"]
    server.person.subject = "u-1001"
    server.person.claims = {
        "preferred_username": "nora",
        "groups": ["staff", "cc-admins"],
        "email": "nora@centre.example",
    }
    server.person.more = {}
    chosen = OidcSettings(issuer=server.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, roles=ROLES)
    return Visit(make_hall(tmp_path, web=WebSettings(oidc=chosen)), server)


def user(visit: Visit, name: str) -> Any:
    with visit.hall.wiring.database.read() as connection:
        return find_user(connection, name)


def test_a_person_whom_the_provider_knows_comes_in_where_she_wanted(visit):
    assert "/login/oidc?next=%2Fcalls%3Fstage%3Ddone" in visit.hall.client.get("/login?next=/calls?stage=done").text
    answer = visit.come(next_path="/calls?stage=done")
    assert (answer.status_code, answer.headers["location"]) == (303, "/calls?stage=done")
    assert visit.hall.client.get("/calls").status_code == 200
    assert (user(visit, "nora").role, user(visit, "nora").password_hash) == (Role.ADMIN, "")


def test_nobody_signs_in_with_a_password_to_an_account_of_elsewhere(visit):
    visit.come()
    for password in ("", PASSWORD, "no one has this password"):
        assert visit.hall.sign_in("nora", password).status_code in {401, 422}


@pytest.mark.parametrize("lie", ["nonce", "audience", "issuer", "expired", "key", "none", "hmac"])
def test_a_token_that_does_not_hold_lets_nobody_in(visit, lie):
    visit.provider.lie = lie
    assert visit.come().status_code == 403
    assert user(visit, "nora") is None
    assert visit.hall.client.get("/calls").status_code == 303
    visit.provider.lie = ""
    assert visit.come().status_code == 303


def test_a_provider_that_only_signs_as_others_can_lets_nobody_in(visit):
    """To HMAC's checker, the public key would be the secret."""
    visit.provider.signs_with = ["HS256", "none"]
    for lie in ("", "hmac"):
        visit.provider.lie = lie
        answer = visit.come()
        assert answer.status_code == 403
        assert "signs its ID tokens" in answer.text
    assert user(visit, "nora") is None


def test_an_answer_without_the_state_of_this_browser_is_refused(visit):
    back = visit.back()
    forged = back.replace("state=", "state=x")
    assert visit.hall.client.get(forged).status_code == 403
    visit.hall.client.cookies.clear()
    assert visit.hall.client.get(back).status_code == 403


def test_a_code_counts_once_and_only_with_its_verifier(visit):
    back = visit.back()
    assert visit.hall.client.get(back).status_code == 303
    assert visit.hall.client.get(back).status_code == 403
    stolen = dict(parse_qsl(urlsplit(visit.back()).query))["code"]
    other = visit.back()
    swapped = other.replace(dict(parse_qsl(urlsplit(other).query))["code"], stolen)
    assert visit.hall.client.get(swapped).status_code == 403


def test_an_answer_of_another_provider_is_refused(visit):
    back = visit.back()
    assert visit.hall.client.get(back.replace("iss=http", "iss=https")).status_code == 403


def test_what_the_provider_refuses_is_told(visit):
    visit.provider.refuses = "access_denied"
    answer = visit.come()
    assert answer.status_code == 403
    assert "access_denied" in answer.text


def test_a_key_that_the_provider_changed_is_looked_for(visit):
    assert visit.come().status_code == 303
    visit.provider.change_key()
    assert visit.come().status_code == 303


def test_somebody_without_a_role_does_not_come_in_and_loses_what_was_open(visit):
    visit.come()
    other = Visit(visit.hall, visit.provider)
    visit.provider.person.claims["groups"] = ["staff"]
    kept = dict(visit.hall.client.cookies)
    assert other.come().status_code == 403
    visit.hall.client.cookies.update(kept)
    assert visit.hall.client.get("/calls").status_code == 303


def test_a_disabled_account_stays_out_whatever_the_provider_says(visit):
    visit.come()
    visit.hall.deactivate("nora")
    assert visit.come().status_code == 403


def test_the_role_follows_the_provider_at_each_sign_in(visit):
    visit.come()
    with visit.hall.wiring.database.write() as connection:
        seed_call(connection, agent="Andrew K")
        team_id = uuid4()
        connection.execute(sa.insert(team).values(id=team_id, name="cc-leads"))
    visit.provider.person.claims["groups"] = ["cc-leads"]
    visit.come()
    found = user(visit, "nora")
    assert (found.role, found.team_ids) == (Role.LEAD, frozenset({team_id}))


def test_an_agent_is_known_by_a_verified_address(visit):
    with visit.hall.wiring.database.write() as connection:
        seed_call(connection, agent="Nora N")
        connection.execute(sa.update(agent).values(email="Nora@Centre.example"))
    visit.provider.person.claims |= {"groups": ["cc-agents"]}
    for said in ({}, {"email_verified": False}, {"email_verified": "true"}):
        visit.provider.person.claims |= said
        visit.come()
        assert user(visit, "nora").agent_id is None
    visit.provider.person.claims["email_verified"] = True
    visit.come()
    assert user(visit, "nora").agent_id is not None
    assert len(visit.hall.client.get("/api/v1/calls").json()["calls"]) == 1


def test_groups_that_only_the_user_info_tells_count_when_it_is_of_the_same_person(visit):
    del visit.provider.person.claims["groups"]
    visit.provider.person.more = {"groups": ["cc-admins"]}
    visit.provider.lie = "userinfo"
    assert visit.come().status_code == 403
    visit.provider.lie = ""
    assert visit.come().status_code == 303


def test_an_account_of_callwise_is_not_taken_over_by_its_name(visit):
    visit.provider.person.claims["preferred_username"] = "maria"
    visit.come()
    with visit.hall.wiring.database.read() as connection:
        names = [one.name for one in list_users(connection)]
    assert names[0] == "maria"
    assert names[1].startswith("maria (")
    assert visit.hall.sign_in("maria").status_code == 303


def test_another_person_of_the_same_name_is_another_account(visit):
    visit.come()
    visit.provider.person.subject = "u-2002"
    visit.come()
    with visit.hall.wiring.database.read() as connection:
        assert len(list_users(connection)) == 3


def test_a_provider_that_is_away_is_said_so(tmp_path):
    chosen = OidcSettings(issuer="http://127.0.0.1:9", client_id=CLIENT_ID)
    hall = make_hall(tmp_path, web=WebSettings(oidc=chosen))
    assert hall.client.get("/login/oidc").status_code == 503


def test_without_a_provider_there_is_no_such_door(tmp_path):
    assert make_hall(tmp_path).client.get("/login/oidc").status_code == 404


def test_passwords_can_be_switched_off(server, tmp_path):
    chosen = OidcSettings(issuer=server.url, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, roles=ROLES)
    hall = make_hall(tmp_path, web=WebSettings(oidc=chosen, passwords=False))
    assert 'name="password"' not in hall.client.get("/login").text
    with hall.wiring.database.write() as connection:
        create_user(connection, "ben", PASSWORD, "admin", NOW)
    assert hall.client.get("/api/v1/calls", auth=("ben", PASSWORD)).status_code == 401


def test_a_third_person_of_one_name_whom_nobody_can_tell_apart_is_told_so(visit):
    with visit.hall.wiring.database.write() as connection:
        subject = f"{visit.provider.url} u-1001"
        for taken in ("nora", f"nora ({subject[-12:]})"):
            create_user(connection, taken, PASSWORD, "analyst", NOW)
    answer = visit.come()
    assert answer.status_code == 403
    assert "there is a user named" in answer.text
