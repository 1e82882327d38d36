"""Laws of what programs read beside calls: customers, reasons, exports, users and tokens, the reference page."""

import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from crm.access import PERMISSIONS, Role
from crm.results import file_call
from crm.tables import contact
from crm.tokens import create_token
from crm.users import create_user
from tests.api_callers import caller
from tests.seeds import NOW, TAXONOMY, seed_call
from tests.web_client import PASSWORD, make_hall

OTHER_REASONS = """
title: Ours
reasons:
- {code: delivery_status, label: Delivery, definition: Where something is.}
- {code: repair, label: Repair, definition: Something is broken., replaces: [repair_booking]}
"""


@pytest.fixture
def hall(tmp_path):
    return make_hall(tmp_path / "home")


@pytest.fixture
def admin(hall):
    return caller(hall)


def code(response):
    return response.status_code, response.json()["code"]


def test_a_customer_is_found_and_read_with_calls_and_what_they_are_about(hall, admin):
    with hall.wiring.database.write() as connection:
        for hours in (0, 5, 90):
            call_id = seed_call(connection, happened_at=NOW + timedelta(hours=hours), customer_name="Rosa Diaz")
            file_call(connection, call_id)
        contact_id = connection.execute(sa.select(contact.c.id)).scalar_one()
    found = admin.get("/api/v1/customers", params={"text": "rosa"}).json()
    assert [(one["id"], one["name"], one["call_count"]) for one in found["customers"]] == [
        (str(contact_id), "Rosa Diaz", 3)
    ]
    first = admin.get(f"/api/v1/customers/{contact_id}", params={"limit": 2}).json()
    second = admin.get(f"/api/v1/customers/{contact_id}", params={"limit": 2, "after": first["next"]}).json()
    assert (len(first["calls"]), len(second["calls"]), second["next"]) == (2, 1, None)
    assert [(one["code"], one["call_count"], one["repeat_count"]) for one in first["reasons"]] == [
        ("delivery_status", 3, 2)
    ]
    assert code(admin.get(f"/api/v1/customers/{call_id}")) == (404, "no_such_customer")
    stranger = caller(hall, "agent")
    assert code(stranger.get(f"/api/v1/customers/{contact_id}")) == (404, "no_such_customer")


def test_a_filter_that_there_is_not_is_said_and_not_passed_over(hall, admin):
    wrong = admin.get("/api/v1/calls", params={"reasn": "delivery_status"})
    assert code(wrong) == (400, "wrong_request")
    assert "'reasn'" in wrong.json()["detail"]
    assert ", reason, " in wrong.json()["detail"]
    assert code(admin.get("/api/v1/reasons", params={"limit": 1})) == (400, "wrong_request")
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
    assert admin.get(f"/api/v1/calls/{call_id}").status_code == 200
    assert code(admin.get(f"/api/v1/calls/{call_id}", params={"full": 1})) == (400, "wrong_request")


def test_reasons_are_planned_without_a_change_and_then_loaded(hall, admin):
    before = admin.get("/api/v1/reasons").json()
    assert (before["version"], before["is_current"]) == (TAXONOMY.version, True)
    planned = admin.post("/api/v1/reasons/plan", json={"text": OTHER_REASONS}).json()
    assert (planned["is_current"], planned["changes"]["replaced"]) == (False, {"repair_booking": "repair"})
    assert admin.get("/api/v1/reasons").json() == before
    loaded = admin.put("/api/v1/reasons", json={"text": OTHER_REASONS})
    assert (loaded.status_code, loaded.json()["is_current"]) == (200, True)
    assert [one["code"] for one in admin.get("/api/v1/reasons").json()["reasons"]] == ["delivery_status", "repair"]
    versions = admin.get("/api/v1/reasons/versions").json()["versions"]
    assert sorted(one["is_current"] for one in versions) == [False, True]
    assert admin.get(f"/api/v1/reasons/versions/{TAXONOMY.version}").json() == before | {"is_current": False}
    assert code(admin.get("/api/v1/reasons/versions/none")) == (404, "no_such_version")
    for text in ("reasons: 7", "{", "reasons: []"):
        assert code(admin.put("/api/v1/reasons", json={"text": text})) == (422, "wrong_reasons_file")
    assert code(caller(hall, "analyst").put("/api/v1/reasons", json={"text": OTHER_REASONS})) == (403, "not_allowed")


