"""Settings are typed, read once, and their errors name the fix."""

import json
from datetime import date
from importlib.util import find_spec

import pytest

from calls.errors import SettingsError
from runtime.choice import choose_language, choose_speech
from runtime.settings import read_settings


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def test_a_wrong_value_is_one_line_that_names_the_setting_and_how_to_set_it(monkeypatch):
    monkeypatch.setenv("CALLWISE_WEB__PORT", "many")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert "web.port" in str(caught.value)
    assert "CALLWISE_WEB__PORT" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CALLWISE_SITE__TIME_ZONE", "Atlantis", "IANA"),
        ("CALLWISE_TELEPHONY__TIME_ZONE", "../UTC", "IANA"),
        ("CALLWISE_BROKER__URL", "carrier-pigeon://loft", "amqp://"),
        ("CALLWISE_WEB__PUBLIC_URL", "calls.example.org", "https://"),
        ("CALLWISE_WEB__PUBLIC_URL", "https://calls.example.org/?site=2", "https://"),
        ("CALLWISE_TELEPHONY__TWILIO__API_BASE_URL", "https://name:word@api.twilio.com", "https://"),
        ("CALLWISE_WORK__LEASE_S", "0", "greater than 0"),
        ("CALLWISE_WORK__MAX_ATTEMPTS", "0", "greater than or equal to 1"),
    ],
)
def test_a_value_that_nothing_could_work_with_is_refused_when_settings_are_read(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said) as caught:
        read_settings()
    assert name in str(caught.value)


@pytest.mark.parametrize("token", ["", "fifteen-letters", "sixteen letters and more", "sixteen-letters-ü"])
def test_a_source_over_http_needs_a_token_that_is_hard_to_guess_and_fits_a_header(monkeypatch, token):
    monkeypatch.setenv("CALLWISE_EVENTS", json.dumps([{"kind": "folder"}, {"kind": "http", "token": token}]))
    with pytest.raises(SettingsError, match=r"events\.1\.token.*at least 16") as caught:
        read_settings()
    assert not token or token not in str(caught.value)


def test_a_source_over_http_without_a_token_is_refused_and_others_need_none(monkeypatch):
    monkeypatch.setenv("CALLWISE_EVENTS", '[{"kind":"http"}]')
    with pytest.raises(SettingsError, match=r"events\.0\.token"):
        read_settings()
    monkeypatch.setenv("CALLWISE_EVENTS", '[{"kind":"folder"},{"kind":"http","token":"0123456789abcdef"}]')
    assert [source.kind for source in read_settings().events] == ["folder", "http"]


@pytest.mark.parametrize("name", ["CALLWISE_WEB__ALLOWED_HOSTS", "CALLWISE_TELEPHONY__PROFILES", "CALLWISE_EVENTS"])
def test_a_list_that_is_no_json_is_refused_by_name_and_shown_how_to_write(monkeypatch, name):
    monkeypatch.setenv("CALLWISE_WEB__PUBLIC_URL", "https://calls.example.org")
    monkeypatch.setenv(name, "calls.example.org,web")
    with pytest.raises(SettingsError, match=f"^wrong_setting: {name}: .* JSON"):
        read_settings()


