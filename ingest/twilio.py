"""Twilio's recording status callback, read: whether Twilio sent it, and what it says of a recording. Pure.

Sources: Twilio, "Validating requests" (docs/usage/security) and "Recording status callback" (docs/voice/api/recording).
"""

import base64
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from urllib.parse import parse_qs, parse_qsl, urlsplit

from calls.pipeline import SkipReason
from calls.recording import CallFacts
from ingest.events import UnreadableEvent
from ingest.told import Told, storable
from ingest.values import as_mapping, as_texts, read_text, to_utc

SOURCE_SYSTEM = "twilio"
ORIGIN = "twilio status callback"

_SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")
_KEY = re.compile(r"twilio/(?P<call>C[AF][0-9a-f]{32})/(?P<recording>RE[0-9a-f]{32})\.wav")
_PORT = re.compile(r":(\d+)$")
_DEFAULT_PORTS = {"https": 443, "http": 80}
_ATTRIBUTES = {
    "AccountSid": "account_sid",
    "RecordingSid": "recording_sid",
    "RecordingSource": "recording_source",
    "RecordingTrack": "recording_track",
    "RecordingChannels": "recording_channels",
    # 16101: the recording was too short; 16102: it was silent, and the account does not keep such.
    "ErrorCode": "error_code",
}
# The API's names of what a callback says.
_LISTED = {
    "account_sid": "AccountSid",
    "call_sid": "CallSid",
    "conference_sid": "ConferenceSid",
    "sid": "RecordingSid",
    "status": "RecordingStatus",
    "start_time": "RecordingStartTime",
    "source": "RecordingSource",
    "track": "RecordingTrack",
    "channels": "RecordingChannels",
    "error_code": "ErrorCode",
}
# While a recording is made: nothing is known yet that the end would not say as well.
_UNDER_WAY = frozenset({"in-progress", "paused", "stopped", "processing"})
_WITHOUT_RECORDING = {"absent": SkipReason.ABSENT, "failed": SkipReason.RECORDING_FAILED}


@dataclass(frozen=True)
class Sent:
    """One request as it came: what stood behind the `?`, and the body with the headers that say what it is."""

    query: str
    content_type: str
    signature: str
    body: bytes

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON and not a form."""
        return self.content_type.partition(";")[0].strip().lower() == "application/json"


@dataclass(frozen=True)
class RecordingNews:
    """What became of a recording: Twilio keeps it (`skip_reason` None), or there is none, and why.

    `call_sid` is the call's id, or the conference's where a whole conference was recorded.
    """

    call_sid: str
    recording_sid: str
    skip_reason: SkipReason | None
    facts: CallFacts


def sign(auth_token: str, url: str, parameters: Iterable[tuple[str, str]] = ()) -> str:
    """Twilio's signature: HMAC-SHA1 over the whole URL and the form's parameters in order of their names, as base64."""
    text = url + "".join(name + value for name, value in sorted(set(parameters)))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(errors="replace"), "sha1")).decode()


def is_from_twilio(sent: Sent, *, auth_token: str, url: str) -> bool:
    """Whether whoever sent this to `url` (as the world knows it, query included) has the account's token.

    A JSON body is not part of what is signed: its SHA-256 stands in the query, which is.
    """
    parameters: list[tuple[str, str]] = []
    if sent.is_json:
        told = parse_qs(sent.query).get("bodySHA256", [])
        hashed = sha256(sent.body).hexdigest()
        if len(told) != 1 or not hmac.compare_digest(told[0].lower().encode(errors="replace"), hashed.encode()):
            return False
    else:
        parameters = _form(sent.body)
    given = sent.signature.encode(errors="replace")
    # Every spelling is tried, so that the time tells nothing.
    matches = [hmac.compare_digest(sign(auth_token, one, parameters).encode(), given) for one in _spellings(url)]
    return any(matches)


def read_news(sent: Sent, account_sid: str) -> RecordingNews | None:
    """What the callback says; None while the recording is still being made.

    Raises UnreadableEvent (`bad_parameters`, `bad_sid`, `other_account`, `unknown_status`).
    """
    return _news(_parameters(sent), account_sid)


def news_of_listed(listed: Mapping[str, object], account_sid: str) -> RecordingNews | None:
    """The same, of a recording as Twilio's API describes it; None too for one that was deleted.

    Raises UnreadableEvent (`bad_sid`, `other_account`, `unknown_status`).
    """
    told = {theirs: text for ours, theirs in _LISTED.items() if (text := read_text(listed.get(ours)))}
    return None if told.get("RecordingStatus") == "deleted" else _news(told, account_sid)


def _news(told: Mapping[str, str], account_sid: str) -> RecordingNews | None:
    if _sid(told, "AccountSid", "AC") != account_sid:
        raise UnreadableEvent("of another account", code="other_account")
    in_call = told.get("CallSid") or not told.get("ConferenceSid")
    call_sid = _sid(told, "CallSid", "CA") if in_call else _sid(told, "ConferenceSid", "CF")
    recording_sid = _sid(told, "RecordingSid", "RE")
    status = told.get("RecordingStatus", "")
    if status in _UNDER_WAY:
        return None
    if status != "completed" and status not in _WITHOUT_RECORDING:
        raise UnreadableEvent("no status that is known", code="unknown_status")
    return RecordingNews(call_sid, recording_sid, _WITHOUT_RECORDING.get(status), _facts(told, call_sid))


def recording_key(call_sid: str, recording_sid: str) -> str:
    """Where a recording of Twilio's lies in our store."""
    return f"twilio/{call_sid}/{recording_sid}.wav"


