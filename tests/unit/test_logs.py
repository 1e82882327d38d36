"""Logs carry ids and counts, never what people said."""

from uuid import uuid4

from calls.errors import TransientError
from runtime.logs import show_where_it_broke, withhold_call_text


def cleaned(**facts):
    return withhold_call_text(None, "info", {"event": "step_failed", **facts})


def test_words_of_a_call_are_withheld_by_name_and_by_length():
    event = cleaned(transcript="my card is lost", detail="x" * 500)
    assert event["transcript"] == event["detail"] == "[withheld]"


def test_a_phone_number_inside_a_value_is_withheld():
    assert "4155550123" not in cleaned(detail="caller +1 415 555 0123 gone")["detail"].replace(" ", "")
    assert "[number]" in cleaned(detail="caller +14155550123 gone")["detail"]


def broken(words, ours):
    try:
        try:
            raise ValueError(words)
        except ValueError as error:
            raise TransientError(ours) from error
    except TransientError as error:
        return show_where_it_broke(None, "error", {"event": "step_broke", "exc_info": error})["exception"]


def test_a_foreign_error_shows_its_kind_and_its_place_but_not_its_words():
    shown = broken("Key (phone_e164)=(+14155550123) already exists", "the database is away")
    assert "phone_e164" not in shown
    assert "4155550123" not in shown
    assert "ValueError" in shown
    assert "in broken" in shown
    assert "temporarily_unavailable: the database is away" in shown


def test_ids_codes_and_counts_pass():
    call_id = str(uuid4())
    assert cleaned(call_id=call_id, code="not_audio", calls=7) == {
        "event": "step_failed",
        "call_id": call_id,
        "code": "not_audio",
        "calls": 7,
    }
