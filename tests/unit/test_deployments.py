"""The settings of deployments, and what servers' headers say."""

import pytest

from calls.errors import SettingsError
from calls.meter import Told
from engines.meters import MemoryMeters
from engines.openai_client import retry_after_s, told_by
from runtime.choice import choose_language
from runtime.deployments import listed, tiers_of
from runtime.settings import read_settings
from tests.servers.openai_limits import Bucket, FixedMinute, RequestWindows

WEST = {"provider": "azure", "model": "mini", "base_url": "https://west.example.org", "api_key": "k"}


def settings(**language):
    return read_settings(language=language)


def test_the_single_model_is_one_deployment_of_the_first_tier():
    [one] = listed(
        settings(model="m", base_url="http://gpu:8000/v1", tokens_per_minute=5, entra_token="echo t"), "azure"
    )
    assert (one.provider, one.called, one.tier) == ("azure", "azure/m@gpu", "first")
    assert (one.tokens_per_minute, one.entra_token) == (5, "echo t")


def test_tiers_are_asked_in_order_and_each_is_one_face():
    every = [{"model": "big", "tier": "strong", "api_key": "k"}, WEST, {**WEST, "base_url": "https://east.example.org"}]
    tiers = tiers_of(settings(deployments=every), "openai", MemoryMeters())
    assert [tier.name for tier in tiers] == ["azure/mini", "openai/big"]


def test_deployments_alone_are_enough_to_choose_an_engine():
    choice = choose_language(settings(deployments=[WEST]))
    assert (choice.name, choice.why) == ("azure", "language.deployments is set")


def test_two_of_a_tier_with_one_name_are_refused_with_the_fix():
    with pytest.raises(SettingsError) as failure:
        settings(deployments=[WEST, WEST])
    assert "azure/mini@west.example.org" in str(failure.value)
    assert settings(deployments=[WEST, {**WEST, "tier": "strong"}, {**WEST, "name": "own"}])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("0", 0), ("12", 12), ("soon", None), ("", None)],
)
def test_the_time_until_a_limit_is_whole_is_read_as_openai_and_azure_write_it(text, seconds):
    assert told_by({"x-ratelimit-reset-tokens": text}).tokens_reset_s == seconds


def test_headers_without_a_word_of_limits_say_nothing():
    assert told_by({"content-type": "application/json", "x-ratelimit-limit-tokens": "many"}) == Told()


def test_a_refusal_without_a_time_is_over_when_the_spent_limit_is_whole():
    headers = {
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "59s",
    }
    assert retry_after_s(headers) == 360
    assert retry_after_s({**headers, "retry-after": "2"}) == 2
    assert retry_after_s({}) is None


class TestLimitersOfTheField:
    """What stands in for servers must itself keep to its limit."""

    def test_a_fixed_minute_admits_its_tokens_and_begins_anew(self):
        limiter = FixedMinute(10_000)
        verdicts = [limiter.arrive(59.0, 2000, 1000) for _ in range(4)]
        assert [verdict.is_admitted for verdict in verdicts] == [True, True, True, False]
        assert verdicts[-1].headers["retry-after"] == "1"
        assert verdicts[-1].headers["x-ratelimit-remaining-tokens"] == "1000"
        assert limiter.arrive(60.0, 2000, 1000).is_admitted

    def test_windows_of_requests_admit_their_part_of_the_minute(self):
        limiter = RequestWindows(90)
        moments = [second + part / 4 for second in range(10) for part in range(4)]
        admitted = [moment for moment in moments if limiter.arrive(moment, 1, 1).is_admitted]
        assert len(admitted) == 15
        assert max(sum(int(moment) == second for moment in admitted) for second in range(10)) == 2

    def test_a_bucket_drains_and_takes_back_what_was_not_used(self):
        kept, returned = Bucket(6000, burst_s=10), Bucket(6000, burst_s=10, returns_unused=True)
        for limiter in (kept, returned):
            assert limiter.arrive(0.0, 500, 500).is_admitted
            assert not limiter.arrive(0.0, 500, 500).is_admitted
            limiter.finish(1.0, 500, 100)
        assert returned.arrive(1.0, 1, 1).is_admitted
        assert kept.arrive(1.0, 1, 1).is_admitted, "a bucket with less than its fill takes one more"
