"""Laws of the door that stores send events to: who may send, what is durable when, and what is kept of the rest."""

import http.client
import json
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import uvicorn
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from crm.intake import KEPT_BODY
from crm.tables import unreadable_event
from ingest.events import MAX_EVENT_BYTES
from runtime.settings import Settings
from runtime.settings_intake import EventSource
from runtime.settings_site import DatabaseSettings, ObjectSettings
from runtime.settings_web import WebSettings
from runtime.wiring import Wiring
from tests.integration.listening import EVENTS, keys, s3_event, unreadable
from tests.servers.process import wait_until
from tests.web_client import make_hall
from web.app import create_app
from web.events import source_of

TOKEN, OTHER_TOKEN = "0123456789abcdef", "fedcba9876543210-other"
PATH = "/events/objects"
DEAD_DATABASE = DatabaseSettings(url="postgresql+psycopg://nobody@127.0.0.1:9/nothing")
DEAD_STORE = ObjectSettings(kind="s3", endpoint_url="http://127.0.0.1:9", access_key="t", secret_key="t")


def http_source(token: str) -> EventSource:
    return EventSource(kind="http", token=token)


def make_site(home: Path, **settings: Any) -> Wiring:
    """A site whose sources are a folder and two senders; its database is at the code's version."""
    make_hall(home)
    sources = (EventSource(kind="folder"), http_source(TOKEN), http_source(OTHER_TOKEN))
    return Wiring(Settings(home=home, **{"events": sources, **settings}))


def client_of(wiring: Wiring, host: str = "127.0.0.1") -> TestClient:
    return TestClient(create_app(wiring), base_url=f"http://{host}", raise_server_exceptions=False)


@pytest.fixture
def site(tmp_path: Path) -> Wiring:
    """The site with one recording in its store."""
    wiring = make_site(tmp_path)
    wiring.objects.put("a.wav", b"sound")
    return wiring


@pytest.fixture
def client(site: Wiring) -> TestClient:
    return client_of(site)


def send(client: TestClient, body: Any, token: str = TOKEN, **headers: str) -> Any:
    return client.post(PATH, content=body, headers={"Authorization": f"Bearer {token}", **headers})


def test_a_recording_that_is_announced_over_http_becomes_a_call_and_once_only(site, client):
    first = send(client, s3_event("a.wav"))
    assert (first.status_code, first.json()) == (200, {"new": 1})
    assert keys(site.database) == ["a.wav"]
    assert send(client, s3_event("a.wav")).json() == {"new": 0}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("s3_put", "happy face+smile%.wav"),
        ("minio", "calls/one two.wav"),
        ("rustfs", "calls/7 % + ü:1.wav"),
        ("ceph", "calls/100%25 sure+more.wav"),
        ("eventbridge", "a b:c.wav"),
        ("event_grid", "2026/one two+3%.wav"),
        ("cloud_event", "2026/one two+3%.wav"),
    ],
)
def test_every_store_may_send(site, client, name, key):
    site.objects.put(key, name.encode())
    assert send(client, (EVENTS / f"{name}.json").read_bytes()).json() == {"new": 1}
    assert keys(site.database) == [key]


def test_each_sender_has_a_token_of_its_own(site, client):
    assert send(client, "no json", token=TOKEN).status_code == 200
    assert send(client, "no json", token=OTHER_TOKEN).status_code == 200
    with site.database.read() as connection:
        sources = connection.execute(sa.select(unreadable_event.c.source)).scalars().all()
    assert sorted(sources) == ["http events.1", "http events.2"]


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        ({}, 401, "no_token"),
        ({"Authorization": ""}, 401, "no_token"),
        ({"Authorization": f"Bearer {TOKEN}x"}, 403, "wrong_token"),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, 403, "wrong_token"),
        ({"Authorization": "Bearer"}, 403, "wrong_token"),
        ({"Authorization": f"Basic {TOKEN}"}, 403, "wrong_token"),
        ({"Authorization": TOKEN}, 403, "wrong_token"),
        ({"Authorization": b"Bearer \xff\xfe"}, 403, "wrong_token"),
    ],
)
def test_who_shows_no_token_of_ours_is_refused_and_logged_without_what_he_sent(site, client, header, status, code):
    with capture_logs() as logs:
        answer = client.post(PATH, content=s3_event("a.wav"), headers=header)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert [{"event": line["event"], "code": line["code"]} for line in logs] == [
        {"event": "event_sender_refused", "code": code}
    ]
    assert TOKEN[:-1] not in repr(logs)
    assert "a.wav" not in repr(logs)
    assert keys(site.database) == []
    assert unreadable(site.database) == []


def test_a_token_is_found_whatever_the_case_of_its_scheme():
    tokens = {"one": TOKEN, "two": OTHER_TOKEN}
    assert source_of(f"bearer {OTHER_TOKEN}", tokens) == "two"
    assert source_of(f"BEARER  {TOKEN} ", tokens) == "one"
    assert source_of(f"Bearer {TOKEN.upper()}", tokens) is None


def test_nobody_sends_where_the_settings_name_no_sender(tmp_path):
    client = client_of(make_site(tmp_path, events=(EventSource(kind="folder"),)))
    for answer in (send(client, s3_event("a.wav")), client.options(PATH, headers={"WebHook-Request-Origin": "x"})):
        assert answer.status_code == 404
        assert "webhook-allowed-origin" not in answer.headers


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "not_json"), (b"\xff\xfe{}", "not_utf8"), ("[" * 5000, "not_json"), ('{"a": 1}', "unknown_shape")],
    ids=["empty", "not utf-8", "nested", "foreign"],
)
def test_what_nobody_can_read_is_kept_and_never_asked_for_again(site, client, body, code):
    assert (send(client, body).status_code, send(client, body).json()) == (200, {"new": 0})
    assert unreadable(site.database) == [code, code]


