"""One contract for every language engine: OpenAI, Azure, a compatible server, the offline one and the fake."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from calls.analysis import Outcome, SkippedFeature
from calls.answers import answer_schema
from calls.checking import check_analysis
from calls.errors import EngineMisconfigured, TransientError, UnusableAnswer
from calls.money import Charge
from calls.prices import Price
from calls.prompts import system_prompt
from calls.reasons import INSUFFICIENT
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn
from engines.language import Conversation, LanguageEngine
from engines.language_api import ApiLanguage
from engines.language_fake import FakeLanguage
from engines.language_offline import OfflineLanguage
from engines.language_requests import LanguageRequests
from tests.servers import openai_answers as answers
from tests.servers.openai_requests import SentRequest
from tests.servers.openai_server import API_KEY, API_VERSION, OpenAIServer

TAXONOMY = parse_taxonomy(
    (Path(__file__).parents[2] / "runtime" / "taxonomies" / "service_centre.yaml").read_text(encoding="utf-8")
)
CALL = Conversation(
    turns=[
        Turn(0, Speaker.AGENT, 0.0, 3.0, "Harbour and Pine, this is Tom, how can I help you?"),
        Turn(1, Speaker.CUSTOMER, 3.5, 9.0, "Hello. I ordered a fridge two weeks ago and it still has not arrived."),
        Turn(2, Speaker.AGENT, 9.5, 14.0, "I am sorry. It will be delivered on Monday, I will send you a message."),
        Turn(3, Speaker.CUSTOMER, 14.5, 16.0, "Great, thank you very much."),
    ],
    language="en",
)
SILENCE = Conversation(turns=[])
RIGHT_ANSWER = {
    "addressed_to_model": [],
    "language": "en",
    "reason": {"quotes": [{"turn": 1, "quote": "still has not arrived"}], "code": "delivery_status", "confidence": 0.9},
    "secondary_reasons": [],
    "headline": "Fridge is two weeks late",
    "summary": {
        "quotes": [{"turn": 1, "quote": "I ordered a fridge two weeks ago"}],
        "situation": "A fridge has not arrived.",
        "what_was_done": "The agent named a day.",
        "result": "It comes on Monday.",
    },
    "outcome": {"quotes": [{"turn": 2, "quote": "delivered on Monday"}], "value": "follow_up", "is_resolved": None},
    "next_steps": [],
    "sentiment": {"quotes": [], "start": None, "end": None, "overall": None},
    "subject": {"turn": 1, "quote": "a fridge", "text": "fridge"},
    "answers": {code: {"turn": None, "quote": None, "value": None} for code in (q.code for q in TAXONOMY.questions)},
}
API_PROVIDERS = ("openai", "azure", "compatible")


@dataclass
class Bill:
    """What an engine said that it was paid for."""

    charges: list[Charge] = field(default_factory=list)

    def pay(self, charge: Charge) -> None:
        self.charges.append(charge)


@pytest.fixture
def bill() -> Bill:
    return Bill()


def api_engine(provider: str, server: OpenAIServer, **changes) -> ApiLanguage:
    settings = {
        "model": "gpt-5.4-mini",
        "api_key": API_KEY,
        "api_version": API_VERSION,
        "base_url": server.azure_endpoint if provider == "azure" else server.base_url,
        "price": Price(input=0.75, cached=0.075, output=4.5),
    }
    of_answers = {name: changes.pop(name) for name in ("max_output_tokens", "summary_language") if name in changes}
    return ApiLanguage(LanguageRequests(provider, **(settings | changes)), **of_answers)


def right_answer(request: SentRequest) -> answers.Reply:
    """RIGHT_ANSWER to a question about a call, the list of models to one for these."""
    answer = answers.default_answer if request.method == "GET" else answers.says(json.dumps(RIGHT_ANSWER))
    return answer(request)


def says_wrong_label() -> answers.Answer:
    """RIGHT_ANSWER under a reason that the taxonomy does not have."""
    return answers.says(json.dumps(RIGHT_ANSWER | {"reason": RIGHT_ANSWER["reason"] | {"code": "free_holiday"}}))


@pytest.fixture(params=["api[openai]", "api[azure]", "api[compatible]", "offline", "fake"])
def engine(request, openai_server) -> LanguageEngine:
    openai_server.reply_always(right_answer)
    if request.param == "offline":
        return OfflineLanguage()
    if request.param == "fake":
        return FakeLanguage()
    return api_engine(request.param[4:-1], openai_server)


@pytest.fixture(params=API_PROVIDERS)
def provider(request) -> str:
    return request.param


@pytest.fixture
def ask(provider, openai_server, bill) -> Iterator[Callable]:
    def analyse(conversation: Conversation = CALL, **changes):
        return api_engine(provider, openai_server, **changes).analyse(conversation, TAXONOMY, bill.pay)

    return analyse


class TestEveryEngine:
    def test_a_call_gets_a_reason_and_a_summary_that_its_words_bear_out(self, engine, bill):
        checked = check_analysis(engine.analyse(CALL, TAXONOMY, bill.pay), CALL.turns, TAXONOMY)
        assert checked.reason_code == "delivery_status"
        assert checked.headline
        assert checked.summary
        assert not {"reason", "summary", "outcome"} & {item.feature for item in checked.skipped}

    def test_it_says_who_it_is_and_whether_it_is_for_demos(self, engine):
        assert "/" in engine.name
        assert engine.prompt_version
        assert engine.is_demo == (not isinstance(engine, ApiLanguage))

    def test_it_can_be_checked_without_a_call(self, engine, openai_server):
        engine.check()
        assert all(request.method == "GET" for request in openai_server.requests)

    def test_the_same_call_gets_the_same_analysis(self, engine, bill):
        assert engine.analyse(CALL, TAXONOMY, bill.pay) == engine.analyse(CALL, TAXONOMY, bill.pay)

    def test_a_summary_says_whether_it_was_written_or_cut_out(self, engine, bill):
        kind = engine.analyse(CALL, TAXONOMY, bill.pay).summary_kind
        assert kind == ("written" if isinstance(engine, ApiLanguage) else "excerpts")


@pytest.mark.parametrize("make", [OfflineLanguage, FakeLanguage])
def test_a_call_without_words_is_no_error_and_has_no_reason_of_the_list(make, bill):
    checked = check_analysis(make().analyse(SILENCE, TAXONOMY, bill.pay), [], TAXONOMY)
    assert checked.reason_code == INSUFFICIENT
    assert checked.evidence == ()


class TestRequest:
    """Every request is checked by the server against OpenAI's own description of its API."""

    def test_it_carries_the_fixed_part_first_and_the_call_as_data(self, ask, provider, openai_server):
        openai_server.reply(answers.says(json.dumps(RIGHT_ANSWER)))
        ask()
        (sent,) = openai_server.requests
        if provider == "compatible":
            system, user = (message["content"] for message in sent.body["messages"])
        else:
            system, user = sent.body["instructions"], sent.body["input"][0]["content"]
            assert sent.body["store"] is False
        assert system == system_prompt(TAXONOMY)
        assert [turn["text"] for turn in json.loads(user)["call"]["turns"]] == [turn.text for turn in CALL.turns]
        assert "tools" not in sent.body

    def test_it_asks_for_the_strict_schema_of_the_taxonomy_within_the_bound(self, ask, provider, openai_server):
        openai_server.reply(answers.says(json.dumps(RIGHT_ANSWER)))
        ask(max_output_tokens=700)
        (sent,) = openai_server.requests
        if provider == "compatible":
            asked, bound = sent.body["response_format"]["json_schema"], sent.body["max_tokens"]
        else:
            asked, bound = sent.body["text"]["format"], sent.body["max_output_tokens"]
        assert asked["strict"] is True
        assert asked["schema"] == answer_schema(TAXONOMY)
        assert bound == 700

    def test_the_owners_language_is_asked_for(self, ask, openai_server):
        openai_server.reply(answers.says(json.dumps(RIGHT_ANSWER)))
        ask(summary_language="fr")
        assert "`fr`" in json.dumps(openai_server.requests[0].body)


