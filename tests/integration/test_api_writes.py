"""Laws of what programs write: corrections name what they looked at, a key lets a write be done once, limits hold."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crm.access_tables import api_token
from crm.kept_answers import kept_answer
from crm.reason_tables import review
from crm.tables import agent, call, call_analysis
from runtime.settings_web import WebSettings
from tests.api_callers import call_path, caller
from tests.seeds import seed_call, seed_failed_call
from tests.sound import two_channel_wav
from tests.web_client import PASSWORD, make_hall


@pytest.fixture
def hall(tmp_path):
    return make_hall(tmp_path / "home")


@pytest.fixture
def call_id(hall):
    with hall.wiring.database.write() as connection:
        return seed_call(connection, transcript={"agent_channel": 1})


@pytest.fixture
def admin(hall):
    return caller(hall)


def rows(hall, table):
    with hall.wiring.database.read() as connection:
        return connection.execute(sa.select(table)).all()


def problem(response):
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_a_correction_names_what_it_looked_at_and_the_second_of_two_is_told(hall, admin, call_id):
    before = admin.get(call_path(call_id))
    first = admin.patch(call_path(call_id), json={"revision": before.json()["revision"], "outcome": "resolved"})
    assert (first.status_code, first.json()) == (200, {"id": str(call_id), "revision": 3})
    second = admin.patch(call_path(call_id), json={"revision": 2, "summary": "Something else."})
    assert problem(second) == (409, "changed_meanwhile")
    assert (second.json()["revision"], second.json()["by"]) == (3, "program-admin")
    found = admin.get(call_path(call_id)).json()["analysis"]
    assert (found["outcome"], found["said_by"]) == ("resolved", {"outcome": "program-admin"})


def test_the_etag_of_what_was_read_does_as_a_revision(admin, call_id):
    read = admin.get(call_path(call_id))
    etag = read.headers["etag"]
    unchanged = admin.get(call_path(call_id), headers={"If-None-Match": f'"x", {etag}'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    body = {"reason": "repair_booking"}
    assert admin.patch(call_path(call_id), json=body, headers={"If-Match": etag}).json()["revision"] == 3
    assert problem(admin.patch(call_path(call_id), json=body, headers={"If-Match": etag})) == (409, "changed_meanwhile")
    assert admin.get(call_path(call_id), headers={"If-None-Match": etag}).status_code == 200
    wrong = ('"x"', "*", '"2.zz"', f'"{3}.abc", {etag}')
    for given in wrong:
        assert problem(admin.patch(call_path(call_id), json=body, headers={"If-Match": given}))[0] == 412
    both = admin.patch(call_path(call_id), json=body | {"revision": 7}, headers={"If-Match": etag})
    assert problem(both) == (412, "wrong_revision")
    assert problem(admin.patch(call_path(call_id), json=body)) == (428, "nothing_looked_at")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"revision": 2}, 422),
        ({"revision": 2, "reason": "no_such_reason"}, 422),
        ({"revision": 2, "outcome": "splendid"}, 422),
        ({"revision": 2, "summary": " "}, 422),
        ({"revision": 2, "summary": "x\x00y"}, 422),
        ({"revision": 2, "headline": "x" * 91}, 422),
        ({"revision": 2, "customer": "Rosa"}, 422),
        ({"revision": 2, "agent_channel": 2}, 422),
        ({"revision": 2, "colour": "red"}, 422),
        ({"revision": -1, "outcome": "sale"}, 422),
    ],
)
def test_what_cannot_be_taken_is_told_and_changes_nothing(hall, admin, call_id, body, status):
    assert problem(admin.patch(call_path(call_id), json=body))[0] == status
    assert (rows(hall, review), len(rows(hall, call_analysis))) == ([], 1)


def test_every_field_can_be_said_and_read_back_with_its_history(admin, call_id):
    said = {
        "reason": "new_order",
        "outcome": "sale",
        "headline": "A new dishwasher",
        "summary": "Rosa buys another one.",
        "next_steps": [{"text": "Send it", "owner": "agent", "due_on": "2026-04-01"}, {"text": "Pay"}],
        "customer": "+15550177",
        "agent_channel": 1,
    }
    assert admin.patch(call_path(call_id), json=said | {"revision": 2}).json()["revision"] == 4
    found = admin.get(call_path(call_id)).json()
    analysis = found["analysis"]
    assert (analysis["reason"]["code"], analysis["outcome"], analysis["is_sale"]) == ("new_order", "sale", True)
    assert (analysis["headline"], analysis["summary"]) == (said["headline"], said["summary"])
    assert [step["text"] for step in analysis["next_steps"]] == ["Send it", "Pay"]
    assert found["customer"]["id"] is not None
    # The channel was as it was.
    assert {one["field"] for one in analysis["reviews"]} == said.keys() - {"agent_channel"}
    revisions = admin.get(call_path(call_id, "/revisions")).json()["revisions"]
    assert [(one["revision"], one["is_current"], one["outcome"]) for one in revisions] == [
        (2, True, "sale"),
        (1, False, "follow_up"),
    ]


def test_what_a_redacted_reading_showed_is_not_taken_for_the_text(hall, call_id):
    secret = "The customer reads out 4111 1111 1111 1111 as the card."
    with hall.wiring.database.write() as connection:
        owner = connection.execute(sa.select(agent.c.id)).scalar_one()
        connection.execute(sa.update(call_analysis).values(summary=secret))
    agents = caller(hall, "agent", agent_id=owner)
    shown = agents.get(call_path(call_id)).json()["analysis"]["summary"]
    assert "4111" not in shown
    sent = {"revision": 2, "summary": shown, "outcome": "resolved"}
    assert agents.patch(call_path(call_id), json=sent).status_code == 200
    [current] = [row for row in rows(hall, call_analysis) if row.is_current]
    assert (current.summary, current.outcome) == (secret, "resolved")


def test_confirmation_takes_a_call_out_of_the_review_queue_and_approval_stands_until_a_change(hall, admin):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, analysis={"reason_confidence": 0.2})
    queue = admin.get("/api/v1/reviews").json()
    assert [(item["call"]["id"], item["causes"], item["revision"]) for item in queue["items"]] == [
        (str(call_id), ["low_confidence"], 2)
    ]
    assert admin.post(call_path(call_id, "/confirmation"), json={"revision": 2}).status_code == 200
    assert admin.get("/api/v1/reviews").json() == {"items": [], "waiting": 0, "next": None}
    approved = admin.post(call_path(call_id, "/approval"), json={"revision": 2}).json()
    assert (approved["by"], approved["id"]) == ("program-admin", str(call_id))
    assert admin.get(call_path(call_id)).json()["analysis"]["approved"]["by"] == "program-admin"
    admin.patch(call_path(call_id), json={"revision": 2, "summary": "Another."})
    assert admin.get(call_path(call_id)).json()["analysis"]["approved"] is None


def test_the_same_write_with_the_same_key_is_done_once_and_answered_as_before(hall, admin, call_id):
    body, headers = {"revision": 2, "outcome": "resolved"}, {"Idempotency-Key": "k-1"}
    answers = [admin.patch(call_path(call_id), json=body, headers=headers) for _ in range(3)]
    assert [(one.status_code, one.json()) for one in answers] == [(200, {"id": str(call_id), "revision": 3})] * 3
    assert [one.headers.get("idempotency-replayed") for one in answers] == [None, "true", "true"]
    assert len(rows(hall, review)) == 1
    other = admin.patch(call_path(call_id), json=body | {"outcome": "sale"}, headers=headers)
    assert problem(other) == (422, "idempotency_key_reused")
    elsewhere = admin.post(call_path(call_id, "/confirmation"), json=body, headers=headers)
    assert problem(elsewhere) == (422, "idempotency_key_reused")
    # Another caller's key of the same name is another key.
    second = caller(hall, "reviewer").patch(call_path(call_id), json=body, headers=headers)
    assert problem(second) == (409, "changed_meanwhile")
    hall.pass_time(timedelta(hours=23))
    assert admin.patch(call_path(call_id), json=body, headers=headers).headers["idempotency-replayed"] == "true"


def test_a_token_that_lost_its_scopes_is_not_answered_as_its_owner_was(hall, call_id):
    """Somebody's token and name with password are two callers, also where the token may do nothing any more."""
    body, headers = {"revision": 2, "outcome": "resolved"}, {"Idempotency-Key": "k"}
    program = caller(hall, "admin", "cy")
    with hall.wiring.database.write() as connection:
        connection.execute(sa.update(api_token).values(scopes=[]))
    owner = hall.client.patch(call_path(call_id), json=body, headers=headers, auth=("cy", PASSWORD))
    assert owner.status_code == 200
    told = program.patch(call_path(call_id), json=body, headers=headers)
    assert (told.status_code, "idempotency-replayed" in told.headers) == (403, False)


