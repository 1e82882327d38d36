"""Whose channel is whose, by what is said."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.channels import MAYBE_SWAPPED, SURE_FROM, ChannelGuess, doubts_about, who_is_agent
from calls.recording import Direction
from calls.transcript import Utterance

DATA = Path(os.environ.get("CALLWISE_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
CALL = (
    ("agent", "Thank you for calling Harbour and Pine, how can I help you?"),
    ("customer", "I would like to know where my order is."),
    ("agent", "Let me check. Is there anything else I can do for you?"),
    ("customer", "No, that's all."),
)
NOTHING = ChannelGuess(None, 0.5)


def utterances(lines, agent_channel=1):
    channels = {"agent": agent_channel, "customer": 1 - agent_channel, "caller": 1 - agent_channel}
    return [Utterance(channels[who], float(i), i + 0.9, text) for i, (who, text) in enumerate(lines)]


@pytest.mark.parametrize("agent_channel", [0, 1])
@pytest.mark.parametrize("direction", [Direction.INBOUND, None])
def test_who_greets_and_offers_help_is_the_agent(agent_channel, direction):
    said = utterances(CALL, agent_channel)
    guess = who_is_agent(said, direction)
    assert guess.agent_channel == agent_channel
    assert guess.confidence >= SURE_FROM
    assert doubts_about(said, direction, agent_channel) == ()
    assert doubts_about(said, direction, 1 - agent_channel) == (MAYBE_SWAPPED,)


def test_who_rings_says_why_be_it_the_customer_or_the_agent():
    lines = [("agent", "Yes?"), ("customer", "I am calling about something.")]
    assert who_is_agent(utterances(lines), Direction.INBOUND).agent_channel == 1
    assert who_is_agent(utterances(lines), Direction.OUTBOUND).agent_channel == 0


def test_one_cue_alone_is_no_reason_to_doubt():
    lines = [("customer", "Hello? How can I help you?"), ("agent", "Good morning to you.")]
    assert who_is_agent(utterances(lines), None).agent_channel == 0
    assert doubts_about(utterances(lines), Direction.INBOUND, 1) == ()


@pytest.mark.parametrize(
    ("lines", "direction"),
    [
        ((), Direction.INBOUND),
        ((("agent", "Thank you for calling, how can I help you?"),), Direction.INBOUND),
        ((("agent", "Wie geht es Ihnen?"), ("customer", "Gut.")), Direction.INBOUND),
        (CALL, Direction.INTERNAL),
    ],
)
def test_nothing_is_guessed_from_nothing(lines, direction):
    assert who_is_agent(utterances(lines), direction) == NOTHING
    assert doubts_about(utterances(lines), direction, 0) == ()


def test_a_map_that_nobody_gave_is_not_doubted():
    assert doubts_about(utterances(CALL), Direction.INBOUND, None) == ()


said = st.sampled_from([text for _, text in CALL] + ["Hello.", "Yes.", "I am calling about a bill.", ""])


@given(st.lists(st.tuples(st.sampled_from(["agent", "customer"]), said), max_size=8), st.sampled_from([*Direction]))
def test_other_numbers_for_the_channels_turn_the_guess_and_not_its_confidence(lines, direction):
    one, other = who_is_agent(utterances(lines, 1), direction), who_is_agent(utterances(lines, 0), direction)
    assert one.confidence == other.confidence
    assert (one.agent_channel, other.agent_channel) in {(1, 0), (0, 1), (None, None)}


@pytest.mark.parametrize(
    ("name", "least_found"),
    [("star/dialogues.jsonl", 0.6), ("vcon/calls.jsonl", 0.9), ("harper/calls.jsonl", 1.0)],
)
def test_in_other_peoples_conversations_no_right_map_is_doubted_and_most_wrong_ones_are(name, least_found):
    if not (DATA / name).exists():
        pytest.skip(f"the evaluation data {DATA / name} is not on this machine")
    found = told = 0
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        said = utterances(_lines(json.loads(line)))
        if len({u.channel for u in said}) < 2:
            continue
        told += 1
        assert doubts_about(said, None, 1) == ()
        found += bool(doubts_about(said, None, 0))
    assert found / told >= least_found


def _lines(row):
    if "segments" in row:
        spoken = sorted((s for s in row["segments"] if s["text_clean"]), key=lambda s: s["start_ms"])
        return [(s["speaker"], s["text_clean"]) for s in spoken]
    return [(turn["speaker"], turn["text"]) for turn in row.get("turns", ())]
