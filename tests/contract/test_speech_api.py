"""What the speech API is sent, what it costs, and how its answers come back to the recording's times."""

import io

import av
import numpy as np
import pytest

from calls.errors import EngineMisconfigured, TransientError, UndecodableAudio
from calls.money import Charge
from calls.prices import Price
from engines.speech import ChannelAudio, Heard, SpeechHints
from engines.speech_api import REQUESTS_AT_ONCE, TIMED_PIECE_S, UNTIMED_PIECE_S, ApiSpeech, to_flac
from engines.speech_kept import MemoryPieces
from engines.speech_pieces import pack_by_turns
from engines.voice_activity import speech_spans
from tests.recordings import second_channel_only, two_voices, whole_call
from tests.servers.openai_answers import Answer, Usage, cuts, fails, garbles, hangs, hears, says
from tests.servers.openai_server import API_KEY, API_VERSION, OpenAIServer

VOCABULARY = ("Harbour & Pine", "Aquaflow")


def engine(server: OpenAIServer, model: str, *, price: Price | None = None, timeout_s: float = 60) -> ApiSpeech:
    return ApiSpeech("openai", model=model, api_key=API_KEY, base_url=server.base_url, price=price, timeout_s=timeout_s)


def hear(speech: ApiSpeech, audio: ChannelAudio, **hints: object) -> tuple[Heard, list[Charge]]:
    charges: list[Charge] = []
    return speech.transcribe(audio, SpeechHints(**hints), charges.append), charges