def test_a_key_is_forgotten_after_a_day(hall, admin):
    with hall.wiring.database.write() as connection:
        call_id = seed_failed_call(connection)
    for hours, expected in ((0, 1), (1, 1), (24, 0)):
        hall.pass_time(timedelta(hours=hours))
        admin_now = admin if hours < 24 else caller(hall, "admin", "later")
        answered = admin_now.post(call_path(call_id, "/retry"), headers={"Idempotency-Key": "k"})
        assert answered.json() == {"retried": expected}
    assert len(rows(hall, kept_answer)) == 1


def test_an_answer_that_did_nothing_is_not_kept(hall, admin, call_id):
    headers = {"Idempotency-Key": "k-2"}
    assert admin.patch(call_path(call_id), json={"revision": 1, "outcome": "sale"}, headers=headers).status_code == 409
    assert rows(hall, kept_answer) == []
    mended = admin.patch(call_path(call_id), json={"revision": 2, "outcome": "sale"}, headers=headers)
    assert mended.status_code == 200
    for key in ("", "a b", "x" * 101, "é".encode("latin-1")):
        answered = admin.patch(call_path(call_id), json={"revision": 3}, headers={"Idempotency-Key": key})
        assert problem(answered) == (400, "wrong_request")


def test_of_the_same_write_many_times_at_once_one_is_done(hall, admin, call_id):
    ready, answered = threading.Barrier(5), []

    def write():
        ready.wait()
        body = {"revision": 2, "outcome": "resolved"}
        answered.append(admin.patch(call_path(call_id), json=body, headers={"Idempotency-Key": "k-3"}))

    threads = [threading.Thread(target=write) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kinds = {(one.status_code, one.json().get("code"), one.json().get("revision")) for one in answered}
    assert kinds <= {(200, None, 3), (409, "still_working", None)}
    assert (200, None, 3) in kinds
    assert len(rows(hall, review)) == 1


def test_who_asks_too_much_is_told_for_how_long_to_wait_and_nobody_else_is(tmp_path):
    hall = make_hall(tmp_path / "home", web=WebSettings(api_requests_per_minute=3))
    busy, calm = caller(hall, "admin"), caller(hall, "reviewer")
    assert [busy.get("/api/v1/reasons").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = busy.get("/api/v1/reasons")
    assert problem(refused) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == "20"
    assert calm.get("/api/v1/reasons").status_code == 200
    hall.pass_time(timedelta(seconds=20))
    assert [busy.get("/api/v1/reasons").status_code for _ in range(2)] == [200, 429]


def test_a_recording_that_is_sent_is_one_call_however_often(hall, admin):
    sound = two_channel_wav(seconds=1)
    files = {"file": ("2026-03-20 +15550100 Andrew.wav", sound, "audio/wav")}
    first, again = (admin.post("/api/v1/calls", files=files) for _ in range(2))
    assert (first.status_code, first.json()["is_new"], again.json()["is_new"]) == (201, True, False)
    assert first.json()["call_id"] == again.json()["call_id"] == str(rows(hall, call)[0].id)
    assert len(rows(hall, call)) == 1
    assert problem(admin.post("/api/v1/calls", data={"file": "no file"})) == (400, "wrong_request")
    assert problem(admin.post("/api/v1/calls", content=b"x", headers={"content-type": "multipart/form-data"}))[0] == 400


def test_a_recording_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    hall = make_hall(tmp_path / "home", web=WebSettings(max_upload_mb=1))
    answered = caller(hall).post("/api/v1/calls", files={"file": ("x.wav", bytes(1 << 21))})
    assert problem(answered) == (413, "too_large")
    assert rows(hall, call) == []


def test_what_one_may_not_see_or_do_is_refused_alike(hall, call_id):
    stranger, analyst = caller(hall, "agent", agent_id=None), caller(hall, "analyst")
    for path in ("", "/revisions"):
        assert problem(stranger.get(call_path(call_id, path))) == problem(stranger.get(call_path(uuid4(), path)))
    for path, body in (("/confirmation", {"revision": 2}), ("/approval", {"revision": 2})):
        assert problem(stranger.post(call_path(call_id, path), json=body)) == (404, "no_such_call")
        assert problem(analyst.post(call_path(call_id, path), json=body)) == (403, "not_allowed")
    body = {"revision": 2, "outcome": "sale"}
    assert problem(stranger.patch(call_path(call_id), json=body)) == (404, "no_such_call")
    assert problem(analyst.patch(call_path(call_id), json=body)) == (403, "not_allowed")
    assert stranger.get("/api/v1/reviews").json()["items"] == []
