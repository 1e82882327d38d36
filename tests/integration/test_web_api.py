"""Laws of the API: documents with stable keys, errors as problem+json, sound by range."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from analytics.rollup import recompute_all
from calls.recording import PEAKS, own_key
from crm.access import OPERATOR
from crm.call_documents import call_document
from crm.one_call import call_in_full
from tests.seeds import NOW, seed_call, seed_failed_call
from tests.web_client import Hall, make_hall
from web.audio import CHUNK_BYTES, Piece, RangeOutside, read_range
from web.sessions import web_secret

UNKNOWN = "7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1"
SOUND = bytes(range(256)) * 3000


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    made = make_hall(tmp_path)
    made.sign_in()
    return made


@pytest.fixture
def heard(hall: Hall) -> UUID:
    """A call whose recording is SOUND."""
    hall.wiring.objects.put("2026/sound.wav", SOUND)
    with hall.wiring.database.write() as connection:
        return seed_call(connection, recording={"object_key": "2026/sound.wav"})


def test_a_calls_document_is_the_one_of_the_command_line(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
        expected = call_document(call_in_full(connection, OPERATOR, call_id))
    assert hall.client.get(f"/api/v1/calls/{call_id}").json() == expected


def test_the_list_is_paged_by_key_and_filtered(hall):
    with hall.wiring.database.write() as connection:
        for _ in range(3):
            seed_call(connection, said=None)
        seed_failed_call(connection)
    first = hall.client.get("/api/v1/calls?limit=2&stage=done").json()
    second = hall.client.get("/api/v1/calls", params={"limit": 2, "stage": "done", "after": first["next"]}).json()
    assert len(first["calls"]) == 2
    assert len(second["calls"]) == 1
    assert second["next"] is None


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/api/v1/calls/{UNKNOWN}", 404, "no_such_call"),
        (f"/api/v1/calls/{UNKNOWN}/audio", 404, "no_such_call"),
        ("/api/v1/calls/not-an-id", 422, "invalid_request"),
        ("/api/v1/calls?limit=0", 422, "invalid_request"),
        ("/api/v1/calls?stage=x", 400, "wrong_query"),
        ("/api/v1/calls?after=x", 400, "wrong_query"),
        ("/api/v1/calls?since=99999-01-01", 400, "wrong_query"),
        ("/api/v1/trends?by=year", 422, "invalid_request"),
        ("/api/v1/trends?since=x", 400, "wrong_query"),
        ("/api/v1/calls?text=%00", 422, "invalid_request"),
        ("/api/v1/trends?agent=%00", 422, "invalid_request"),
        ("/api/v1/nothing", 404, "http_error"),
    ],
)
def test_an_error_is_problem_json_with_a_stable_code(hall, path, status, code):
    answer = hall.client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["status"] == status


def test_trends_up_to_the_last_day_of_the_calendar_are_all_trends(hall):
    assert hall.client.get("/api/v1/trends?until=9999-12-31").json()["rows"] == []


def test_status_and_trends_have_documents(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection)
    recompute_all(hall.wiring.database, "UTC", NOW)
    assert hall.client.get("/api/v1/status").json()["done"] == 1
    trends = hall.client.get("/api/v1/trends?by=month&over=reason").json()
    (row,) = trends["rows"]
    assert (row["period"], row["dimension"], row["calls"]) == ("2026-03", "delivery_status", 1)
    assert "Delivery status" in hall.client.get("/trends").text


def test_the_api_describes_itself(hall):
    paths = hall.client.get("/api/v1/openapi.json").json()["paths"]
    assert set(paths) >= {
        "/api/v1/calls",
        "/api/v1/calls/{call_id}",
        "/api/v1/calls/{call_id}/audio",
        "/api/v1/calls/{call_id}/peaks",
        "/api/v1/status",
        "/api/v1/trends",
    }


def test_a_database_that_cannot_be_reached_is_told_as_such(hall):
    hall.wiring.database.dispose()
    (hall.wiring.settings.home_path / "callwise.db").unlink()
    (hall.wiring.settings.home_path / "callwise.db").mkdir()
    answer = hall.client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["code"] == "database_unreachable"


def test_the_whole_sound_and_any_piece_of_it_are_its_bytes(hall, heard):
    path = f"/api/v1/calls/{heard}/audio"
    whole = hall.client.get(path)
    assert whole.status_code == 200
    assert whole.content == SOUND
    assert whole.headers["content-type"] == "audio/wav"
    assert whole.headers["accept-ranges"] == "bytes"
    for wanted, piece in (
        ("bytes=0-0", SOUND[:1]),
        ("bytes=100-", SOUND[100:]),
        ("bytes=-50", SOUND[-50:]),
        (f"bytes=5-{CHUNK_BYTES + 9}", SOUND[5 : CHUNK_BYTES + 10]),
        ("bytes=767990-9999999", SOUND[767990:]),
    ):
        answer = hall.client.get(path, headers={"Range": wanted})
        assert answer.status_code == 206, wanted
        assert answer.content == piece, wanted
        assert answer.headers["content-range"].endswith(f"/{len(SOUND)}")
        assert answer.headers["content-length"] == str(len(piece))


def test_a_range_outside_of_the_sound_is_refused_with_its_length(hall, heard):
    answer = hall.client.get(f"/api/v1/calls/{heard}/audio", headers={"Range": f"bytes={len(SOUND)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(SOUND)}"


def test_a_head_request_tells_the_length_without_the_sound(hall, heard):
    answer = hall.client.head(f"/api/v1/calls/{heard}/audio")
    assert answer.headers["content-length"] == str(len(SOUND))
    assert answer.content == b""


def test_a_changed_recording_is_sent_anew_and_an_unchanged_one_is_not(hall, heard):
    path = f"/api/v1/calls/{heard}/audio"
    etag = hall.client.get(path, headers={"Range": "bytes=0-1"}).headers["etag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        assert hall.client.get(path, headers={"If-None-Match": known}).status_code == 304
    assert hall.client.get(path, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert hall.client.get(path, headers={"Range": "bytes=0-1", "If-Range": '"another"'}).status_code == 200


def test_the_copy_for_browsers_is_preferred(hall):
    hall.wiring.objects.put(".callwise/playback/x.mp3", b"copy")
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, recording={"playback_key": ".callwise/playback/x.mp3"})
    answer = hall.client.get(f"/api/v1/calls/{call_id}/audio")
    assert (answer.content, answer.headers["content-type"]) == (b"copy", "audio/mpeg")


def test_a_recording_that_the_store_lost_is_not_found(hall):
    hall.wiring.objects.put("another.wav", SOUND)
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
    assert hall.client.get(f"/api/v1/calls/{call_id}/audio").status_code == 404


def test_the_outline_of_the_sound_is_what_was_written_beside_it(hall):
    with hall.wiring.database.write() as connection:
        recording_id = uuid4()
        call_id = seed_call(connection, recording={"id": recording_id})
    hall.wiring.objects.put(own_key(PEAKS, recording_id), b'{"duration_s":1.0,"channels":[]}')
    answer = hall.client.get(f"/api/v1/calls/{call_id}/peaks")
    assert (answer.status_code, answer.json()) == (200, {"duration_s": 1.0, "channels": []})
    assert answer.headers["content-type"] == "application/json"


def test_a_recording_without_an_outline_has_no_content_and_a_call_without_a_recording_is_not_found(hall, heard):
    with hall.wiring.database.write() as connection:
        generated = seed_call(connection, said=None, is_sample=True)
    assert hall.client.get(f"/api/v1/calls/{heard}/peaks").status_code == 204
    assert hall.client.get(f"/api/v1/calls/{generated}/peaks").status_code == 404


def test_the_outline_is_for_those_who_have_signed_in(hall, heard):
    hall.client.cookies.clear()
    assert hall.client.get(f"/api/v1/calls/{heard}/peaks").status_code == 401


@pytest.mark.parametrize(
    "header", ["", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "items=0-1", "bytes=a-b"]
)
def test_a_range_that_is_none_means_the_whole(header):
    assert read_range(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_outside(header):
    with pytest.raises(RangeOutside):
        read_range(header, 100)


def test_a_suffix_longer_than_the_whole_is_the_whole():
    assert read_range("bytes=-500", 100) == Piece(0, 99)


def test_a_configured_secret_wins_over_the_file(tmp_path):
    assert web_secret("configured", tmp_path) == "configured"
    assert not (tmp_path / "web-secret").exists()
