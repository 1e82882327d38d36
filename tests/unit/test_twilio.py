"""Laws of Twilio's status callback: who sent it, and what it says."""

import base64
import hmac
import json
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.pipeline import SkipReason
from ingest.events import UnreadableEvent
from ingest.twilio import Sent, is_from_twilio, read_news, recording_key, sids_of_key, sign

TOKEN = "12345"
ACCOUNT, CALL, RECORDING = "AC" + "0a" * 16, "CA" + "1b" * 16, "RE" + "2c" * 16
URL = "https://calls.example.org/webhooks/twilio"
COMPLETED = {
    "AccountSid": ACCOUNT,
    "CallSid": CALL,
    "RecordingSid": RECORDING,
    "RecordingUrl": f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}",
    "RecordingStatus": "completed",
    "RecordingDuration": "42",
    "RecordingChannels": "2",
    "RecordingStartTime": "Sat, 14 Mar 2026 09:25:17 +0000",
    "RecordingSource": "DialVerb",
    "RecordingTrack": "both",
    "ErrorCode": "0",
}


def form(parameters, *, url=URL, token=TOKEN, query="", signature=None):
    whole = url + (f"?{query}" if query else "")
    given_ = sign(token, whole, parameters.items()) if signature is None else signature
    return Sent(query, "application/x-www-form-urlencoded; charset=UTF-8", given_, urlencode(parameters).encode())


def as_json(parameters, *, token=TOKEN, digest=None):
    body = json.dumps(parameters).encode()
    query = f"bodySHA256={digest or sha256(body).hexdigest()}"
    return Sent(query, "application/json", sign(token, f"{URL}?{query}"), body)


def accepts(sent, url=URL, token=TOKEN):
    return is_from_twilio(sent, auth_token=token, url=url + (f"?{sent.query}" if sent.query else ""))


@pytest.mark.parametrize(
    ("host", "number", "signature"),
    [
        # Twilio's documentation, "Validating requests", and the tests of its Python library.
        ("example.com", "+14158675310", "L/OH5YylLD5NRKLltdqwSvS0BnU="),
        ("mycompany.com", "+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    ],
)
def test_the_signature_is_the_one_of_twilios_own_examples(host, number, signature):
    parameters = {
        "Digits": "1234",
        "CallSid": "CA1234567890ABCDE",
        "To": "+18005551212",
        "Caller": number,
        "From": number,
    }
    url = f"https://{host}/myapp.php"
    assert sign(TOKEN, f"{url}?foo=1&bar=2", parameters.items()) == signature
    assert accepts(form(parameters, url=url, query="foo=1&bar=2", signature=signature), url)


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
# Twilio posts names of letters and digits.
forms = st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True), words, min_size=1, max_size=6)


@given(forms)
def test_what_twilio_signs_is_accepted_in_whatever_order_it_comes(parameters):
    assert accepts(form(parameters))
    assert accepts(form(dict(reversed(parameters.items()))))


@given(forms, st.data(), words)
def test_a_change_of_any_parameter_is_noticed(parameters, data, other):
    sent = form(parameters)
    name = data.draw(st.sampled_from(sorted(parameters)))
    changed = parameters | {name: parameters[name] + other}
    added = parameters | {name + "x": other}
    without = {key: value for key, value in parameters.items() if key != name}
    for wrong in (changed, added, without):
        assert not accepts(form(wrong, signature=sent.signature))


@given(forms, st.sampled_from(["http", "host", "path", "query", "slash"]), st.from_regex(r"[a-z]{1,8}", fullmatch=True))
def test_a_change_of_the_address_is_noticed(parameters, part, word):
    sent = form(parameters)
    other = {
        "http": URL.replace("https", "http"),
        "host": URL.replace("example", f"{word}example"),
        "path": f"{URL}/{word}",
        "query": f"{URL}?{word}=1",
        "slash": f"{URL}/",
    }[part]
    assert not accepts(sent, other)


@given(forms, words)
def test_another_token_signs_otherwise(parameters, other):
    assert not accepts(form(parameters, token=TOKEN + other))


@given(st.text(max_size=40))
def test_no_text_in_place_of_a_signature_is_accepted(signature):
    assert not accepts(form(COMPLETED, signature=signature))


@pytest.mark.parametrize("spelling", ["https://calls.example.org:443/webhooks/twilio", URL])
@pytest.mark.parametrize("signed", ["https://calls.example.org:443/webhooks/twilio", URL])
def test_a_port_that_goes_without_saying_may_be_said(signed, spelling):
    assert accepts(form(COMPLETED, url=signed), spelling)
    assert not accepts(form(COMPLETED, url="https://calls.example.org:8443/webhooks/twilio"), spelling)


def test_json_is_proved_by_its_hash_in_the_signed_query():
    assert accepts(as_json(COMPLETED))
    assert not accepts(as_json(COMPLETED, digest="0" * 64))
    assert not accepts(as_json(COMPLETED, token="other"))
    whole = as_json(COMPLETED)
    twice = Sent(f"{whole.query}&{whole.query}", whole.content_type, "", whole.body)
    signed = sign(TOKEN, f"{URL}?{twice.query}")
    assert not accepts(Sent(twice.query, twice.content_type, signed, twice.body))
    unhashed = Sent("", "application/json", sign(TOKEN, URL), whole.body)
    assert not accepts(unhashed)


