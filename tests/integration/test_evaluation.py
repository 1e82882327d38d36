"""`eval speech`: known errors give the known figures, through real files and the pipeline's own decoding."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from calls.errors import EngineMisconfigured, TransientError
from calls.money import Charge
from calls.transcript import Utterance, Word
from cli import evaluate
from cli.evaluation_data import BadData, read_data
from cli.speech_evaluation import hear, summarise
from engines.audio import decode
from engines.speech import SpeechHints
from engines.speech_fake import FakeSpeech
from tests.sound import two_channel_wav

SEGMENTS = [
    {"speaker": "agent", "start_ms": 0, "end_ms": 2000, "text": "How can I help you?"},
    {"speaker": "caller", "start_ms": 2000, "end_ms": 4000, "text": "Where is my order [noise]"},
]


def data_in(folder: Path, *rows: dict[str, object]) -> Path:
    """A data set of these rows, each with ten seconds of two-channel sound unless it names its own."""
    for number, row in enumerate(rows):
        row.setdefault("id", str(number))
        if "audio" not in row:
            row["audio"] = f"{number}.wav"
            (folder / row["audio"]).write_bytes(two_channel_wav(seconds=10))
    (folder / "calls.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return folder


def figures(folder: Path, engine: FakeSpeech, agent_channel: int = 1):
    """The document of a run."""
    return summarise(
        [
            hear(one, engine, SpeechHints(), default_agent_channel=agent_channel, decode=decode)
            for one in read_data(folder)
        ]
    )


def heard(agent: str, customer: str, agent_channel: int = 1):
    """An engine that hears these words in the times of SEGMENTS."""
    said = [Utterance(agent_channel, 0.0, 2.0, agent), Utterance(1 - agent_channel, 2.0, 4.0, customer)]
    return FakeSpeech(lambda _audio: [one for one in said if one.text])


def row_of(document, channel):
    [found] = [row for row in document["channels"] if row["channel"] == channel]
    return found


def test_known_errors_give_the_known_rates_of_each_channel(tmp_path):
    folder = data_in(tmp_path, {"segments": SEGMENTS})
    document = figures(folder, heard("how can we help", "where is my order please now"))
    agent, customer, both = (row_of(document, channel) for channel in ("agent", "customer", "all"))
    assert (agent["word_count"], agent["word_error_rate"]["value"]) == (5, 0.4)
    assert [agent[f"{kind}_count"] for kind in ("substitution", "deletion", "insertion")] == [1, 1, 0]
    assert (customer["insertion_count"], customer["word_error_rate"]["value"]) == (2, 0.5)
    assert (both["word_count"], both["call_count"], both["word_error_rate"]["value"]) == (9, 1, round(4 / 9, 4))
    # "how can i help you" against "how can we help": i -> w, + e, - " you".
    assert agent["character_error_rate"]["value"] == round(6 / 18, 4)
    assert document["roles"] | {"accuracy": document["roles"]["accuracy"]["value"]} == {
        "accuracy": 1.0,
        "matched_word_count": 7,
        "named_word_count": 7,
        "doubted_call_count": 0,
    }
    assert (document["call_count"], document["audio_s"], document["failed"]) == (1, 10.0, [])
    assert document["real_time_factor"]["value"] > 0


def test_what_is_right_has_no_errors_and_rates_are_taken_over_all_words(tmp_path):
    folder = data_in(tmp_path, {"segments": SEGMENTS}, {"turns": [{"speaker": "agent", "text": "how can I help you"}]})
    document = figures(folder, heard("How can I help you.", "where is my order"))
    assert [row["word_error_rate"]["value"] for row in document["channels"]] == [0.0, 0.0, 0.0]
    assert row_of(document, "agent")["word_count"] == 10


def test_the_data_say_which_channel_is_whose_before_the_setting_does(tmp_path):
    folder = data_in(tmp_path, {"segments": SEGMENTS, "channels": {"0": "agent", "1": "customer"}})
    engine = heard("how can i help you", "where is my order", agent_channel=0)
    document = figures(folder, engine, agent_channel=1)
    assert (row_of(document, "all")["word_error_rate"]["value"], document["roles"]["accuracy"]["value"]) == (0.0, 1.0)
    folder = data_in(tmp_path, {"segments": SEGMENTS})
    document = figures(folder, engine, agent_channel=1)
    assert (document["roles"]["accuracy"]["value"], document["roles"]["doubted_call_count"]) == (0.0, 1)


def test_words_where_the_reference_has_silence_are_counted(tmp_path):
    folder = data_in(tmp_path, {"segments": SEGMENTS})
    invented = Utterance(0, 6.0, 7.0, "thanks for watching", words=tuple(Word(w, 6.1, 6.3) for w in ("thanks", "for")))
    near = Utterance(1, 2.1, 2.4, "right")
    evenly = Utterance(1, 8.0, 9.0, "bye bye")
    document = figures(folder, FakeSpeech({0: [invented], 1: [near, evenly]}))
    # Ten seconds twice, less two segments of two seconds and half a second around each.
    assert (document["over_silence"]["word_count"], document["over_silence"]["silence_s"]) == (4, 14.5)


def test_one_channel_is_compared_as_a_whole_and_gives_nobody_a_role(tmp_path):
    noise = two_channel_wav(seconds=10)
    (tmp_path / "mono.wav").write_bytes(noise[:22] + b"\x01\x00" + noise[24:32] + b"\x02\x00" + noise[34:])
    turns = [{"speaker": "agent", "text": "hello"}, {"speaker": "customer", "text": "good morning"}]
    folder = data_in(
        tmp_path, {"audio": "mono.wav", "turns": turns}, {"audio": "mono.wav", "ref": "hello good evening"}
    )
    document = figures(folder, FakeSpeech({0: [Utterance(0, 0, 1, "hello good morning")]}))
    [row] = document["channels"]
    assert (row["channel"], row["word_count"], row["word_error_rate"]["value"]) == ("both in one", 6, round(1 / 6, 4))
    assert (document["roles"]["accuracy"], document["roles"]["matched_word_count"]) == (None, 3)


def test_a_text_for_each_speaker_is_no_order_of_both(tmp_path):
    folder = data_in(tmp_path, {"ref": {"agent": "how can i help you", "caller": "where is my order"}})
    document = figures(folder, heard("how can i help you", ""))
    assert row_of(document, "customer")["word_error_rate"]["value"] == 1.0
    assert document["roles"]["matched_word_count"] == 0


def test_without_a_reference_there_is_speed_alone(tmp_path):
    document = figures(data_in(tmp_path, {"ref": None, "channels": 2}), heard("hello", "hello"))
    assert (document["channels"], document["without_reference_count"]) == ([], 1)
    assert document["real_time_factor"] is not None
    assert document["over_silence"]["word_count"] is None


def test_a_recording_or_an_engine_that_fails_is_named_and_the_others_count(tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    folder = data_in(tmp_path, {"audio": "broken.wav", "segments": SEGMENTS}, {"segments": SEGMENTS})
    document = figures(folder, heard("how can i help you", "where is my order"))
    assert document["failed"] == [{"id": "0", "code": "not_audio"}]
    assert row_of(document, "all")["word_count"] == 9

    def away(_audio):
        raise TransientError("no answer", code="rate_limited")

    assert {one["code"] for one in figures(folder, FakeSpeech(away))["failed"]} == {"not_audio", "rate_limited"}


def test_an_engine_that_is_set_up_wrongly_ends_the_run(tmp_path):
    def wrong(_audio):
        raise EngineMisconfigured("no model", code="missing_model")

    with pytest.raises(EngineMisconfigured):
        figures(data_in(tmp_path, {"segments": SEGMENTS}), FakeSpeech(wrong))


class Paid(FakeSpeech):
    """Charges for every recording."""

    def transcribe(self, audio, hints, pay, *kept):
        pay(Charge("openai", "gpt-4o-transcribe", "transcribe", "r", 0, 0, 0, 4.0, 400))
        return super().transcribe(audio, hints, pay, *kept)


def test_what_was_paid_is_told(tmp_path):
    paid = figures(data_in(tmp_path, {"segments": SEGMENTS}), Paid())["paid"]
    assert paid == {"request_count": 1, "audio_s": 4.0, "cost_microusd": 400}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1: JSONDecodeError"),
        ("[]", "line 1"),
        ('{"id": 1}', "'audio'"),
        ('{"id": 1, "audio": "away.wav"}', "no file 'away.wav'"),
        ('{"id": 1, "audio": "../x.wav"}', "outside of the folder"),
        ('{"id": 1, "audio": "x.wav", "turns": [{"speaker": "robot", "text": "x"}]}', "'robot'"),
        ('{"id": 1, "audio": "x.wav", "segments": [{"speaker": "agent", "start_ms": 9, "end_ms": 1}]}', "before it"),
        ('{"id": 1, "audio": "x.wav", "channels": {"0": "nobody"}}', "'nobody'"),
        ('{"id": 1, "audio": "x.wav"}\n{"id": "1", "audio": "x.wav"}', "line 2: the id '1' stands there twice"),
        ("", "has no calls"),
    ],
)
def test_data_that_cannot_be_read_name_the_line_and_what_is_wrong(tmp_path, line, words):
    (tmp_path / "x.wav").write_bytes(b"x")
    (tmp_path / "calls.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(BadData, match=words.replace("[", r"\[")):
        read_data(tmp_path)
    with pytest.raises(BadData, match="FileNotFoundError"):
        read_data(tmp_path / "nowhere")


def run(*arguments: str):
    app = typer.Typer()
    evaluate.register(app)
    return CliRunner().invoke(app, ["eval", "speech", *arguments], env={"COLUMNS": "160", "NO_COLOR": "1"})


def test_the_command_hears_with_the_engine_that_is_asked_for_and_needs_no_database(tmp_path):
    noise = two_channel_wav(seconds=10)
    (tmp_path / "silence.wav").write_bytes(noise[:44] + bytes(len(noise) - 44))
    folder = data_in(tmp_path, {"audio": "silence.wav", "segments": SEGMENTS}, {"audio": "silence.wav", "ref": "x"})
    home = tmp_path / "home"
    asked = (str(folder), "--engine", "offline", "--home", str(home), "--limit", "1")
    document = json.loads(run(*asked, "--json").stdout)
    assert (document["engine"], document["is_demo"]) == ("pocketsphinx/callwise-domain", True)
    assert (row_of(document, "all")["deletion_count"], document["over_silence"]["word_count"]) == (9, 0)
    printed = " ".join(run(*asked).output.split())
    assert "100.0% (100.0% to 100.0%)" in printed
    assert "A demo engine" in printed
    assert not home.exists()
    assert isinstance(run(str(tmp_path / "nowhere")).exception, BadData)