class TestAnswer:
    def test_it_is_read_and_paid_for_with_the_servers_own_count(self, ask, provider, openai_server, bill):
        usage = answers.Usage(input_tokens=2_700, cached_tokens=2_000, output_tokens=300)
        openai_server.reply(answers.says(json.dumps(RIGHT_ANSWER), usage=usage))
        analysis = ask()
        assert analysis.outcome is Outcome.FOLLOW_UP
        (charge,) = bill.charges
        assert (charge.provider, charge.model, charge.purpose) == (provider, "gpt-5.4-mini", "analysis")
        assert (charge.input_tokens, charge.cached_tokens, charge.output_tokens) == (2_700, 2_000, 300)
        assert charge.cost_microusd == round(700 * 0.75 + 2_000 * 0.075 + 300 * 4.5)
        assert charge.request_id == "req_1"

    def test_a_model_without_a_price_costs_an_unknown_sum(self, ask, openai_server, bill):
        openai_server.reply(answers.says(json.dumps(RIGHT_ANSWER)))
        ask(price=None)
        assert bill.charges[0].cost_microusd is None

    def test_a_refusal_is_asked_about_once_more_and_then_stands(self, ask, openai_server, bill):
        openai_server.reply(answers.refuses("I cannot discuss this fridge."), answers.refuses("No fridge."))
        with pytest.raises(UnusableAnswer) as caught:
            ask()
        assert caught.value.code == "refused"
        assert "fridge" not in str(caught.value)
        assert len(bill.charges) == len(openai_server.requests) == 2

    def test_a_model_that_declines_at_first_may_think_better_of_it(self, ask, openai_server, bill):
        openai_server.reply(answers.refuses("I cannot discuss this."), answers.says(json.dumps(RIGHT_ANSWER)))
        assert ask().reason_code == "delivery_status"
        assert "lawful record" in json.dumps(openai_server.requests[1].body)
        assert len(bill.charges) == 2

    def test_a_filtered_answer_is_a_refusal(self, ask, openai_server, bill):
        openai_server.reply(*[answers.truncates("{", reason="content_filter")] * 2)
        with pytest.raises(UnusableAnswer) as caught:
            ask()
        assert caught.value.code == "refused"
        assert len(bill.charges) == 2

    def test_an_answer_that_was_cut_off_is_asked_for_once_more_with_twice_the_room(
        self, ask, provider, openai_server, bill
    ):
        openai_server.reply(answers.truncates('{"language": "e'), answers.says(json.dumps(RIGHT_ANSWER)))
        assert ask(max_output_tokens=300).reason_code == "delivery_status"
        bound = "max_tokens" if provider == "compatible" else "max_output_tokens"
        assert [request.body[bound] for request in openai_server.requests] == [300, 600]
        assert len(bill.charges) == 2

    def test_an_answer_that_is_cut_off_twice_is_unusable(self, ask, openai_server, bill):
        openai_server.reply(answers.truncates("{"), answers.truncates("{"))
        with pytest.raises(UnusableAnswer) as caught:
            ask()
        assert caught.value.code == "truncated"
        assert "CALLWISE_LANGUAGE__MAX_OUTPUT_TOKENS" in caught.value.detail
        assert len(bill.charges) == 2

    def test_an_unreadable_answer_is_repaired_once(self, ask, openai_server, bill):
        openai_server.reply(answers.says("Sure! Here you go."), answers.says(json.dumps(RIGHT_ANSWER)))
        assert ask().reason_code == "delivery_status"
        assert "Sure! Here you go." in json.dumps(openai_server.requests[1].body)
        assert len(bill.charges) == 2

    @pytest.mark.parametrize(("second", "code"), [("Sure!", "invalid_answer"), ("", "empty_answer")])
    def test_two_unreadable_answers_are_enough(self, ask, openai_server, bill, second, code):
        openai_server.reply(answers.says(""), answers.says(second))
        with pytest.raises(UnusableAnswer) as caught:
            ask()
        assert caught.value.code == code
        assert len(bill.charges) == len(openai_server.requests) == 2

    def test_a_label_outside_the_list_is_asked_about_once_more(self, ask, openai_server, bill):
        openai_server.reply(says_wrong_label(), answers.says(json.dumps(RIGHT_ANSWER)))
        assert ask().reason_code == "delivery_status"
        assert "none of the list" in json.dumps(openai_server.requests[1].body)
        assert len(bill.charges) == 2

    def test_a_label_outside_the_list_that_comes_twice_is_marked_and_no_reason(self, ask, openai_server):
        openai_server.reply(says_wrong_label(), says_wrong_label())
        checked = check_analysis(ask(), CALL.turns, TAXONOMY)
        assert checked.reason_code is None
        assert SkippedFeature("reason", "label_outside_taxonomy") in checked.skipped
        assert len(openai_server.requests) == 2

    def test_an_invented_quote_marks_the_claim(self, ask, openai_server):
        invented = {"quotes": [{"turn": 1, "quote": "cancel everything at once"}]}
        openai_server.reply(answers.says(json.dumps(RIGHT_ANSWER | {"reason": RIGHT_ANSWER["reason"] | invented})))
        checked = check_analysis(ask(), CALL.turns, TAXONOMY)
        assert SkippedFeature("reason", "unsupported") in checked.skipped


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (answers.fails(429, "rate_limit_exceeded", retry_after_s=7), TransientError, "rate_limited"),
        (answers.fails(500), TransientError, "server_error"),
        (answers.fails(503), TransientError, "server_error"),
        (answers.cuts(), TransientError, "unreachable"),
        (answers.garbles(), TransientError, "invalid_response"),
        (answers.garbles("{}"), TransientError, "invalid_response"),
        (answers.garbles("<html>", "text/html"), TransientError, "invalid_response"),
        (answers.fails(401, "invalid_api_key"), EngineMisconfigured, "wrong_api_key"),
        (answers.fails(403), EngineMisconfigured, "no_permission"),
        (answers.fails(404, "model_not_found"), EngineMisconfigured, "model_not_found"),
        (answers.fails(429, "insufficient_quota"), EngineMisconfigured, "quota_exhausted"),
        (answers.fails(400, "context_length_exceeded"), UnusableAnswer, "too_long"),
        (answers.fails(400, "content_filter"), UnusableAnswer, "refused"),
    ],
)
def test_each_failure_of_the_server_is_one_of_ours_and_sent_once(ask, openai_server, bill, answer, kind, code):
    openai_server.reply(answer)
    with pytest.raises((TransientError, UnusableAnswer)) as caught:
        ask()
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert len(openai_server.requests) == 1
    assert bill.charges == []