def test_exports_are_for_those_who_may_read_what_stands_in_them(hall, admin):
    folder = Path(hall.wiring.settings.exports_place)
    (folder / "csv").mkdir(parents=True)
    entries = []
    for name, personal in (("calls.csv", False), ("people.csv", True)):
        (folder / "csv" / name).write_text("a,b\n")
        entries.append(
            {
                "path": f"csv/{name}",
                "kind": "csv",
                "rows": 0,
                "bytes": 4,
                "sha256": "x",
                "generated_at": NOW.isoformat(),
            }
            | {"personal_data": personal}
        )
    outside = {"path": "../web-secret"}
    (folder / "manifest.json").write_text(json.dumps({"files": [*entries, entries[0] | outside, {"path": 7}]}))

    def seen(program):
        listed = program.get("/api/v1/exports").json()["files"]
        return {
            one["path"]: program.get(f"/api/v1/exports/{one['path']}").status_code
            for one in listed
            if ".." not in one["path"]
        }

    assert seen(admin) == {"csv/calls.csv": 200, "csv/people.csv": 200}
    assert seen(caller(hall, "analyst")) == {"csv/calls.csv": 200}
    assert code(caller(hall, "analyst", "b").get("/api/v1/exports/csv/people.csv")) == (403, "not_allowed")
    # An export tells of all calls: a lead has those of a team.
    assert seen(caller(hall, "lead")) == {}
    assert code(caller(hall, "lead", "c").get("/api/v1/exports/csv/calls.csv")) == (403, "not_allowed")
    assert code(caller(hall, "agent").get("/api/v1/exports")) == (403, "not_allowed")
    for path in ("%2e%2e/web-secret", "csv/..%2f..%2fweb-secret", "manifest.json", "csv/none.csv"):
        assert code(admin.get(f"/api/v1/exports/{path}")) == (404, "no_such_export")
    (folder / "manifest.json").write_text("{")
    assert seen(admin) == {}


def test_users_are_made_changed_and_shut_out_and_tokens_made_only_by_people(hall, admin):
    hall.client.auth = ("maria", PASSWORD)
    made = hall.client.post("/api/v1/users", json={"name": "ben", "role": "lead", "password": PASSWORD})
    assert (made.status_code, made.json()["role"], made.json()["teams"]) == (201, "lead", [])
    again = hall.client.post("/api/v1/users", json={"name": "ben", "role": "lead", "password": PASSWORD})
    assert code(again) == (422, "name_taken")
    short = hall.client.post("/api/v1/users", json={"name": "cy", "role": "lead", "password": "short"})
    assert code(short) == (422, "weak_password")
    hall.client.auth = None
    assert admin.patch("/api/v1/users/ben", json={"role": "analyst"}).json()["role"] == "analyst"
    assert code(admin.patch("/api/v1/users/nobody", json={"role": "analyst"})) == (404, "no_such_user")
    wanted = {"user": "ben", "name": "report", "scopes": ["read_calls"], "days": 7}
    assert code(admin.post("/api/v1/tokens", json=wanted)) == (403, "not_allowed")
    maria = (("maria", PASSWORD), "/api/v1/tokens")
    made = hall.client.post(maria[1], json=wanted, auth=maria[0])
    assert (made.status_code, made.headers["cache-control"], made.json()["user"]) == (201, "no-store", "ben")
    bearer = {"Authorization": f"Bearer {made.json()['token']}"}
    assert hall.client.get("/api/v1/calls", headers=bearer).status_code == 200
    assert code(hall.client.get("/api/v1/exports", headers=bearer)) == (403, "not_allowed")
    assert code(hall.client.post(maria[1], json=wanted | {"scopes": ["erase"]}, auth=maria[0])) == (422, "wrong_scope")
    keyed = hall.client.post(maria[1], json=wanted, auth=maria[0], headers={"Idempotency-Key": "k"})
    assert keyed.status_code == 422
    token_id = made.json()["id"]
    assert admin.delete(f"/api/v1/tokens/{token_id}").json()["is_valid"] is False
    assert hall.client.get("/api/v1/calls", headers=bearer).status_code == 401
    assert admin.patch("/api/v1/users/ben", json={"is_active": False}).json()["is_active"] is False
    actions = [one["action"] for one in admin.get("/api/v1/audit", params={"limit": 500}).json()["entries"]]
    assert {"user_added", "user_changed", "token_made", "token_revoked"} <= set(actions)
    assert admin.get("/api/v1/audit/verdict").json()["broken_at"] is None


