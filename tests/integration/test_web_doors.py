"""Laws of the doors: who gets in, from where, and what every answer carries."""

import base64
import re
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from crm.users import create_user, set_password
from runtime.settings import Settings
from runtime.settings_web import WebSettings
from runtime.wiring import Wiring
from tests.web_client import PASSWORD, Hall, make_hall
from web.app import create_app
from web.auth import own_path


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    return make_hall(tmp_path)


PAGES = ("/calls", "/trends", "/operations", "/calls/7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1")
DOCUMENTS = (
    "/api/v1/calls",
    "/api/v1/status",
    "/api/v1/trends",
    "/api/v1/calls/7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1",
    "/api/v1/calls/7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1/audio",
)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_sends_a_stranger_to_the_sign_in_and_back(hall, path):
    answer = hall.client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=%2F")


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_api_tells_a_stranger_so_as_problem_json(hall, path):
    answer = hall.client.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_signed_in"


def test_every_route_but_the_sign_in_and_health_is_closed_to_strangers(hall):
    # Stores have tokens of their own, and Twilio signs: tests/integration/test_web_events.py and test_twilio.py.
    open_paths = {
        "/login",
        "/login/oidc",
        "/login/oidc/callback",
        "/healthz",
        "/",
        "/api/v1/openapi.json",
        "/events/objects",
        "/webhooks/twilio",
    }
    seen = set()
    for method, path in hall.doors():
        if path in open_paths:
            continue
        answer = hall.client.request(method, path.replace("{call_id}", "7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1"))
        assert answer.status_code in {303, 401, 403}, (method, path)
        assert answer.headers.get("location", "/login").startswith("/login"), (method, path)
        seen.add((method, path))
    assert {("POST", "/operations/retry"), ("GET", "/trends"), ("GET", "/api/v1/calls/{call_id}/audio")} <= seen


def test_signing_in_leads_to_the_page_that_was_wanted(hall):
    answer = hall.sign_in(next_path="/calls?agent=Ann+B")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/calls?agent=Ann+B"
    assert hall.client.get("/calls").status_code == 200


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb: c", "", "calls"]
)
def test_signing_in_leads_nowhere_else(path):
    assert own_path(path) == "/calls"


def test_the_session_cookie_is_out_of_scripts_reach(hall):
    cookie = hall.sign_in().headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_a_wrong_password_is_told_without_saying_which_part_is_wrong(hall):
    known, unknown = hall.sign_in(password="wrong password"), hall.sign_in(name="nobody")
    assert known.status_code == unknown.status_code == 401
    told = [re.search(r'role="alert">(.*?)<', answer.text) for answer in (known, unknown)]
    assert told[0] is not None
    assert told[1] is not None
    assert told[0][1] == told[1][1]


def test_after_five_failures_even_the_right_password_waits(hall):
    for _ in range(5):
        hall.sign_in(password="wrong password")
    refused = hall.sign_in()
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 300
    hall.pass_time(timedelta(minutes=6))
    assert hall.sign_in().status_code == 303


def test_a_session_ends_by_itself(hall):
    hall.sign_in()
    hall.pass_time(timedelta(hours=13))
    assert hall.client.get("/calls").status_code == 303


def test_a_new_password_ends_every_session(hall):
    hall.sign_in()
    with hall.wiring.database.write() as connection:
        set_password(connection, "maria", "another good password")
    assert hall.client.get("/calls").status_code == 303


def test_who_looks_at_the_sign_in_stays_signed_in(hall):
    hall.sign_in()
    assert hall.client.get("/login").status_code == 200
    assert hall.client.get("/calls").status_code == 200


def test_signing_out_ends_the_session(hall):
    hall.sign_in()
    hall.post("/logout")
    assert hall.client.get("/calls").status_code == 303


def test_a_session_of_another_secret_is_nobodys(hall, tmp_path):
    hall.sign_in()
    cookie = hall.client.cookies["callwise_session"]
    other = make_hall(tmp_path / "other")
    other.client.cookies.set("callwise_session", cookie)
    assert other.client.get("/calls").status_code == 303


@pytest.mark.parametrize("path", ["/operations/retry", "/logout", "/calls/7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1/retry"])
def test_a_form_without_this_sessions_token_is_refused(hall, path):
    hall.sign_in()
    assert hall.client.post(path).status_code == 403
    assert hall.client.post(path, data={"form_token": "0" * 64}).status_code == 403
    assert hall.post(path, headers={"Origin": "https://evil.example"}).status_code == 403