def test_a_signature_with_the_right_key_over_a_body_in_no_encoding_is_no_crash():
    raw = b"AccountSid=%ff%fe&\xff\xfe=1"
    assert not accepts(Sent("", "application/x-www-form-urlencoded", "\xff\xfe", raw))


def test_the_hash_is_a_plain_hmac_of_what_the_documentation_says():
    text = URL + "AccountSid" + ACCOUNT + "CallSid" + CALL
    wanted = base64.b64encode(hmac.new(TOKEN.encode(), text.encode(), "sha1").digest()).decode()
    assert sign(TOKEN, URL, [("CallSid", CALL), ("AccountSid", ACCOUNT)]) == wanted


def test_a_completed_recording_says_when_it_began_and_where_it_came_from_and_no_length_of_the_call():
    news = read_news(form(COMPLETED), ACCOUNT)
    assert (news.call_sid, news.recording_sid, news.skip_reason) == (CALL, RECORDING, None)
    assert news.facts.started_at == datetime(2026, 3, 14, 9, 25, 17, tzinfo=UTC)
    assert news.facts.external_call_id == CALL
    assert news.facts.ended_at is None
    assert news.facts.attributes == {
        "account_sid": ACCOUNT,
        "recording_sid": RECORDING,
        "recording_source": "DialVerb",
        "recording_track": "both",
        "recording_channels": "2",
    }
    assert read_news(as_json(COMPLETED), ACCOUNT) == news


@pytest.mark.parametrize(("status", "reason"), [("absent", SkipReason.ABSENT), ("failed", SkipReason.RECORDING_FAILED)])
def test_an_ending_without_a_recording_has_a_reason_and_twilios_code(status, reason):
    news = read_news(form(COMPLETED | {"RecordingStatus": status, "ErrorCode": "16101"}), ACCOUNT)
    assert news.skip_reason is reason
    assert news.facts.attributes["error_code"] == "16101"


@pytest.mark.parametrize("status", ["in-progress", "paused", "stopped", "processing"])
def test_a_recording_under_way_is_no_news(status):
    assert read_news(form(COMPLETED | {"RecordingStatus": status}), ACCOUNT) is None


def test_a_recorded_conference_is_known_by_its_own_id():
    conference = "CF" + "3d" * 16
    parameters = {name: value for name, value in COMPLETED.items() if name != "CallSid"}
    news = read_news(form(parameters | {"ConferenceSid": conference}), ACCOUNT)
    assert news.call_sid == conference
    assert sids_of_key(recording_key(conference, RECORDING)) == (conference, RECORDING)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"AccountSid": "AC" + "ff" * 16}, "other_account"),
        ({"AccountSid": ""}, "bad_sid"),
        ({"CallSid": "CA" + "1B" * 16}, "bad_sid"),
        ({"CallSid": CALL + "0"}, "bad_sid"),
        ({"CallSid": CALL + "\n"}, "bad_sid"),
        ({"CallSid": RECORDING}, "bad_sid"),
        ({"RecordingSid": "../../../etc/passwd"}, "bad_sid"),
        ({"RecordingSid": "RE" + "١" * 32}, "bad_sid"),
        ({"RecordingStatus": "exploded"}, "unknown_status"),
        ({"RecordingStatus": ""}, "unknown_status"),
    ],
)
def test_what_makes_no_sense_is_said_to_make_none(change, code):
    for sent in (form(COMPLETED | change), as_json(COMPLETED | change)):
        with pytest.raises(UnreadableEvent) as refused:
            read_news(sent, ACCOUNT)
        assert refused.value.code == code


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"text"', b"[" * 5000])
def test_json_of_another_shape_makes_no_sense(body):
    with pytest.raises(UnreadableEvent):
        read_news(Sent("", "application/json", "", body), ACCOUNT)


@pytest.mark.parametrize(
    "text", ["yesterday", "Sat, 99 Mar 2026 09:25:17 +0000", "Thu, 14 Mar 1901 09:25:17 +0000", "9"]
)
def test_a_start_that_cannot_be_read_is_kept_for_people_and_never_guessed(text):
    facts = read_news(form(COMPLETED | {"RecordingStartTime": text}), ACCOUNT).facts
    assert facts.started_at is None
    assert facts.attributes["recording_start_time"] == text


@given(forms)
def test_no_form_breaks_the_reader(parameters):
    # These names are Twilio's, or nothing that is looked at.
    assert read_news(form(parameters | COMPLETED), ACCOUNT).recording_sid == RECORDING
    with pytest.raises(UnreadableEvent):
        read_news(form(parameters | COMPLETED | {"CallSid": parameters.popitem()[1]}), ACCOUNT)


@pytest.mark.parametrize("key", ["call.wav", f"twilio/{CALL}/x.wav", f"a/twilio/{CALL}/{RECORDING}.wav", ""])
def test_only_a_key_of_our_own_has_sids(key):
    assert sids_of_key(key) is None
    assert sids_of_key(f"twilio/{CALL}/{RECORDING}.wav") == (CALL, RECORDING)
