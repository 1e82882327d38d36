"""Who may not read it does not get it: in turns, in the words under them, in summaries, numbers and names."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from calls.redaction import redact_turns
from calls.timing import NOT_TIMED
from calls.transcript import Speaker, Utterance, Word, group_turns, take_turns
from crm.access import Permission, Role, Viewer
from crm.call_lines import CallLine
from crm.one_call import AnalysisRow, Attempt, CallInFull, RecordingRow, TranscriptRow
from crm.redacted import shown_call, shown_line, shown_number, shown_text, shown_turns
from crm.reviews import Review

NOW = datetime(2026, 3, 14, 9, tzinfo=UTC)
AN_ID = UUID(int=7)
CARD = "4111 1111 1111 1111"
NUMBER = "+4915112345678"
SECRETS = (CARD, "4111", "1111", "jane.doe@example.org", "15112345678", "5112345678")


def _said(speaker: Speaker, start_s: float, text: str) -> Utterance:
    words = tuple(Word(word, start_s + i, start_s + i + 0.9, 0.9) for i, word in enumerate(text.split()))
    channel = 0 if speaker is Speaker.AGENT else 1
    return Utterance(channel, start_s, start_s + len(words), text, 0.9, speaker, words)


UTTERANCES = (
    _said(Speaker.AGENT, 0, "May I have your card number please"),
    # One number over two utterances of one turn.
    _said(Speaker.CUSTOMER, 10, "Sure it is 4111 1111"),
    _said(Speaker.CUSTOMER, 15, "1111 1111 thank you"),
    _said(Speaker.AGENT, 25, "And your e-mail"),
    _said(Speaker.CUSTOMER, 30, "jane.doe@example.org"),
    _said(Speaker.AGENT, 40, "Thank you Jane"),
)


def _call() -> CallInFull:
    line_values = dict.fromkeys(field.name for field in fields(CallLine)) | {
        "id": AN_ID,
        "external_call_id": "acme-15112345678-77",
        "stage": "done",
        "happened_at": NOW,
        "headline": f"Pays with {CARD}",
        "customer_name": "Jane Doe",
        "customer_number": NUMBER,
    }
    analysis_values = dict.fromkeys(field.name for field in fields(AnalysisRow)) | {
        "headline": f"Pays with {CARD}",
        "summary": f"Jane pays with {CARD}.",
        "subject": "Payment",
        "next_steps": ({"text": "Write to jane.doe@example.org", "owner": "agent", "due_on": None},),
        "evidence": ({"field": "summary", "turn": 1, "quote": f"it is {CARD}"},),
        "answers": {"mail": "jane.doe@example.org", "is_happy": True},
        "secondary_reasons": (),
        "skipped": (),
        "reviews": (Review(AN_ID, 1, "v", "summary", f"paid by {CARD}", f"pays by {CARD}", "eve", NOW),),
        "following": {},
    }
    held = dict.fromkeys(field.name for field in fields(RecordingRow)) | {"object_key": f"in/{NUMBER[1:]}.wav"}
    heard = TranscriptRow(
        engine="e",
        is_demo=False,
        language="en",
        revision=1,
        created_at=NOW,
        turns=tuple(take_turns(UTTERANCES)),
        utterances_by_turn=tuple(tuple(group) for group in group_turns(UTTERANCES)),
        channels=(),
        agent_channel=0,
        timing=NOT_TIMED,
        skipped=(),
        translation=(replace(UTTERANCES[4], text="the address is jane.doe@example.org"),),
    )
    values = dict.fromkeys(field.name for field in fields(CallInFull)) | {
        "line": CallLine(**line_values),  # type: ignore[arg-type]
        "from_number_e164": NUMBER,
        "attributes": {"note": f"{NUMBER} pays by {CARD}"},
        "recording": RecordingRow(**held),  # type: ignore[arg-type]
        "transcript": heard,
        "analysis": AnalysisRow(**analysis_values),  # type: ignore[arg-type]
        "failed_detail": f"{NUMBER} was busy",
        "reviews": (),
        "attempt": Attempt("understand", 1, NOW, "refused", f"{NUMBER} said: pays by {CARD}"),
    }
    return CallInFull(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", [Role.AGENT, Role.ANALYST, None])
def test_who_may_not_read_it_finds_it_nowhere_in_the_call(role: Role | None) -> None:
    """Everything that is rendered is made of this value."""
    shown = repr(shown_call(Viewer("x", role), _call()))
    assert [secret for secret in SECRETS if secret in shown] == []
    assert "[CARD]" in shown
    assert "[EMAIL]" in shown


@pytest.mark.parametrize("role", [Role.LEAD, Role.REVIEWER, Role.ADMIN])
def test_who_may_read_it_reads_it_as_it_was_said(role: Role) -> None:
    """Nothing is changed."""
    assert shown_call(Viewer("x", role), _call()) == _call()


def test_a_token_with_fewer_scopes_reads_less_than_its_owner() -> None:
    """An admin's token that may only read calls gets marks."""
    shown = shown_call(Viewer("x", Role.ADMIN, scopes=frozenset({Permission.READ_CALLS})), _call())
    assert CARD not in repr(shown)
    assert shown.line.customer_name is None