def sent_samples(content: bytes) -> np.ndarray:
    with av.open(io.BytesIO(content)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_flac_keeps_every_sample() -> None:
    samples = two_voices().samples[1]
    assert np.array_equal(sent_samples(to_flac(samples)), samples)


def test_only_speech_is_sent_and_each_channel_by_itself(openai_server: OpenAIServer) -> None:
    audio = two_voices(20)
    hear(engine(openai_server, "whisper-1"), audio)
    expected = [
        np.concatenate([audio.samples[channel, round(a * 16_000) : round(b * 16_000)] for a, b in spans])
        for channel, spans in enumerate(speech_spans(audio))
    ]
    sent = [sent_samples(request.files["file"].content) for request in openai_server.requests]
    assert sorted(map(len, sent)) == sorted(map(len, expected))
    assert {samples.tobytes() for samples in sent} == {samples.tobytes() for samples in expected}


def test_times_of_an_answer_become_times_of_the_recording(openai_server: OpenAIServer) -> None:
    audio = second_channel_only()
    (_, spans) = speech_spans(audio)
    assert len(spans) >= 2
    first_s = spans[0][1] - spans[0][0]
    openai_server.reply(hears([(0.0, 0.4, "Before."), (first_s + 0.1, first_s + 0.5, "After the pause.")]))
    heard, _ = hear(engine(openai_server, "whisper-1"), audio)
    assert [(said.text, said.start_s) for said in heard.utterances] == [
        ("Before.", pytest.approx(spans[0][0], abs=0.01)),
        ("After the pause.", pytest.approx(spans[1][0] + 0.1, abs=0.01)),
    ]
    assert [word.text for word in heard.utterances[1].words] == ["After", "the", "pause."]


def test_text_and_words_that_disagree_leave_the_segments_times(openai_server: OpenAIServer) -> None:
    def disagree(request):
        reply = hears([(0.2, 0.8, "Twenty-four, please.")])(request)
        reply.body["words"].append({"word": "please", "start": 0.7, "end": 0.8})
        return reply

    openai_server.reply_always(disagree)
    (said,) = hear(engine(openai_server, "whisper-1"), second_channel_only())[0].utterances
    assert (said.text, said.words) == ("Twenty-four, please.", ())


def test_times_beyond_the_piece_stay_in_its_last_stretch(openai_server: OpenAIServer) -> None:
    audio = second_channel_only()
    openai_server.reply(hears([(500.0, 900.0, "Far away.")]))
    (said,) = hear(engine(openai_server, "gpt-4o-transcribe-diarize"), audio)[0].utterances
    start_s, end_s = speech_spans(audio)[1][-1]
    assert start_s <= said.start_s <= said.end_s <= end_s


def test_a_model_without_times_is_asked_turn_by_turn(openai_server: OpenAIServer) -> None:
    audio = two_voices(20)
    openai_server.reply_always(lambda request: says(f"{request.audio_s:.1f} seconds")(request))
    heard, _ = hear(engine(openai_server, "gpt-4o-transcribe"), audio)
    assert len(openai_server.requests) == len(heard.utterances) >= 3
    channels = [said.channel for said in heard.utterances]
    assert channels != sorted(channels), "the channels take turns"
    for said in heard.utterances:
        others = [other for other in heard.utterances if other.channel != said.channel]
        assert not any(said.start_s < other.start_s and other.end_s < said.end_s for other in others)


def test_the_owners_words_go_where_the_model_takes_them(openai_server: OpenAIServer) -> None:
    sent = {}
    for model in ("whisper-1", "gpt-4o-transcribe", "gpt-transcribe", "gpt-4o-transcribe-diarize"):
        hear(engine(openai_server, model), second_channel_only(), vocabulary=VOCABULARY)
        sent[model] = openai_server.requests[-1].body
    assert sent["whisper-1"]["prompt"] == sent["gpt-4o-transcribe"]["prompt"] == "Harbour & Pine, Aquaflow"
    assert sent["gpt-transcribe"]["keywords"] == list(VOCABULARY)
    assert not {"prompt", "keywords"} & set(sent["gpt-4o-transcribe-diarize"])


def test_translation_asks_whisper_for_english(openai_server: OpenAIServer) -> None:
    heard, _ = hear(engine(openai_server, "whisper-1"), second_channel_only(), task="translate", language="de")
    assert heard.utterances
    assert {request.operation for request in openai_server.requests} == {"/audio/translations"}


def test_a_model_that_cannot_translate_is_refused_before_anything_is_sent(openai_server: OpenAIServer) -> None:
    with pytest.raises(EngineMisconfigured, match="CALLWISE_SPEECH__MODEL"):
        hear(engine(openai_server, "gpt-4o-transcribe"), two_voices(), task="translate")
    assert openai_server.requests == []


@pytest.mark.parametrize(("model", "said", "code"), [("whisper-1", "german", "de"), ("gpt-transcribe", "", "en")])
def test_the_language_that_the_model_names_is_kept_as_a_code(
    openai_server: OpenAIServer, model: str, said: str, code: str
) -> None:
    openai_server.reply_always(hears([(0.0, 0.5, "Hallo.")], language=said))
    assert hear(engine(openai_server, model), second_channel_only())[0].language == code


def test_an_azure_deployment_is_asked_by_its_name(openai_server: OpenAIServer) -> None:
    speech = ApiSpeech(
        "azure",
        model="calls-whisper",
        api_key=API_KEY,
        base_url=openai_server.azure_endpoint,
        api_version=API_VERSION,
    )
    _, charges = hear(speech, second_channel_only())
    (request,) = openai_server.requests
    assert request.path == "/openai/deployments/calls-whisper/audio/transcriptions"
    assert request.headers["api-key"] == API_KEY
    assert {(charge.provider, charge.model) for charge in charges} == {("azure", "calls-whisper")}


def test_minutes_are_charged_by_the_seconds_that_were_sent(openai_server: OpenAIServer) -> None:
    _, charges = hear(engine(openai_server, "whisper-1", price=Price(minute=0.006)), two_voices())
    sent_s = sum(request.audio_s for request in openai_server.requests)
    assert sum(charge.audio_s for charge in charges) == pytest.approx(sent_s, abs=0.01)
    assert sum(charge.cost_microusd or 0 for charge in charges) == pytest.approx(sent_s / 60 * 6000, abs=2)


def test_tokens_are_charged_by_the_usage_that_the_server_states(openai_server: OpenAIServer) -> None:
    openai_server.reply_always(says("Yes.", usage=Usage(input_tokens=100, output_tokens=10)))
    price = Price(input=2.5, output=10.0)
    _, charges = hear(engine(openai_server, "gpt-4o-transcribe", price=price), second_channel_only())
    assert {charge.cost_microusd for charge in charges} == {350}
    assert {(charge.input_tokens, charge.output_tokens) for charge in charges} == {(100, 10)}


def test_an_unknown_price_is_not_a_price_of_nothing(openai_server: OpenAIServer) -> None:
    _, charges = hear(engine(openai_server, "whisper-1"), second_channel_only())
    assert [charge.cost_microusd for charge in charges] == [None]


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (fails(429, retry_after_s=2), TransientError, "rate_limited"),
        (fails(500), TransientError, "server_error"),
        (fails(401), EngineMisconfigured, "wrong_api_key"),
        (fails(404, "model_not_found"), EngineMisconfigured, "model_not_found"),
        (fails(400, "invalid_value", param="file"), UndecodableAudio, "rejected_request"),
        (cuts(), TransientError, "unreachable"),
        (garbles(), TransientError, "invalid_response"),
        (hangs(), TransientError, "timed_out"),
    ],
)
def test_an_error_is_one_of_the_two_kinds(
    openai_server: OpenAIServer, answer: Answer, kind: type[Exception], code: str
) -> None:
    openai_server.reply_always(answer)
    with pytest.raises((TransientError, UndecodableAudio)) as failure:
        hear(engine(openai_server, "whisper-1", timeout_s=1), second_channel_only())
    assert type(failure.value) is kind
    assert failure.value.code == code