def sids_of_key(key: str) -> tuple[str, str] | None:
    """The ids of call and recording in a key of `recording_key`; None for another key."""
    found = _KEY.fullmatch(key)
    return (found["call"], found["recording"]) if found else None


def _facts(told: Mapping[str, str], call_sid: str) -> CallFacts:
    attributes = {ours: told[theirs] for theirs, ours in _ATTRIBUTES.items() if told.get(theirs)}
    if attributes.get("error_code") == "0":
        del attributes["error_code"]
    started = told.get("RecordingStartTime", "")
    started_at = _moment(started)
    if started and started_at is None:
        # It is not dropped silently: a person may read it.
        attributes["recording_start_time"] = started
    return storable(Told(CallFacts(external_call_id=call_sid, started_at=started_at, attributes=attributes))).facts


def _moment(text: str) -> datetime | None:
    """RFC 2822, as Twilio writes times."""
    try:
        return to_utc(parsedate_to_datetime(text), UTC)
    except (ValueError, OverflowError):
        return None


def _sid(told: Mapping[str, str], name: str, prefix: str) -> str:
    sid = told.get(name, "")
    if not sid.startswith(prefix) or not _SID.fullmatch(sid):
        raise UnreadableEvent(f"{name} is none", code="bad_sid")
    return sid


def _parameters(sent: Sent) -> dict[str, str]:
    if not sent.is_json:
        return dict(_form(sent.body))
    try:
        return as_texts(as_mapping(json.loads(sent.body)))
    except (ValueError, RecursionError):
        raise UnreadableEvent("no JSON", code="bad_parameters") from None


def _form(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)


def _spellings(url: str) -> Iterator[str]:
    """The URL with and without its port: Twilio's own libraries accept both, since proxies differ in it."""
    yield url
    parts = urlsplit(url)
    if _PORT.search(parts.netloc):
        yield parts._replace(netloc=_PORT.sub("", parts.netloc)).geturl()
    elif parts.scheme in _DEFAULT_PORTS:
        yield parts._replace(netloc=f"{parts.netloc}:{_DEFAULT_PORTS[parts.scheme]}").geturl()