def test_the_wait_that_the_server_asks_for_is_kept(ask, openai_server):
    openai_server.reply(answers.fails(429, "rate_limit_exceeded", retry_after_s=7))
    with pytest.raises(TransientError) as caught:
        ask()
    assert caught.value.retry_after_s == 7


def test_a_server_that_does_not_answer_is_given_up(ask, openai_server):
    openai_server.reply(answers.hangs())
    with pytest.raises(TransientError) as caught:
        ask(timeout_s=0.2)
    assert caught.value.code == "timed_out"


def test_a_server_that_is_not_there_is_worth_another_try(ask):
    with pytest.raises(TransientError):
        ask(base_url="http://127.0.0.1:9")


def test_a_compatible_servers_code_fence_and_thoughts_are_left_out(openai_server, bill):
    text = f"<think>Is it {{late}}?</think>\n```json\n{json.dumps(RIGHT_ANSWER)}\n```"
    openai_server.reply(answers.says(text))
    analysis = api_engine("compatible", openai_server).analyse(CALL, TAXONOMY, bill.pay)
    assert analysis.reason_code == "delivery_status"
    assert len(bill.charges) == 1


def test_the_fake_says_what_its_script_says_and_pays_first(bill):
    def script(conversation: Conversation, taxonomy: object) -> None:
        raise UnusableAnswer(code="refused")

    with pytest.raises(UnusableAnswer):
        FakeLanguage(script, charge=Charge("fake", "script", "analysis")).analyse(CALL, TAXONOMY, bill.pay)
    assert len(bill.charges) == 1
