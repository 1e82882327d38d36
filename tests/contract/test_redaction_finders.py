"""One contract for what finds the sensitive: our own rules, and Presidio's beside them where the extra is there."""

from importlib.util import find_spec

import pytest

from calls.errors import EngineMisconfigured
from calls.redaction import find_sensitive, redact, redact_turns
from calls.transcript import Speaker, Turn
from runtime.choice import choose_redaction
from runtime.settings import Settings

needs_presidio = pytest.mark.skipif(not find_spec("presidio_analyzer"), reason="the extra `presidio` is not installed")


@pytest.fixture(params=["own", pytest.param("presidio", marks=needs_presidio)])
def find(request, tmp_path):
    return choose_redaction(Settings(home=tmp_path, redaction={"presidio": request.param == "presidio"}))


def test_findings_lie_in_order_and_apart_in_each_text(find):
    texts = ["my card is 4111 1111 1111 1111 and the CVV is 123", "", "jane@example.org, DE89 3704 0044 0532 0130 00"]
    found = find(texts, ["customer", "agent", "customer"])
    assert [[text[one.start : one.end] for one in here] for text, here in zip(texts, found, strict=True)] == [
        ["4111 1111 1111 1111", "123"],
        [],
        ["jane@example.org", "DE89 3704 0044 0532 0130 00"],
    ]
    assert [[one.kind for one in here] for here in found] == [["CARD", "CVV"], [], ["EMAIL", "IBAN"]]


def test_a_question_says_what_the_next_turn_holds(find):
    turns = [
        Turn(0, Speaker.AGENT, 0.0, 1.0, "What is your social insurance number?"),
        Turn(1, Speaker.CUSTOMER, 2.0, 3.0, "046 454 286"),
    ]
    assert redact_turns(turns, find)[1].text == "[NATIONAL_ID]"


@pytest.mark.parametrize(
    "text", ["tell us when order AB1234567 comes", "let me check 12345678 in the system", "three nights for 27 guests"]
)
def test_clean_text_stays_as_it_is(find, text):
    assert redact(text, find) == text


@needs_presidio
@pytest.mark.parametrize("text", ["my PAN is ABCPD1234E", "NRIC S1234567D", "Krankenversicherungsnummer A123456780"])
def test_presidio_knows_the_papers_of_more_countries(tmp_path, text):
    find = choose_redaction(Settings(home=tmp_path, redaction={"presidio": True}))
    assert redact(text) == text
    assert redact(text, find) == f"{text.rsplit(' ', 1)[0]} [NATIONAL_ID]"


@pytest.mark.skipif(bool(find_spec("presidio_analyzer")), reason="the extra `presidio` is installed")
def test_a_missing_extra_is_said_in_one_line(tmp_path):
    with pytest.raises(EngineMisconfigured, match=r"callwise\[presidio\]"):
        choose_redaction(Settings(home=tmp_path, redaction={"presidio": True}))


def test_our_own_rules_are_the_default(tmp_path):
    assert choose_redaction(Settings(home=tmp_path)) is find_sensitive
