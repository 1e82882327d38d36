"""Laws of downloading from Twilio: both channels where there are two, from nowhere else, each failure by its name."""

import logging
from pathlib import Path

import pytest

from calls.errors import CallwiseError, EngineMisconfigured, TerminalError, TransientError
from engines.twilio import TwilioRecordings
from tests.servers.process import free_port
from tests.servers.twilio import ACCOUNT, TOKEN, Trouble, TwilioServer

RECORDING = "RE" + "2c" * 16
SOUND = bytes(range(256)) * 1000


@pytest.fixture
def twilio():
    with TwilioServer() as server:
        server.keep(RECORDING, SOUND)
        yield server


def recordings(server, *, token=TOKEN, **changes):
    return TwilioRecordings(ACCOUNT, token, api_base_url=server.url, **changes)


def failure(kept, into: Path):
    with pytest.raises(CallwiseError) as failed:
        kept.fetch(RECORDING, into)
    return failed.value


def test_a_recording_comes_with_both_channels(twilio, tmp_path):
    recordings(twilio).fetch(RECORDING, tmp_path / "sound")
    assert (tmp_path / "sound").read_bytes() == SOUND
    [asked] = twilio.asked
    assert asked.path == f"/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}.wav"
    assert (asked.channels, asked.has_token) == ("2", True)


def test_a_recording_of_one_channel_is_asked_for_again_without_a_number(twilio, tmp_path):
    twilio.keep(RECORDING, SOUND, channels=1)
    recordings(twilio).fetch(RECORDING, tmp_path / "sound")
    assert (tmp_path / "sound").read_bytes() == SOUND
    assert [asked.channels for asked in twilio.asked] == ["2", ""]


def test_media_elsewhere_are_fetched_without_the_token(tmp_path):
    with TwilioServer(sends_elsewhere=True) as twilio:
        twilio.keep(RECORDING, SOUND)
        recordings(twilio).fetch(RECORDING, tmp_path / "sound")
        assert (tmp_path / "sound").read_bytes() == SOUND
        assert [asked.has_token for asked in twilio.asked] == [True, False]


@pytest.mark.parametrize(
    "location",
    [
        "http://media.twiliocdn.com/x.wav",
        "https://127.0.0.1/x.wav",
        "https://localhost/x.wav",
        "https://10.1.2.3/x.wav",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x.wav",
        "https://[::ffff:10.0.0.1]/x.wav",
        "https://2130706433/x.wav",
        "https://database.internal/x.wav",
        "file:///etc/passwd",
        "ftp://example.com/x.wav",
        "https:///x.wav",
        "https://user:word@example.com/x.wav",
    ],
)
def test_no_redirect_leads_into_our_own_network_or_out_of_tls(twilio, tmp_path, location):
    twilio.trouble(Trouble(302, location=location))
    error = failure(recordings(twilio), tmp_path / "sound")
    assert isinstance(error, TerminalError)
    assert error.code == "redirect_refused"
    assert len(twilio.asked) == 1


def test_another_port_of_the_same_machine_is_another_place(twilio, tmp_path):
    twilio.trouble(Trouble(307, location=f"http://127.0.0.1:{free_port()}/x.wav"))
    assert failure(recordings(twilio), tmp_path / "sound").code == "redirect_refused"


def test_redirects_have_an_end(twilio, tmp_path):
    twilio.trouble(*[Trouble(302, location=f"/media/{RECORDING}.wav")] * 20)
    assert failure(recordings(twilio), tmp_path / "sound").code == "telephony_unreachable"
    assert len(twilio.asked) == 6


@pytest.mark.parametrize(
    ("trouble", "kind", "code"),
    [
        (Trouble(404), TransientError, "recording_gone"),
        (Trouble(410), TransientError, "recording_gone"),
        (Trouble(401), EngineMisconfigured, "wrong_auth_token"),
        (Trouble(403), EngineMisconfigured, "wrong_auth_token"),
        (Trouble(500), TransientError, "telephony_unreachable"),
        (Trouble(503), TransientError, "telephony_unreachable"),
        (Trouble(body=SOUND, ending="cut"), TransientError, "telephony_unreachable"),
        (Trouble(ending="never"), TransientError, "telephony_unreachable"),
        (Trouble(200, body=b""), TransientError, "recording_empty"),
        (Trouble(302), TerminalError, "recording_refused"),
        (Trouble(451), TerminalError, "recording_refused"),
        (Trouble(429), TransientError, "rate_limited"),
    ],
)
def test_each_failure_has_its_kind_and_its_name(twilio, tmp_path, trouble, kind, code):
    twilio.trouble(trouble)
    error = failure(recordings(twilio, timeout_s=0.5), tmp_path / "sound")
    assert isinstance(error, kind)
    assert error.code == code
    assert TOKEN not in str(error)


def test_a_refused_token_names_its_setting(twilio, tmp_path):
    error = failure(recordings(twilio, token="another"), tmp_path / "sound")
    assert isinstance(error, EngineMisconfigured)
    assert "telephony.twilio.auth_token" in error.detail


def test_media_that_refuse_us_elsewhere_say_nothing_of_the_token(twilio, tmp_path):
    twilio.trouble(Trouble(302, location=f"/media/{RECORDING}.wav"), Trouble(403))
    error = failure(recordings(twilio), tmp_path / "sound")
    assert isinstance(error, TransientError)
    assert error.code == "telephony_unreachable"


def test_a_wait_that_twilio_names_is_kept(twilio, tmp_path):
    for said, wait_s in (("17", 17.0), ("soon", None), ("9" * 50, 9999.0)):
        twilio.trouble(Trouble(429, headers={"retry-after": said}))
        assert failure(recordings(twilio), tmp_path / "sound").retry_after_s == wait_s


def test_two_refusals_of_the_question_are_final(twilio, tmp_path):
    twilio.trouble(Trouble(400), Trouble(400))
    assert failure(recordings(twilio), tmp_path / "sound").code == "recording_refused"


def test_nobody_there_is_a_passing_trouble(tmp_path):
    kept = TwilioRecordings(ACCOUNT, TOKEN, api_base_url=f"http://127.0.0.1:{free_port()}")
    assert failure(kept, tmp_path / "sound").code == "telephony_unreachable"


def test_what_is_larger_than_allowed_is_not_written_down(twilio, tmp_path):
    assert failure(recordings(twilio, max_bytes=1000), tmp_path / "sound").code == "recording_too_large"
    assert (tmp_path / "sound").stat().st_size <= 1000
    recordings(twilio, max_bytes=len(SOUND)).fetch(RECORDING, tmp_path / "sound")


def test_the_token_is_in_no_log_not_even_at_debug(twilio, tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        recordings(twilio).fetch(RECORDING, tmp_path / "sound")
    assert "Recordings" in caplog.text
    for secret in (TOKEN, "authorization: basic", "Basic "):
        assert secret.lower() not in caplog.text.lower().replace("'[secure]'", "")
