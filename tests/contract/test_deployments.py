"""Several deployments behind one face: who is asked, who waits, and what failures do, over real HTTP."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from calls.errors import EngineMisconfigured, Paced, TransientError
from calls.meter import Limits, Meter
from calls.pacing import troubled
from calls.pipeline import Lane
from calls.prices import Price
from engines.deployments import Deployment, Deployments
from engines.entra import entra_token, read_token
from engines.language_requests import Answer, LanguageRequests
from engines.meters import MemoryMeters
from tests.servers.openai_answers import Usage, cuts, fails, says, truncates
from tests.servers.openai_limits import Bucket, FixedMinute, RequestWindows
from tests.servers.openai_server import API_KEY, API_VERSION, OpenAIServer

SCHEMA = {
    "type": "object",
    "properties": {"done": {"type": "boolean"}},
    "required": ["done"],
    "additionalProperties": False,
}
CALL = [{"role": "user", "content": "Where is my fridge?"}]


def requests(server: OpenAIServer, model: str, **changes) -> LanguageRequests:
    return LanguageRequests("openai", **{"model": model, "api_key": API_KEY, "base_url": server.base_url} | changes)


def behind(
    server: OpenAIServer, *models: str, meters: MemoryMeters | None = None, limits: Limits | None = None
) -> Deployments:
    every = [Deployment(model, requests(server, model), limits or Limits()) for model in models]
    return Deployments(every, meters or MemoryMeters())


def ask(deployments: Deployments, lane: Lane = Lane.LIVE, **given) -> Answer:
    return deployments.ask("You analyse calls.", CALL, SCHEMA, given.pop("room", 500), lane=lane, kind="analysis")


def asked_models(server: OpenAIServer) -> list[str]:
    return [request.model for request in server.requests]


def test_an_answer_says_which_deployment_gave_it_and_is_charged_to_that(openai_server: OpenAIServer) -> None:
    dear = requests(openai_server, "dear", price=Price(input=10))
    cheap = requests(openai_server, "cheap", price=Price(input=1))
    both = Deployments([Deployment("a", dear), Deployment("b", cheap)], MemoryMeters())
    answers = [ask(both) for _ in range(2)]
    charges = {both.charge(answer).model: both.charge(answer).cost_microusd for answer in answers}
    assert charges == {"dear": 9000, "cheap": 900}
    assert both.name == "openai/dear+openai/cheap"


def test_calls_are_spread_by_what_each_has_left(openai_server: OpenAIServer) -> None:
    large, small = Limits(tokens_per_minute=300_000), Limits(tokens_per_minute=100_000)
    clock = iter(range(1, 10_000))
    meters = MemoryMeters(lambda: next(clock) / 1000)
    deployments = Deployments(
        [
            Deployment("large", requests(openai_server, "large"), large),
            Deployment("small", requests(openai_server, "small"), small),
        ],
        meters,
    )
    for _ in range(24):
        ask(deployments)
    counts = [asked_models(openai_server).count(model) for model in ("large", "small")]
    assert sum(counts) == 24
    assert 2 <= counts[0] / counts[1] <= 5


def test_a_refusal_sends_the_call_back_until_the_server_lets_it_come(openai_server: OpenAIServer) -> None:
    openai_server.reply(fails(429, "rate_limit_exceeded", retry_after_s=40))
    alone = behind(openai_server, "a")
    with pytest.raises(Paced) as failure:
        ask(alone)
    assert failure.value.retry_after_s == pytest.approx(40, abs=1)
    with pytest.raises(Paced):
        ask(alone)
    assert len(openai_server.requests) == 1, "the server said when: nothing is sent before"


def test_after_a_refusal_the_other_deployment_is_asked(openai_server: OpenAIServer) -> None:
    openai_server.reply(fails(429, "rate_limit_exceeded", retry_after_s=40))
    both = behind(openai_server, "a", "b")
    with pytest.raises(Paced) as failure:
        ask(both)
    assert failure.value.retry_after_s == 0
    assert ask(both).deployment == "b"
    assert ask(both).deployment == "b"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(fails(500), TransientError), (cuts(), TransientError), (fails(401, "invalid_api_key"), EngineMisconfigured)],
)
def test_a_deployment_in_trouble_leaves_the_work_to_the_others(openai_server: OpenAIServer, answer, kind) -> None:
    openai_server.reply(answer)
    both = behind(openai_server, "a", "b")
    with pytest.raises(kind):
        ask(both)
    assert [ask(both).deployment for _ in range(3)] == ["b", "b", "b"]


def test_one_that_stands_alone_says_itself_what_is_wrong_with_it(openai_server: OpenAIServer) -> None:
    openai_server.reply_always(fails(401, "invalid_api_key"))
    alone = behind(openai_server, "a")
    for _ in range(2):
        with pytest.raises(EngineMisconfigured):
            ask(alone)


def test_an_answer_gets_the_room_that_answers_of_its_kind_needed(openai_server: OpenAIServer) -> None:
    openai_server.reply_always(says('{"done": true}', usage=Usage(900, 0, 120)))
    deployments = behind(openai_server, "a")
    for _ in range(51):
        ask(deployments)
    rooms = [request.body["max_output_tokens"] for request in openai_server.requests]
    assert rooms[0] == 500
    assert 120 <= rooms[-1] <= 140
    openai_server.reply(truncates('{"do', usage=Usage(900, 0, rooms[-1])))
    assert ask(deployments).ending == "truncated"
    deployments.ask("You analyse calls.", CALL, SCHEMA, 1000)
    assert openai_server.requests[-1].body["max_output_tokens"] == 1000


def test_what_a_server_says_of_its_limits_is_kept_with_the_meter(openai_server: OpenAIServer) -> None:
    meters = MemoryMeters()
    openai_server.limit("minute", FixedMinute(300_000, 1800))
    openai_server.limit("provisioned", Bucket(300_000, burst_s=10, returns_unused=True))
    openai_server.limit("windows", RequestWindows(240))
    for model in ("minute", "provisioned", "windows"):
        ask(behind(openai_server, model, meters=meters))
    known = {model: meters.read(model)[0] for model in ("minute", "provisioned", "windows")}
    assert (known["minute"].tokens_limit, known["minute"].requests_limit) == (300_000, 1800)
    assert known["provisioned"].returns_unused
    assert known["windows"].requests_limit == 240


def test_the_limit_that_a_server_states_paces_what_follows(openai_server: OpenAIServer) -> None:
    openai_server.limit("a", FixedMinute(900))
    deployments = behind(openai_server, "a")
    ask(deployments)
    with pytest.raises(Paced):
        ask(deployments)
    assert len(openai_server.requests) == 1


def test_old_work_is_sent_away_where_a_live_call_still_gets_its_turn(openai_server: OpenAIServer) -> None:
    now = 1000.0
    meters = MemoryMeters(lambda: now)
    meters.change("a", lambda meter, _: (Meter(tokens_until=now + 4.0), None))
    deployments = behind(openai_server, "a", meters=meters, limits=Limits(tokens_per_minute=60_000))
    for _ in range(3):
        with pytest.raises(Paced):
            ask(deployments, Lane.BACKFILL, room=3000)
    assert openai_server.requests == []
    ask(deployments, Lane.LIVE)
    assert len(openai_server.requests) == 1


def test_who_waited_while_the_server_closed_its_door_does_not_knock(openai_server: OpenAIServer) -> None:
    meters = MemoryMeters()
    meters.change("a", lambda meter, now: (Meter(tokens_until=now + 1.9), None))
    deployments = behind(openai_server, "a", meters=meters, limits=Limits(tokens_per_minute=300_000))

    def close() -> None:
        meters.change("a", lambda meter, now: (troubled(meter, 60, now), None))

    closing = threading.Timer(0.1, close)
    closing.start()
    with pytest.raises(Paced):
        ask(deployments)
    closing.join()
    assert openai_server.requests == []


def test_checking_asks_every_deployment(openai_server: OpenAIServer) -> None:
    behind(openai_server, "a", "b").check()
    assert [request.operation for request in openai_server.requests] == ["/models", "/models"]


class TestEntra:
    """Tokens in place of a key: Azure alone takes them."""

    @pytest.fixture
    def command(self, tmp_path: Path) -> Callable[[str], str]:
        """A command that prints that and counts how often it ran."""

        def write(printed: str) -> str:
            script = tmp_path / "token.sh"
            script.write_text(f"#!/bin/sh\necho run >> '{tmp_path}/runs'\ncat <<'END'\n{printed}\nEND\n")
            script.chmod(0o700)
            return str(script)

        return write

    @pytest.mark.parametrize("place", ["", "/openai/v1"])
    def test_azure_is_asked_with_the_token_of_a_command(self, openai_server, command, tmp_path, place) -> None:
        token = entra_token(command(json.dumps({"accessToken": API_KEY, "expires_on": 4_000_000_000})))
        azure = LanguageRequests(
            "azure",
            model="our-gpt",
            base_url=openai_server.azure_endpoint + place,
            api_key=token,
            api_version=API_VERSION,
        )
        for _ in range(2):
            azure.ask("You analyse calls.", CALL, SCHEMA, 100)
        for request in openai_server.requests:
            assert request.headers["authorization"] == f"Bearer {API_KEY}"
            assert "api-key" not in request.headers
        assert (tmp_path / "runs").read_text().count("run") == 1, "a token is good until it ends"

    def test_a_token_that_has_ended_is_asked_for_anew(self, command, tmp_path) -> None:
        token = entra_token(command(json.dumps({"accessToken": "t", "expires_on": 1})))
        assert [token(), token()] == ["t", "t"]
        assert (tmp_path / "runs").read_text().count("run") == 2

    @pytest.mark.parametrize("command", ["false", "no-such-command-here", "true", "echo two words"])
    def test_a_command_without_a_token_is_a_setting_to_be_mended(self, openai_server, command) -> None:
        azure = LanguageRequests(
            "azure",
            model="m",
            base_url=openai_server.azure_endpoint,
            api_key=entra_token(command),
            api_version=API_VERSION,
        )
        with pytest.raises(EngineMisconfigured) as failure:
            azure.ask("You analyse calls.", CALL, SCHEMA, 100)
        assert failure.value.code == "no_entra_token"
        assert openai_server.requests == []

    def test_a_tokens_own_end_is_read(self) -> None:
        # {"exp": 2000000000}, in the middle of a JSON web token.
        assert read_token("e30.eyJleHAiOiAyMDAwMDAwMDAwfQ.c2ln\n") == (
            "e30.eyJleHAiOiAyMDAwMDAwMDAwfQ.c2ln",
            2_000_000_000 - 120,
        )