def test_what_was_answered_before_a_failure_is_charged_all_the_same(openai_server: OpenAIServer) -> None:
    charges: list[Charge] = []
    openai_server.reply(says("One."), says("Two."), fails(500))
    with pytest.raises(TransientError):
        engine(openai_server, "gpt-4o-transcribe").transcribe(two_voices(20), SpeechHints(), charges.append)
    answered = len(openai_server.requests) - 1
    assert len(charges) == answered >= 2


def test_a_wrong_setting_beside_a_hiccup_is_the_failure_that_is_told(openai_server: OpenAIServer) -> None:
    openai_server.reply(fails(500))
    openai_server.reply_always(fails(401))
    with pytest.raises(TransientError) as failure:
        hear(engine(openai_server, "whisper-1"), two_voices())
    assert failure.value.code == "wrong_api_key"


def test_text_that_whisper_itself_does_not_believe_is_dropped(openai_server: OpenAIServer) -> None:
    def doubtful(request):
        reply = hears([(0.0, 0.5, "Thanks for watching!"), (0.6, 1.0, "Hello.")])(request)
        reply.body["segments"][0] |= {"avg_logprob": -1.4, "no_speech_prob": 0.9}
        return reply

    openai_server.reply_always(doubtful)
    heard, _ = hear(engine(openai_server, "whisper-1"), second_channel_only())
    assert [said.text for said in heard.utterances] == ["Hello."]


def test_a_repetition_loop_is_heard_once(openai_server: OpenAIServer) -> None:
    openai_server.reply_always(says("Well " + "I see, " * 40 + "goodbye."))
    heard, _ = hear(engine(openai_server, "gpt-4o-transcribe"), second_channel_only())
    assert {said.text for said in heard.utterances} == {"Well I see, goodbye."}


def test_a_compatible_server_may_say_no_more_than_text(openai_server: OpenAIServer) -> None:
    heard, charges = hear(engine(openai_server, "parakeet-tdt"), second_channel_only())
    assert heard.utterances
    assert openai_server.requests[0].body["response_format"] == "json"
    assert all(charge.audio_s > 0 for charge in charges)