def test_an_analyst_is_not_told_who_called_and_an_agent_is() -> None:
    """Names are told to those who hear them anyway."""
    assert shown_call(Viewer("x", Role.ANALYST), _call()).line.customer_name is None
    assert shown_call(Viewer("x", Role.ANALYST), _call()).attributes == {}
    assert shown_call(Viewer("x", Role.AGENT), _call()).line.customer_name == "Jane Doe"


def test_turns_are_those_that_redaction_makes_and_the_words_under_them_agree() -> None:
    """A mark that reaches over two utterances stands once, in the first."""
    viewer = Viewer("x", Role.AGENT)
    assert shown_turns(viewer, take_turns(UTTERANCES)) == redact_turns(take_turns(UTTERANCES))
    heard = shown_call(viewer, _call()).transcript
    assert heard is not None
    for turn, said in zip(heard.turns, heard.utterances_by_turn, strict=True):
        assert "".join(turn.text.split()) == "".join("".join(one.text for one in said).split())
        for one in said:
            assert all(word.text in one.text for word in one.words)
    assert [[one.text for one in said] for said in heard.utterances_by_turn][1] == ["Sure it is [CARD]", " thank you"]


def test_words_that_are_others_than_the_text_are_not_shown() -> None:
    """Nobody knows which of them the mark covers."""
    odd = replace(UTTERANCES[1], words=(Word("forty", 10, 11), Word("one", 11, 12)))
    call = _call()
    heard = call.transcript
    assert heard is not None
    parts = [list(said) for said in heard.utterances_by_turn]
    parts[1][0] = odd
    changed = replace(call, transcript=replace(heard, utterances_by_turn=tuple(tuple(said) for said in parts)))
    shown = shown_call(Viewer("x", Role.AGENT), changed).transcript
    assert shown is not None
    assert shown.utterances_by_turn[1][0].words == ()


def test_numbers_are_shown_by_their_end_and_texts_alone() -> None:
    """Enough to know a customer again."""
    agent = Viewer("x", Role.AGENT)
    assert shown_number(agent, NUMBER) == "…5678"
    assert shown_number(agent, None) is None
    assert shown_text(agent, f"card {CARD}") == "card [CARD]"
    assert shown_text(Viewer("x", Role.LEAD), f"card {CARD}") == f"card {CARD}"


def test_the_number_that_called_is_hidden_in_ids_also_where_the_call_is_another_customers():
    line = replace(_call().line, customer_number="+15550177", told_number=NUMBER)
    shown = shown_line(Viewer("ana", Role.ANALYST), line)
    assert (shown.customer_number, shown.told_number) == ("…0177", "…5678")
    assert not any(secret in shown.external_call_id for secret in SECRETS)
