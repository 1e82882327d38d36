"""Laws of the gate before the analysis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.gates import gate
from calls.pipeline import SkipReason
from calls.transcript import Speaker, Utterance

GREETING = "You have reached Harbour and Pine. Our lines are closed now, please leave a message after the tone."
MESSAGE = "Hi, this is Dana Cole, my dryer is broken, please call me back."


def said(*lines: tuple[int, str], gap_s: float = 0.5) -> list[Utterance]:
    utterances, now = [], 0.0
    for channel, text in lines:
        length = 0.4 * len(text.split())
        utterances.append(Utterance(channel, now, now + length, text))
        now += length + gap_s
    return utterances


def test_a_silent_recording_has_no_speech():
    assert gate([], 2, 1.0) is SkipReason.NO_SPEECH
    assert gate([Utterance(0, 0.0, 9.0, " - ")], 2, 1.0) is SkipReason.NO_SPEECH


def test_speech_counts_once_where_both_sides_speak_at_the_same_time():
    both = [Utterance(channel, 0.0, 0.8, "hello who is there") for channel in (0, 1)]
    assert gate(both, 2, 1.0) is SkipReason.NO_SPEECH
    assert gate(both, 2, 0.7) is None


def test_a_word_or_two_are_too_short():
    assert gate([Utterance(0, 0.0, 2.0, "hello hello")], 2, 1.0) is SkipReason.TOO_SHORT


@pytest.mark.parametrize("agent_channel", [0, 1])
def test_a_greeting_and_a_message_are_a_voicemail(agent_channel):
    lines = said((agent_channel, GREETING), (1 - agent_channel, MESSAGE), (1 - agent_channel, "Thanks, bye."))
    assert gate(lines, 2, 1.0) is SkipReason.VOICEMAIL


def test_two_channels_of_which_one_speaks_are_a_voicemail():
    assert gate(said((0, MESSAGE)), 2, 1.0) is SkipReason.VOICEMAIL
    assert gate(said((1, "Hello? Is anybody there? I cannot hear you.")), 2, 1.0) is SkipReason.VOICEMAIL


def test_a_mono_recording_that_opens_with_a_greeting_is_a_voicemail():
    assert gate(said((0, GREETING), (0, MESSAGE)), 1, 1.0) is SkipReason.VOICEMAIL


@pytest.mark.parametrize(
    "greeting",
    [
        "Guten Tag, unsere Leitungen sind belegt. Bitte hinterlassen Sie eine Nachricht nach dem Signalton.",
        "Bonjour, nous sommes fermés. Veuillez laisser un message après le bip.",
        "Hola, en este momento no podemos atenderle. Deje su mensaje después de la señal.",
        "Buongiorno, lasciate un messaggio dopo il segnale acustico.",
        "Olá, deixe a sua mensagem após o sinal.",
        "Goedendag, spreek uw bericht in na de piep.",
    ],
)
def test_a_greeting_in_another_language_is_known_and_a_dialogue_after_it_is_none(greeting):
    assert gate(said((0, greeting), (0, "Dana Cole, 555 0100.")), 1, 1.0) is SkipReason.VOICEMAIL
    assert gate(said((0, greeting), (1, "Dana Cole, 555 0100.")), 2, 1.0) is SkipReason.VOICEMAIL


@pytest.mark.parametrize(
    "answer", ["Wie kann ich Ihnen helfen?", "En quoi puis-je vous aider ?", "¿En qué le puedo ayudar?"]
)
def test_who_is_spoken_to_in_another_language_is_no_machine(answer):
    lines = said((0, "Anrufbeantworter, messagerie, buzón de voz."), (0, answer))
    assert gate(lines, 1, 1.0) is None


def test_a_script_without_blanks_is_not_too_short():
    assert gate([Utterance(0, 0.0, 2.0, "你好我想查询我的订单")], 1, 1.0) is None


def test_a_mono_dialogue_is_no_voicemail_whatever_is_said_in_it():
    lines = said(
        (0, "Harbour and Pine, how can I help?"), (0, "I want to leave a message for Tom."), (0, "Sure, go on.")
    )
    assert gate(lines, 1, 1.0) is None
    assert gate(said((0, MESSAGE), (0, "I left a voicemail")), 2, 1.0) is SkipReason.VOICEMAIL
    assert gate(said((0, MESSAGE)), 1, 1.0) is None


def test_known_speakers_of_a_mono_recording_count_as_sides():
    lines = [
        Utterance(0, 0.0, 4.0, GREETING, speaker=Speaker.AGENT),
        Utterance(0, 5.0, 8.0, MESSAGE, speaker=Speaker.CUSTOMER),
        Utterance(0, 9.0, 10.0, "Hold on, I am here.", speaker=Speaker.AGENT),
    ]
    assert gate(lines, 1, 1.0) is None
    assert gate(lines[:2], 1, 1.0) is SkipReason.VOICEMAIL


def test_an_agent_who_offers_to_take_a_message_is_no_voicemail():
    lines = said(
        (1, "Harbour and Pine, how can I help?"),
        (0, "Tom, please."),
        (1, "He is not available right now, would you like to leave a message?"),
        (0, "No, thanks."),
    )
    assert gate(lines, 2, 1.0) is None


@given(st.lists(st.sampled_from([GREETING, MESSAGE, "yes", "no thank you", "voicemail"]), min_size=3, max_size=8))
def test_a_two_sided_call_is_never_a_voicemail(texts):
    lines = said(*((i % 2, text) for i, text in enumerate(texts)))
    assert gate(lines, 2, 0.0) is not SkipReason.VOICEMAIL
