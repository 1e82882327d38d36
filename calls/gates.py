"""Which calls are not worth an analysis: nobody spoke, or nobody was there to speak with."""

import re
from collections.abc import Sequence

from calls.pipeline import SkipReason
from calls.quotes import word_count
from calls.transcript import Speaker, Utterance

# "Hello?" and "hello, hello?": a call of fewer words than this says nothing about anything.
MIN_WORD_COUNT = 3

_GREETING = re.compile(
    r"\b(?:leave|leaving|live|left)\b.{0,40}\b(?:message|name and (?:your )?number)\b"
    r"|\b(?:after|at|hear) the (?:tone|beep|signal)\b"
    r"|\bvoice ?mail\b|\bmail ?box\b"
    r"|\b(?:can ?not|can't|unable to|not able to) (?:take|answer|come to|get to) (?:your|the|my) (?:call|phone)\b"
    r"|\b(?:office|shop|store|centre|center|lines?) (?:is|are) (?:now |currently )?closed\b"
    r"|\b(?:is|are|am|i'm) not available\b.{0,40}\b(?:call|message|moment|now)\b"
    # German, French, Spanish, Italian, Portuguese, Dutch.
    r"|\bnachricht\b.{0,40}\b(?:hinterlassen|hinterlasse|aufsprechen)\b|\b(?:hinterlassen|"
    r"hinterlasse)\b.{0,40}\bnachricht\b"
    r"|\bnach dem (?:signal|piep|pfeif)?ton\b|\bnach dem piep\b|\banrufbeantworter\b"
    r"|\blaiss(?:ez|er|e)\b.{0,40}\bmessage\b|\bapr[eè]s (?:le|la) (?:bip|signal|tonalit[eé])|\bmessagerie\b|"
    r"\br[eé]pondeur\b"
    r"|\b(?:deje|deja|dejar|dejen)\b.{0,40}\bmensaje\b|\bdespu[eé]s de(?:l tono| la se[nñ]al)|\bbuz[oó]n de voz\b"
    r"|\blasci(?:ate|are|a|)\b.{0,40}\bmessaggio\b|\bdopo il (?:segnale|bip)\b|\bsegreteria telefonica\b"
    r"|\bdeix(?:e|ar|a)\b.{0,40}\b(?:mensagem|recado)\b|\bap[oó]s o (?:sinal|bip)\b|\bcaixa (?:postal|de correio)\b"
    r"|\b(?:spreek|laat)\b.{0,40}\b(?:bericht|boodschap)\b|\bna de (?:piep|toon)\b",
    re.IGNORECASE | re.DOTALL,
)
# What only a person says who has somebody to talk with; an announcement does not ask and wait.
_DIALOGUE = re.compile(
    r"\bhow (?:can|may) i help|\bwhat can i do for you|\banything else|\blet me (?:check|look|see)|\bcan i have your"
    r"|\bmay i have|\bcould you (?:tell|give|spell)|\bone moment|\bbear with me|\bthank you for (?:waiting|holding)"
    r"|\byou're welcome|\byes(?:,| it is| i do| please)|\bis that (?:right|correct)"
    r"|\bwie kann ich (?:ihnen )?(?:helfen|weiterhelfen)|\bwas kann ich f[uü]r sie tun|\beinen moment|"
    r"\bgern geschehen|\bja,"
    r"|\b(?:que|en quoi) puis[- ]je|\bun instant|\bje vous en prie|\boui,|\best[- ]ce que vous"
    r"|\ben qu[eé] (?:le )?puedo|\bun momento|\bde nada|\bs[ií],|\bcome posso aiutar|\bun attimo|\bprego|\bs[iì],"
    r"|\b(?:em que|como) posso ajudar|\bs[oó] um momento|\bsim,|\b(?:waarmee|hoe) kan ik (?:u |je )?helpen|"
    r"\bgraag gedaan|\bja,",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
# A greeting stands at the beginning: this many words of a mono recording are searched for it.
_OPENING_WORDS = 60


def gate(utterances: Sequence[Utterance], channel_count: int, min_speech_s: float) -> SkipReason | None:
    """Why a call of these utterances gets no analysis; None when it gets one.

    `no_speech`: nothing was said, or less than `min_speech_s` seconds in all. `too_short`: fewer than MIN_WORD_COUNT
    words. `voicemail`: of two channels only one speaks, or one of them says a "leave a message" greeting before the
    other begins and nothing after; of one channel, the recording opens with such a greeting and nothing in it answers
    anybody.
    A call in which both sides take part is never a voicemail, however short it is.
    """
    said = [utterance for utterance in utterances if _WORD.search(utterance.text)]
    if not said or _speech_s(said) < min_speech_s:
        return SkipReason.NO_SPEECH
    if sum(word_count(utterance.text) for utterance in said) < MIN_WORD_COUNT:
        return SkipReason.TOO_SHORT
    sides = _sides(said, channel_count)
    is_voicemail = _is_monologue(said) if len(sides) < 2 and channel_count < 2 else _is_one_sided(sides)
    return SkipReason.VOICEMAIL if is_voicemail else None


def _speech_s(said: Sequence[Utterance]) -> float:
    """Seconds in which at least one side speaks."""
    total, reached = 0.0, 0.0
    for utterance in sorted(said, key=lambda u: u.start_s):
        total += max(0.0, utterance.end_s - max(utterance.start_s, reached))
        reached = max(reached, utterance.end_s)
    return total


def _sides(said: Sequence[Utterance], channel_count: int) -> list[list[Utterance]]:
    """The utterances by who says them: by channel where there are two, else by speaker where speakers are known."""
    sides: dict[int | Speaker, list[Utterance]] = {}
    for utterance in sorted(said, key=lambda u: u.start_s):
        sides.setdefault(utterance.channel if channel_count == 2 else utterance.speaker, []).append(utterance)
    return list(sides.values())


def _is_one_sided(sides: list[list[Utterance]]) -> bool:
    if len(sides) < 2:
        return True
    first, second = sorted(sides, key=lambda side: side[0].start_s)[:2]
    is_over_before = first[-1].start_s < second[0].start_s
    return is_over_before and bool(_GREETING.search(" ".join(utterance.text for utterance in first)))


def _is_monologue(said: Sequence[Utterance]) -> bool:
    words = " ".join(utterance.text for utterance in sorted(said, key=lambda u: u.start_s)).split()
    opening = " ".join(words[:_OPENING_WORDS])
    return bool(_GREETING.search(opening)) and not _DIALOGUE.search(" ".join(words))
