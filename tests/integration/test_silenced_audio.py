"""Whoever may not read a card number does not hear it either."""

from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import sqlalchemy as sa

from calls.recording import SILENCED, own_key
from crm import tables
from crm.users import agent_named, create_user
from engines.audio import decode
from engines.speech import SPEECH_RATE_HZ
from tests.encoded import chirps, write
from tests.seeds import NOW, seed_call
from tests.web_client import PASSWORD, Hall, make_hall

CARD = "4111 1111 1111 1111"
SECRET_S = (4.0, 8.0)
SAID = (
    (1, "agent", 0.5, 2.8, "May I have your card number?"),
    (0, "customer", *SECRET_S, f"{CARD}"),
    (1, "agent", 9.0, 11.0, "Thank you."),
)


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    """A site with an agent `abe`, who is Andrew K of the seeds."""
    return make_hall(tmp_path / "home")


def _call(hall: Hall, tmp_path: Path, said: Any = SAID, **facts: Any) -> UUID:
    source = write(tmp_path / "c.wav", chirps(15, 2), container="wav", codec="pcm_s16le")
    stored = hall.wiring.objects.put("in/c.wav", source)
    with hall.wiring.database.write() as connection:
        found = {"object_key": "in/c.wav", "etag": stored.ref.etag, "size_bytes": stored.ref.size_bytes}
        call_id = seed_call(connection, said=said, recording=found, **facts)
        create_user(connection, "abe", PASSWORD, "agent", NOW, agent_id=agent_named(connection, "Andrew K"))
    return call_id


def _loudness(content: bytes, tmp_path: Path, from_s: float, to_s: float) -> list[float]:
    (tmp_path / "got").write_bytes(content)
    samples = decode(tmp_path / "got").audio.samples
    part = samples[:, int(from_s * SPEECH_RATE_HZ) : int(to_s * SPEECH_RATE_HZ)].astype(float)
    return [float(np.sqrt((row**2).mean())) for row in part]


def test_an_agent_hears_the_call_without_the_number_and_an_admin_hears_it_all(hall: Hall, tmp_path: Path) -> None:
    """On both channels: what the customer says is in the agent's microphone, too."""
    path = f"/api/v1/calls/{_call(hall, tmp_path)}/audio"
    hall.sign_in("abe")
    heard = hall.client.get(path)
    assert (heard.status_code, heard.headers["content-type"]) == (200, "audio/mpeg")
    assert max(_loudness(heard.content, tmp_path, SECRET_S[0], SECRET_S[1])) < 5
    assert min(_loudness(heard.content, tmp_path, 0.5, 3.5)) > 1000
    assert min(_loudness(heard.content, tmp_path, 8.5, 14.5)) > 1000
    part = hall.client.get(path, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, heard.content[100:200])
    hall.client.cookies.clear()
    hall.sign_in()
    whole = hall.client.get(path)
    assert whole.headers["content-type"] == "audio/wav"
    assert min(_loudness(whole.content, tmp_path, *SECRET_S)) > 1000


def test_the_copy_is_made_once_and_anew_when_more_is_known(hall: Hall, tmp_path: Path) -> None:
    """The transcript says when; another transcript, another copy."""
    call_id = _call(hall, tmp_path)
    hall.sign_in("abe")
    path = f"/api/v1/calls/{call_id}/audio"
    first = hall.client.get(path)
    [recording_id] = _ids(hall, call_id)
    made_at = hall.wiring.objects.head(own_key(SILENCED, recording_id)).last_modified_at
    assert hall.client.get(path).headers["etag"] == first.headers["etag"]
    assert hall.wiring.objects.head(own_key(SILENCED, recording_id)).last_modified_at == made_at
    with hall.wiring.database.write() as connection:
        connection.execute(sa.update(tables.utterance).where(tables.utterance.c.seq == 1).values(end_s=8.9))
    assert max(_loudness(hall.client.get(path).content, tmp_path, 8.0, 8.8)) < 5


def test_nothing_is_played_before_anybody_knows_what_to_silence(hall: Hall, tmp_path: Path) -> None:
    """No transcript, no sound; words without times, no sound."""
    unheard = _call(hall, tmp_path)
    hall.sign_in("abe")
    with hall.wiring.database.write() as connection:
        connection.execute(sa.update(tables.transcript).values(skipped=[{"feature": "timing", "code": "no_times"}]))
    answer = hall.client.get(f"/api/v1/calls/{unheard}/audio")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_silenced")
    with hall.wiring.database.write() as connection:
        connection.execute(sa.delete(tables.utterance))
        connection.execute(sa.update(tables.call_analysis).values(transcript_id=None))
        connection.execute(sa.delete(tables.transcript))
    answer = hall.client.get(f"/api/v1/calls/{unheard}/audio")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_silenced")


def test_a_call_in_which_nothing_has_to_be_silenced_needs_no_copy(hall: Hall, tmp_path: Path) -> None:
    """The recording itself is played."""
    call_id = _call(hall, tmp_path, said=[_harmless(one) for one in SAID])
    hall.sign_in("abe")
    assert hall.client.get(f"/api/v1/calls/{call_id}/audio").headers["content-type"] == "audio/wav"
    assert not list(hall.wiring.objects.list(".callwise/silenced/"))


def _harmless(one: tuple[int, str, float, float, str]) -> tuple[int, str, float, float, str]:
    """The same turn, of which nobody could make anything."""
    return (*one[:4], "Yes, thank you.")


def _ids(hall: Hall, call_id: UUID) -> list[UUID]:
    with hall.wiring.database.read() as connection:
        found = sa.select(tables.recording.c.id).where(tables.recording.c.call_id == call_id)
        return list(connection.execute(found).scalars())