def test_a_message_of_ten_thousand_bad_records_is_kept_once(site, client):
    body = json.dumps({"Records": [0] * 10_000 + json.loads(s3_event("a.wav"))["Records"]})
    assert send(client, body).json() == {"new": 1}
    assert unreadable(site.database) == ["bad_record"]


def test_a_message_that_is_too_large_is_refused_and_its_beginning_kept(site, client):
    answer = send(client, "ü" * MAX_EVENT_BYTES)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    with site.database.read() as connection:
        [kept] = connection.execute(sa.select(unreadable_event)).all()
    assert (kept.code, kept.source, kept.body) == ("too_large", "http events.1", "ü" * KEPT_BODY)


def test_a_message_of_just_the_largest_size_is_read(site, client):
    body = s3_event("a.wav")
    assert send(client, body + " " * (MAX_EVENT_BYTES - len(body))).json() == {"new": 1}


@contextmanager
def served(wiring: Wiring) -> Iterator[int]:
    """The port of a real server in front of the site."""
    server = uvicorn.Server(uvicorn.Config(create_app(wiring), host="127.0.0.1", port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, what="the server is ready")
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


def test_forty_megabytes_are_heard_to_the_end_and_never_held(site):
    chunk = b"x" * (1 << 20)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with served(site) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        tracemalloc.start()
        try:
            connection.request("POST", PATH, (chunk for _ in range(40)), headers, encode_chunked=True)
            answer = connection.getresponse()
            status, peak_bytes = answer.status, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            connection.close()
    assert status == 413
    assert peak_bytes < 12 << 20
    assert unreadable(site.database) == ["too_large"]


def test_a_sender_that_goes_in_the_middle_leaves_nothing(site):
    with served(site) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.putrequest("POST", PATH)
        connection.putheader("Authorization", f"Bearer {TOKEN}")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(s3_event("a.wav").encode())
        connection.close()
        again = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        again.request("POST", PATH, "no json", {"Authorization": f"Bearer {TOKEN}"})
        assert again.getresponse().status == 200
        again.close()
    assert keys(site.database) == []
    assert unreadable(site.database) == ["not_json"]


def test_event_grid_gets_its_code_back_with_and_before_the_token(site, client):
    body = (EVENTS / "event_grid_validation.json").read_bytes()
    expected = {"validationResponse": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}
    assert send(client, body).json() == expected
    asked = client.post(PATH, content=body, headers={"aeg-event-type": "SubscriptionValidation"})
    assert (asked.status_code, asked.json()) == (200, expected)
    assert unreadable(site.database) == []


@pytest.mark.parametrize("body", [s3_event("a.wav"), "no json", "SubscriptionValidationEvent", "x" * 100_000])
def test_what_only_looks_like_a_handshake_has_no_effect_without_a_token(site, client, body):
    answer = client.post(PATH, content=body, headers={"aeg-event-type": "SubscriptionValidation"})
    assert answer.status_code == 401
    assert keys(site.database) == []
    assert unreadable(site.database) == []


def test_a_handshake_with_a_wrong_token_tells_the_person_who_sets_it_up(client):
    body = (EVENTS / "event_grid_validation.json").read_bytes()
    assert (
        send(client, body, token="not-our-token-at-all", **{"aeg-event-type": "SubscriptionValidation"}).status_code
        == 403
    )


def test_a_cloud_events_sender_is_allowed_by_name(client):
    answer = client.options(PATH, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
    assert answer.status_code == 200
    assert answer.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
    assert answer.headers["webhook-allowed-rate"] == "*"


@pytest.mark.parametrize("origin", ["", "a b", "x" * 300, "<script>", "a,b"])
def test_what_is_no_origin_is_not_allowed(client, origin):
    answer = client.options(PATH, headers={"WebHook-Request-Origin": origin})
    assert answer.headers["allow"] == "OPTIONS, POST"
    assert "webhook-allowed-origin" not in answer.headers


@pytest.mark.parametrize(
    ("away", "body", "code"),
    [
        ({"objects": DEAD_STORE}, s3_event("a.wav"), "store_unreachable"),
        ({"database": DEAD_DATABASE}, s3_event("a.wav"), "database_unreachable"),
        ({"database": DEAD_DATABASE}, "x" * (MAX_EVENT_BYTES + 1), "database_unreachable"),
    ],
    ids=["store", "database", "database, too large"],
)
def test_while_the_store_or_the_database_is_away_the_sender_is_asked_to_send_again(tmp_path, away, body, code):
    client = client_of(make_site(tmp_path, **away))
    answer = send(client, body)
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text


def test_one_event_from_many_senders_at_once_makes_one_call(site, client):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(client, s3_event("a.wav")).json()["new"], range(16)))
    assert sum(answers) == 1
    assert keys(site.database) == ["a.wav"]


def test_senders_use_a_name_of_web_allowed_hosts(tmp_path):
    site = make_site(tmp_path, web=WebSettings(allowed_hosts=("calls.example.org",)))
    assert send(client_of(site, "calls.example.org"), json.dumps({"Event": "s3:TestEvent"})).status_code == 200
    assert send(client_of(site, "another.example.org"), json.dumps({"Event": "s3:TestEvent"})).status_code == 400


def test_only_sending_is_possible(client):
    answer = client.get(PATH, headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