@pytest.mark.parametrize("content", [b"port = [1,\n", b"name = '\xff'\n"])
def test_a_file_that_is_no_toml_is_refused_by_name(tmp_path, content):
    (tmp_path / "callwise.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=r"callwise\.toml"):
        read_settings()


def test_an_unknown_setting_in_the_file_is_refused_by_name(tmp_path):
    (tmp_path / "callwise.toml").write_text("[speech]\nengin = 'offline'\n")
    with pytest.raises(SettingsError, match=r"speech\.engin"):
        read_settings()


def test_the_environment_wins_over_the_file(monkeypatch, tmp_path):
    (tmp_path / "callwise.toml").write_text("[web]\nport = 1000\n[site]\nname = 'Pine'\n")
    monkeypatch.setenv("CALLWISE_WEB__PORT", "2000")
    settings = read_settings()
    assert (settings.web.port, settings.site.name) == (2000, "Pine")


def test_a_dotenv_file_may_hold_other_programs_variables_but_no_misspelt_setting(tmp_path):
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=x\nCALLWISE_SITE__NAME=Pine\n")
    assert read_settings().site.name == "Pine"
    (tmp_path / ".env").write_text("CALLWISE_SITTE__NAME=Pine\n")
    with pytest.raises(SettingsError, match="sitte"):
        read_settings()


def test_a_key_meant_for_other_programs_does_not_send_calls_away(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-program")
    assert choose_speech(read_settings()).name == ("moonshine" if find_spec("moonshine_voice") else "offline")
    assert choose_language(read_settings()).name == "offline"


def test_auto_takes_the_api_that_is_configured(monkeypatch):
    monkeypatch.setenv("CALLWISE_SPEECH__API_KEY", "sk-ours")
    monkeypatch.setenv("CALLWISE_LANGUAGE__BASE_URL", "http://127.0.0.1:1/v1")
    assert choose_speech(read_settings()).name == "openai"
    assert choose_language(read_settings()).name == "compatible"


def test_a_configured_engine_is_never_replaced_by_a_weaker_one(monkeypatch):
    monkeypatch.setenv("CALLWISE_SPEECH__ENGINE", "faster-whisper")
    assert choose_speech(read_settings()).name == "faster-whisper"


def test_a_production_set_up_does_not_fall_to_the_demo_engine_by_itself(monkeypatch):
    monkeypatch.setenv("CALLWISE_BROKER__URL", "amqp://guest@localhost/")
    # No engine without a hub or a key hears it.
    monkeypatch.setenv("CALLWISE_SPEECH__LANGUAGE", "is")
    with pytest.raises(SettingsError, match="CALLWISE_SPEECH__ENGINE"):
        choose_speech(read_settings())


def test_secrets_do_not_show_in_print(monkeypatch):
    monkeypatch.setenv("CALLWISE_LANGUAGE__API_KEY", "sk-secret-token")
    assert "sk-secret-token" not in repr(read_settings())


def test_a_model_has_one_price_or_several_of_different_days(tmp_path):
    both = {"one": {"input": 1}, "two": [{"input": 1}, {"input": 2, "valid_from": "2026-05-01"}]}
    prices = read_settings(home=tmp_path, prices=both).prices
    assert [price.input for price in prices["one"]] == [1]
    assert prices["two"][1].valid_from == date(2026, 5, 1)
    with pytest.raises(SettingsError, match="same day"):
        read_settings(home=tmp_path, prices={"two": [{"input": 1}, {"input": 2}]})


@pytest.mark.parametrize(
    ("webhooks", "told"),
    [
        ([{"name": "a", "url": "http://hooks.example.org", "secret": "s" * 24}], "needs https"),
        ([{"name": "a", "url": "https://hooks.example.org", "secret": "short"}], "at least 24"),
        ([{"name": "hubspot", "url": "https://hooks.example.org", "secret": "s" * 24}], "is taken"),
        ([{"name": "a", "url": "https://hooks.example.org", "secret": "s" * 24}] * 2, "is taken"),
        ([{"name": "a", "url": "https://user@hooks.example.org", "secret": "s" * 24}], "no such address"),
    ],
)
def test_a_webhook_that_could_be_read_or_forged_is_refused(webhooks, told):
    with pytest.raises(SettingsError, match=told):
        read_settings(handover={"webhooks": webhooks})


def test_a_webhook_of_ones_own_network_may_be_without_https():
    private = {"name": "a", "url": "http://10.0.0.1/calls", "secret": "s" * 24, "allow_private": True}
    assert read_settings(handover={"webhooks": [private]}).handover.is_configured
    assert not read_settings().handover.is_configured