def test_a_second_attempt_asks_for_the_one_piece_that_failed(openai_server: OpenAIServer) -> None:
    audio, kept = whole_call(), MemoryPieces()
    count = len(pack_by_turns(audio, max_s=UNTIMED_PIECE_S))
    assert count >= 10
    speech, charges = engine(openai_server, "gpt-4o-transcribe"), []
    openai_server.reply(*[says("One.")] * 6, fails(500))
    with pytest.raises(TransientError, match="server_error"):
        speech.transcribe(audio, SpeechHints(), charges.append, kept)
    assert len(openai_server.requests) == count
    heard = speech.transcribe(audio, SpeechHints(), charges.append, kept)
    assert len(openai_server.requests) == count + 1
    assert len(heard.utterances) == len(charges) == count


def test_kept_answers_are_heard_as_they_were_when_they_came(openai_server: OpenAIServer) -> None:
    kept = MemoryPieces()
    speech = engine(openai_server, "whisper-1")
    first, again = (speech.transcribe(two_voices(), SpeechHints(), lambda _: None, kept) for _ in range(2))
    assert first == again
    assert first.utterances[0].words
    assert len(openai_server.requests) == len(kept.answers) == 2


@pytest.mark.parametrize("hints", [{"language": "de"}, {"vocabulary": VOCABULARY}, {"task": "translate"}])
def test_an_answer_to_another_question_is_not_taken(openai_server: OpenAIServer, hints: dict[str, object]) -> None:
    kept = MemoryPieces()
    speech = engine(openai_server, "whisper-1")
    for asked in (SpeechHints(), SpeechHints(**hints)):
        speech.transcribe(second_channel_only(), asked, lambda _: None, kept)
    assert len(openai_server.requests) == 2


@pytest.mark.parametrize("answer", [fails(500), fails(429), fails(401)])
def test_a_server_in_trouble_is_left_alone(openai_server: OpenAIServer, answer: Answer) -> None:
    openai_server.reply_always(answer)
    with pytest.raises(TransientError):
        hear(engine(openai_server, "gpt-4o-transcribe"), whole_call())
    assert len(openai_server.requests) <= 2 * REQUESTS_AT_ONCE


def test_probabilities_of_tokens_become_a_confidence(openai_server: OpenAIServer) -> None:
    def doubting(request):
        reply = says("Perhaps.")(request)
        reply.body["logprobs"] = [{"token": "Per", "logprob": -0.1}, {"token": "haps.", "logprob": -1.3}]
        return reply

    openai_server.reply_always(doubting)
    (said,) = hear(engine(openai_server, "gpt-4o-mini-transcribe"), second_channel_only())[0].utterances[:1]
    assert openai_server.requests[0].body["include"] == ["logprobs"]
    assert said.avg_confidence == pytest.approx(0.4966, abs=0.001)


@pytest.mark.parametrize("model", ["whisper-1", "gpt-transcribe", "gpt-4o-transcribe-diarize"])
def test_probabilities_are_not_asked_of_a_model_that_gives_none(openai_server: OpenAIServer, model: str) -> None:
    hear(engine(openai_server, model), second_channel_only())
    assert "include" not in openai_server.requests[0].body


def test_no_piece_is_longer_or_larger_than_any_model_takes(openai_server: OpenAIServer) -> None:
    talk = np.tile(two_voices().samples[1:, : 8 * 16_000], 200)
    hear(engine(openai_server, "gpt-4o-transcribe-diarize"), ChannelAudio(talk))
    assert len(openai_server.requests) >= 2
    assert all(request.audio_s <= TIMED_PIECE_S for request in openai_server.requests)
    worst = to_flac(np.random.default_rng(4).integers(-32768, 32767, round(TIMED_PIECE_S * 16_000), dtype=np.int16))
    assert len(worst) < 25_000_000


def test_minutes_billed_are_the_minutes_of_speech(openai_server: OpenAIServer) -> None:
    audio = whole_call()
    speech_s = sum(end_s - start_s for spans in speech_spans(audio) for start_s, end_s in spans)
    for model in ("whisper-1", "gpt-4o-transcribe"):
        _, charges = hear(engine(openai_server, model), audio)
        assert sum(charge.audio_s for charge in charges) == pytest.approx(speech_s, abs=0.1)
    assert speech_s < 0.6 * 2 * audio.duration_s