def test_basic_credentials_open_the_api(hall):
    pair = base64.b64encode(f"maria:{PASSWORD}".encode()).decode()
    assert hall.client.get("/api/v1/status", headers={"Authorization": f"Basic {pair}"}).status_code == 200
    for wrong in ("Basic x", "Basic", "Bearer abc", "Basic " + base64.b64encode(b"maria:no").decode()):
        assert hall.client.get("/api/v1/status", headers={"Authorization": wrong}).status_code == 401
    with hall.wiring.database.write() as connection:
        set_password(connection, "maria", "another good password")
    assert hall.client.get("/api/v1/status", headers={"Authorization": f"Basic {pair}"}).status_code == 401


@pytest.mark.parametrize("path", ["/login", "/calls", "/healthz", "/static/callwise.css", "/nothing", "/api/v1/calls"])
def test_every_answer_carries_the_strict_headers(hall, path):
    headers = hall.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost:x/y@evil", ""])
def test_another_host_name_is_not_served(hall, host):
    assert hall.client.get("/login", headers={"Host": host}).status_code == 400


def test_a_health_check_beside_the_process_is_answered_whatever_names_the_pages_have(tmp_path):
    settings = Settings(home=tmp_path, web=WebSettings(allowed_hosts=("calls.example.org",), host="0.0.0.0"))
    client = TestClient(create_app(Wiring(settings)), base_url="http://127.0.0.1:8321")
    assert client.get("/healthz").status_code == 200
    assert client.get("/healthz", headers={"Host": "calls.example.org"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "another.example.org"}).status_code == 400


def test_pages_are_not_kept_by_caches_but_assets_are(hall):
    hall.sign_in()
    assert hall.client.get("/calls").headers["cache-control"] == "no-store"
    assert "immutable" in hall.client.get("/static/callwise.css").headers["cache-control"]


def test_health_needs_no_user_and_metrics_need_one_from_afar(hall):
    assert hall.client.get("/healthz").json() == {"status": "ok"}
    assert hall.client.get("/metrics").status_code == 401
    near = TestClient(hall.app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000))
    assert 'callwise_calls{code="",stage="done"} 0.0' in near.get("/metrics").text
    assert near.get("/metrics", headers={"X-Forwarded-For": "10.0.0.9"}).status_code == 401


def test_the_secret_is_made_once_and_only_its_owner_may_read_it(hall, tmp_path):
    path = hall.wiring.settings.home_path / "web-secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    make_hall(path.parent, create=False)
    assert path.read_text() == first
    assert [found.name for found in path.parent.glob(".web-secret*")] == []


def test_no_page_of_a_framework_loads_scripts_from_elsewhere(hall):
    assert hall.client.get("/docs").status_code == 404
    assert hall.client.get("/redoc").status_code == 404


def test_a_deactivated_user_is_out(hall):
    hall.sign_in()
    hall.deactivate("maria")
    assert hall.client.get("/calls").status_code == 303
    assert hall.sign_in().status_code == 401


def test_names_with_markup_are_text(hall):
    with hall.wiring.database.write() as connection:
        create_user(connection, "<img src=x onerror=alert(1)>", PASSWORD, "admin", datetime.now().astimezone())
    hall.sign_in(name="<img src=x onerror=alert(1)>")
    assert "<img src=x" not in hall.client.get("/calls").text


def test_an_address_that_tries_many_names_waits_and_another_address_does_not(hall):
    pair = {"Authorization": "Basic " + base64.b64encode(b"x:y").decode()}
    there = TestClient(hall.app, base_url="http://127.0.0.1", client=("198.41.0.4", 40000))
    for number in range(50):
        pair["Authorization"] = "Basic " + base64.b64encode(f"name{number}:wrong".encode()).decode()
        assert there.get("/api/v1/calls", headers=pair).status_code == 401
    pair["Authorization"] = "Basic " + base64.b64encode(f"maria:{PASSWORD}".encode()).decode()
    assert there.get("/api/v1/calls", headers=pair).status_code == 429
    assert hall.client.get("/api/v1/calls", headers=pair).status_code == 200


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_site_cannot_make_the_browser_of_somebody_signed_in_write_by_the_api(hall, header):
    hall.sign_in()
    path = "/api/v1/calls/7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1/retry"
    assert hall.client.post(path, headers=header).status_code == 403
    assert hall.client.post(path, headers={"Origin": "http://127.0.0.1"}).status_code == 404
