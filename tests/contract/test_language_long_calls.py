"""A call that is longer than the model's window is asked about in parts; one that fits is asked about once."""

import json
from pathlib import Path

import pytest

from calls.checking import check_analysis
from calls.errors import UnusableAnswer
from calls.prompts import system_prompt
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn
from engines.language import Conversation
from engines.language_api import ApiLanguage
from engines.language_requests import LanguageRequests
from tests.servers import openai_answers as answers
from tests.servers.openai_analyses import analyses, sent_call
from tests.servers.openai_requests import SentRequest
from tests.servers.openai_server import API_KEY

TAXONOMY = parse_taxonomy(
    (Path(__file__).parents[2] / "runtime" / "taxonomies" / "service_centre.yaml").read_text(encoding="utf-8")
)
# What the fixed part and the answer take of the window.
FIXED_TOKENS = 6_000


def long_call(turn_count: int) -> Conversation:
    turns = [
        Turn(
            index,
            Speaker.AGENT if index % 2 else Speaker.CUSTOMER,
            10.0 * index,
            10.0 * index + 9,
            f"This is what was said in turn number {index}, and "
            + f"it went on about matter {index} for a while. " * 6,
        )
        for index in range(turn_count)
    ]
    return Conversation(turns=turns, language="en", duration_s=10.0 * turn_count)


@pytest.fixture
def ask(openai_server):
    def analyse(conversation: Conversation, context_tokens: int, pay=lambda _charge: None):
        requests = LanguageRequests("openai", model="m", api_key=API_KEY, base_url=openai_server.base_url)
        engine = ApiLanguage(requests, max_output_tokens=500, context_tokens=context_tokens)
        return engine.analyse(conversation, TAXONOMY, pay)

    return analyse


def test_a_call_that_fits_is_asked_about_once_with_all_of_its_turns(ask, openai_server):
    openai_server.reply_always(analyses())
    ask(long_call(40), 128_000)
    (sent,) = openai_server.requests
    assert len(sent_call(sent)["turns"]) == 40


def test_a_call_that_does_not_fit_is_asked_about_in_parts_and_then_as_a_whole(ask, openai_server):
    openai_server.reply_always(analyses())
    call, charges = long_call(60), []
    checked = check_analysis(ask(call, FIXED_TOKENS + 2_000, charges.append), call.turns, TAXONOMY)
    *parts, last = [sent_call(request) for request in openai_server.requests]
    assert [part["part"] for part in parts] == list(range(1, len(parts) + 1))
    assert {part["part_count"] for part in parts} == {len(parts)}
    assert [turn["turn"] for part in parts for turn in part["turns"]] == [turn.index for turn in call.turns]
    assert [found["first_turn"] for found in last["parts"]] == [part["turns"][0]["turn"] for part in parts]
    assert checked.skipped == ()
    assert len(charges) == len(parts) + 1 > 2


def test_what_was_found_is_joined_in_rounds_until_it_fits(ask, openai_server):
    openai_server.reply_always(analyses())
    call = long_call(120)
    checked = check_analysis(ask(call, FIXED_TOKENS, lambda _charge: None), call.turns, TAXONOMY)
    joined = [sent_call(request)["parts"] for request in openai_server.requests if "parts" in sent_call(request)]
    assert len(joined) > 2
    assert (joined[-1][0]["first_turn"], joined[-1][-1]["last_turn"]) == (0, 119)
    assert checked.reason_code == TAXONOMY.codes[0]


def test_a_part_only_tells_what_its_own_turns_bear_out(ask, openai_server):
    def quotes_turn_0(request: SentRequest) -> answers.Reply:
        def change(document, call):
            document["reason"]["quotes"] = [{"turn": 0, "quote": "what was said in turn number 0"}]

        return analyses(change)(request)

    openai_server.reply_always(quotes_turn_0)
    ask(long_call(60), FIXED_TOKENS + 2_000)
    first, second, *_ = sent_call(openai_server.requests[-1])["parts"]
    assert "reason" in {quote["claim"] for quote in first["quotes"]}
    assert "reason" not in {quote["claim"] for quote in second["quotes"]}


def test_every_part_has_the_fixed_part_first_so_that_a_server_can_cache_it(ask, openai_server):
    openai_server.reply_always(analyses())
    ask(long_call(60), FIXED_TOKENS + 2_000)
    assert {request.body["instructions"] for request in openai_server.requests} == {system_prompt(TAXONOMY)}


def test_a_turn_that_is_longer_than_the_window_is_cut_and_its_quotes_are_found(ask, openai_server):
    openai_server.reply_always(analyses())
    words = " ".join(f"word{number}" for number in range(8_000))
    call = Conversation(turns=[Turn(0, Speaker.UNKNOWN, 0.0, 60.0, words)])
    checked = check_analysis(ask(call, FIXED_TOKENS + 2_000), call.turns, TAXONOMY)
    sent = [sent_call(request) for request in openai_server.requests]
    assert " ".join(turn["text"] for part in sent[:-1] for turn in part["turns"]) == words
    assert checked.skipped == ()


def test_a_server_whose_window_is_smaller_than_the_setting_says_is_asked_in_parts(ask, openai_server):
    def refuses_long(request: SentRequest) -> answers.Reply:
        too_long = len(json.dumps(request.body["input"])) > 9_000
        return (answers.fails(400, "context_length_exceeded") if too_long else analyses())(request)

    openai_server.reply_always(refuses_long)
    call = long_call(60)
    assert check_analysis(ask(call, 128_000), call.turns, TAXONOMY).skipped == ()


def test_a_server_that_finds_everything_too_long_is_given_up(ask, openai_server):
    openai_server.reply_always(answers.fails(400, "context_length_exceeded"))
    with pytest.raises(UnusableAnswer) as caught:
        ask(long_call(60), 128_000)
    assert caught.value.code == "too_long"
    assert "CALLWISE_LANGUAGE__CONTEXT_TOKENS" in caught.value.detail
    assert len(openai_server.requests) <= 5
