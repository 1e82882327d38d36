"""Captions: WebVTT as the standard has it, SubRip as it is met."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.analysis import SkippedFeature
from calls.errors import TerminalError
from ingest.conversations import read_conversation

FIXTURES = Path(__file__).parent.parent / "fixtures" / "conversations"


def said(text, key="a.vtt"):
    return [(u.speaker.value, u.text) for u in read_conversation(key, text.encode()).utterances]


def cue(text):
    return f"WEBVTT\n\n00:01.000 --> 00:02.000\n{text}\n"


def test_webvtt_blocks_settings_classes_entities_and_two_voices_of_one_cue_are_read():
    found = read_conversation("contact.vtt", (FIXTURES / "contact.vtt").read_bytes())
    assert [(u.speaker.value, u.start_s, u.end_s, u.text) for u in found.utterances] == [
        ("agent", 0.4, 2.9, "Good morning, Harbour Repairs, how can I help you?"),
        ("customer", 3.1, 7.25, "My boiler leaks & the kitchen floor is wet."),
        ("agent", 8.0, 11.5, "I can send somebody tomorrow at nine."),
        ("customer", 8.0, 11.5, "Yes, please."),
        ("customer", 12.0, 13.0, "Thank you."),
    ]
    assert (found.duration_s, found.skipped, found.channel_count) == (13.0, (), None)


def test_srt_with_bom_crlf_points_missing_numbers_and_blank_lines_in_the_text_is_read():
    found = read_conversation("bill.srt", (FIXTURES / "bill.srt").read_bytes())
    assert [(u.speaker.value, u.start_s, u.end_s, u.text) for u in found.utterances] == [
        ("agent", 0.5, 2.0, "Harbour Repairs, good morning."),
        ("customer", 2.2, 5.0, "I have a question about my bill."),
        ("customer", 5.5, 7.0, "It is far too high."),
        ("agent", 7.2, 9.0, "Let me look at it."),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("AGENT: hello", ("agent", "hello")),
        ("- Customer: hello", ("customer", "hello")),
        ("[caller]: hello", ("customer", "hello")),
        ("Client: hello", ("customer", "hello")),
        ("call-center agent: hello", ("agent", "hello")),
        ("Speaker 1: hello", ("unknown", "hello")),
        ("Maya: hello", ("unknown", "Maya: hello")),
        ("Note: it is 9:30", ("unknown", "Note: it is 9:30")),
        ("it is 9:30", ("unknown", "it is 9:30")),
        ("<v.first.loud Support_Agent>hello", ("agent", "hello")),
        ("<v Maya Lindqvist>hello", ("unknown", "hello")),
        ("<v Agent>a &lt;b&gt; &nbsp;c</v>", ("agent", "a <b> c")),
        ("<lang de>guten <i>Tag</i></lang>", ("unknown", "guten Tag")),
        ("one < two and two > one", ("unknown", "one < two and two > one")),
    ],
)
def test_who_speaks_comes_from_a_voice_or_a_role_and_is_never_guessed(line, expected):
    assert said(cue(line)) == [expected]


def test_names_that_are_no_roles_keep_their_voices_apart():
    found = read_conversation("a.vtt", cue("<v Maya>one two").encode() + b"\n00:03.000 --> 00:04.000\n<v Omar>three\n")
    assert [u.channel for u in found.utterances] == [0, 1]


def test_a_cue_whose_times_cannot_be_read_is_left_out_and_that_is_said():
    text = cue("Agent: hello there") + "\n00:03.000 --> whenever\nAgent: lost\n"
    found = read_conversation("a.vtt", text.encode())
    assert [u.text for u in found.utterances] == ["hello there"]
    assert found.skipped == (SkippedFeature("transcript", "unreadable_cues"),)


def test_an_end_before_the_start_is_the_start():
    found = read_conversation("a.vtt", b"WEBVTT\n\n01:00:05.000 --> 00:00:01.000\nhello\n")
    assert (found.utterances[0].start_s, found.utterances[0].end_s) == (3605.0, 3605.0)


def test_captions_that_are_not_utf_8_are_refused_with_the_remedy():
    with pytest.raises(TerminalError) as refusal:
        read_conversation("a.srt", "1\n00:00:01,000 --> 00:00:02,000\ngrün\n".encode("latin-1"))
    assert refusal.value.code == "unreadable_conversation"
    assert "UTF-8" in refusal.value.detail


def test_captions_in_utf_16_are_read():
    text = "1\n00:00:01,000 --> 00:00:02,000\nAgent: grün\n"
    found = read_conversation("a.srt", text.encode("utf-16"))
    assert [(u.speaker.value, u.text) for u in found.utterances] == [("agent", "grün")]


words = st.text(alphabet="abcdefg hij", min_size=1, max_size=20).filter(str.strip)


@given(st.lists(st.tuples(st.sampled_from(["Agent", "Customer"]), words), min_size=1, max_size=8))
def test_what_is_written_as_webvtt_and_as_srt_reads_the_same(lines):
    vtt, srt = ["WEBVTT", ""], []
    for number, (who, text) in enumerate(lines):
        vtt += [f"00:{number:02}.000 --> 00:{number:02}.900", f"<v {who}>{text}</v>", ""]
        srt += [str(number + 1), f"00:00:{number:02},000 --> 00:00:{number:02},900", f"{who}: {text}", ""]
    expected = [(who.lower(), " ".join(text.split())) for who, text in lines]
    assert said("\n".join(vtt)) == expected
    assert said("\n".join(srt), "a.srt") == expected
