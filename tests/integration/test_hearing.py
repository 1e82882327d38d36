"""The step that hears, with a speech API: what is paid for once stays paid for, and what queues and tasks change."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from calls.transcript import Utterance
from crm import tables
from engines.speech import NOTHING_KEPT, Heard, SpeechHints
from engines.speech_api import UNTIMED_PIECE_S, ApiSpeech
from engines.speech_fake import FakeSpeech
from engines.speech_pieces import pack_by_turns
from tests.integration.test_steps import NOW, Centre
from tests.recordings import WHOLE_CALL, whole_call
from tests.servers.openai_answers import fails, hears, says
from tests.servers.openai_server import API_KEY
from tests.sound import two_channel_wav


@pytest.fixture
def centre(any_database, tmp_path):
    made = Centre(any_database, tmp_path / "scratch")
    yield made
    made.leases.close()


def api(server, model="gpt-4o-transcribe"):
    return ApiSpeech("openai", model=model, api_key=API_KEY, base_url=server.base_url)


class Polyglot(FakeSpeech):
    """Hears German, and says it in English where that is asked for; notes the hints."""

    def __init__(self):
        super().__init__(language="de")
        self.asked = []

    def transcribe(self, audio, hints, pay, kept=NOTHING_KEPT):
        """See SpeechEngine."""
        self.asked.append(hints)
        text = "Where is my parcel please?" if hints.task == "translate" else "Wo ist denn mein Paket?"
        return Heard([Utterance(0, 0.2, 2.8, text)], hints.language or "de")


def test_a_piece_that_failed_is_the_only_one_that_the_next_attempt_pays_for(centre, openai_server):
    centre.receive(WHOLE_CALL.read_bytes(), key="call.mp3")
    count = len(pack_by_turns(whole_call(), max_s=UNTIMED_PIECE_S))
    parts = centre.parts(api(openai_server))
    openai_server.reply(*[says("One.")] * 6, fails(500))
    centre.work(parts, rounds=1)
    assert len(openai_server.requests) == count
    assert len(centre.rows(tables.heard_piece)) == count - 1
    centre.work(parts)
    assert len(openai_server.requests) == count + 1
    assert len(centre.rows(tables.paid_request)) == count
    assert len(centre.rows(tables.utterance)) == count
    assert centre.rows(tables.heard_piece) == []


def test_a_worker_that_dies_after_the_answers_leaves_them_to_the_next_one(centre, openai_server):
    call_id = centre.receive(WHOLE_CALL.read_bytes(), key="call.mp3")
    deaths = []

    class Killed(BaseException):
        """Stands in for a SIGKILL between the last answer and the end of the step."""

    def die_once(step, moment):
        if moment == "worked" and not deaths:
            deaths.append(step)
            raise Killed

    parts = centre.parts(api(openai_server), observe=die_once)
    with pytest.raises(Killed):
        centre.work(parts, rounds=1)
    asked = len(openai_server.requests)
    assert asked == len(centre.rows(tables.heard_piece)) > 0
    with centre.database.write() as connection:
        # The dead worker's lease is over.
        connection.execute(sa.update(tables.job).values(due_at=NOW))
    centre.work(parts)
    assert len(openai_server.requests) == len(centre.rows(tables.paid_request)) == asked
    assert centre.call(call_id).stage == "done"


@pytest.mark.parametrize(("queue", "language"), [("Hotline Wien", "de"), ("Support", "en"), (None, "en")])
def test_the_language_is_that_of_the_calls_queue(centre, queue, language):
    engine = Polyglot()
    centre.receive(two_channel_wav(seconds=3), queue_name=queue)
    parts = replace(centre.parts(engine, language_by_queue={"Hotline Wien": "de"}), hints=SpeechHints(language="en"))
    centre.work(parts)
    assert [hints.language for hints in engine.asked] == [language]
    [transcript] = centre.rows(tables.transcript)
    assert transcript.language == language


def test_a_translation_stands_beside_the_transcript_and_never_in_its_place(centre):
    engine = Polyglot()
    centre.receive(two_channel_wav(seconds=3))
    centre.work(centre.parts(engine, translates=True))
    [said] = centre.rows(tables.utterance)
    [transcript] = centre.rows(tables.transcript)
    assert said.text == "Wo ist denn mein Paket?"
    assert transcript.language == "de"
    assert transcript.translation == [[0, 0.2, 2.8, "Where is my parcel please?"]]
    assert [(hints.task, hints.language) for hints in engine.asked] == [("transcribe", None), ("translate", "de")]


def test_english_is_not_translated_into_english(centre):
    centre.receive(two_channel_wav(seconds=3))
    centre.work(centre.parts(translates=True))
    [transcript] = centre.rows(tables.transcript)
    assert transcript.translation is None


def test_whisper_by_api_translates_what_it_heard_in_another_language(centre, openai_server):
    centre.receive(WHOLE_CALL.read_bytes(), key="call.mp3")
    openai_server.reply_always(hears([(0.0, 2.0, "Guten Tag, was ist los?")], language="german"))
    centre.work(centre.parts(api(openai_server, "whisper-1"), translates=True))
    [transcript] = centre.rows(tables.transcript)
    assert transcript.language == "de"
    assert len(transcript.translation) == 2
    asked = sorted(request.operation for request in openai_server.requests)
    assert asked == ["/audio/transcriptions"] * 2 + ["/audio/translations"] * 2