def test_a_token_gives_no_passwords_and_no_role_beyond_its_scopes(hall, admin):
    """Else one that may only manage users would be everything to whoever holds it."""
    with hall.wiring.database.write() as connection:
        create_user(connection, "ben", PASSWORD, "analyst", NOW)
        made = create_user(connection, "clerk", PASSWORD, "admin", NOW)
        scopes = ["manage_users", *(one.value for one in PERMISSIONS[Role.AGENT])]
        _, text = create_token(connection, made, "clerk", scopes, lifetime=timedelta(days=1), now=NOW)
    clerk = TestClient(hall.app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {text}"})
    user = {"name": "eve", "role": "admin", "password": PASSWORD}
    for program in (clerk, admin):
        assert code(program.post("/api/v1/users", json=user)) == (403, "not_allowed")
        assert code(program.patch("/api/v1/users/maria", json={"password": PASSWORD})) == (403, "not_allowed")
    assert code(clerk.patch("/api/v1/users/ben", json={"role": "admin"})) == (403, "not_allowed")
    assert clerk.patch("/api/v1/users/ben", json={"role": "agent"}).json()["role"] == "agent"
    assert admin.patch("/api/v1/users/ben", json={"role": "lead"}).json()["role"] == "lead"
    assert [one["name"] for one in admin.get("/api/v1/users").json()["users"]].count("eve") == 0


def test_the_audit_log_is_paged_by_its_numbers(hall, admin):
    for number in range(5):
        assert admin.patch("/api/v1/users/program-admin", json={"teams": []}).status_code == 200, number
    seen, before = [], None
    while True:
        page = admin.get("/api/v1/audit", params={"limit": 2} | ({"before": before} if before else {})).json()
        seen += [one["seq"] for one in page["entries"]]
        before = page["next"]
        if before is None:
            break
    assert seen == list(range(len(seen), 0, -1))
    assert len(seen) >= 5


def test_the_reference_page_shows_every_operation_and_loads_nothing_from_elsewhere(hall):
    hall.sign_in()
    page = hall.client.get("/api/reference")
    assert page.status_code == 200
    document = hall.client.get("/api/v1/openapi.json").json()
    text = unescape(page.text)
    for path, item in document["paths"].items():
        for method in item:
            assert f"{method.upper()} {path}" in text
    assert all(f'id="schema-{name}"' in text for name in document["components"]["schemas"])
    links = set(re.findall(r'(?:href|src)="([^"]+)"', page.text))
    assert all(link.startswith(("/", "#")) for link in links)
    ids = re.findall(r'id="([^"]+)"', page.text)
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_the_document_tells_errors_examples_and_permissions(hall):
    document = hall.client.get("/api/v1/openapi.json").json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            place = f"{method} {path}"
            assert operation["description"], place
            assert {"401", "403", "429", "503"} <= operation["responses"].keys(), place
            assert operation["security"], place
            assert operation["x-permissions"], place
            for status, response in operation["responses"].items():
                if status >= "4":
                    assert list(response["content"]) == ["application/problem+json"], place
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                name = body["schema"]["$ref"].rpartition("/")[2]
                assert document["components"]["schemas"][name]["examples"], place


def test_every_list_that_is_read_is_known_by_its_etag(hall, admin):
    document = hall.client.get("/api/v1/openapi.json").json()
    paths = [path for path, item in document["paths"].items() if "get" in item and "{" not in path]
    tagged = {path: admin.get(path).headers.get("etag") for path in paths}
    assert [path for path, etag in tagged.items() if etag is None] == []
    # When the next look is due stands in the state of the work.
    moving = {"/api/v1/status", "/api/v1/operations", "/api/v1/audit", "/api/v1/audit/verdict"}
    again = {path: admin.get(path, headers={"If-None-Match": tagged[path]}).status_code for path in paths}
    assert {path: status for path, status in again.items() if status != 304 and path not in moving} == {}
