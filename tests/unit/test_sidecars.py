"""Laws of documents beside a recording: plain JSON and CSV, Genesys, Google, vCon, contact records."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.recording import CallFacts
from calls.telling import Rank
from ingest.plain import FACT_WORDS
from ingest.profiles import BUILT_IN, Profiles
from ingest.sidecars import MAX_SIDECAR_BYTES, Companion, read_companion, read_sidecar
from ingest.values import Locality
from tests.storable import assert_storable

ALL = Profiles.of(BUILT_IN, region="US", time_zone="UTC")
CONVERSATION = "ea4303d8-014e-44f9-b770-5b15e6f86f1f"
RECORDING = "0261adc0-0618-4652-ac76-de176e1c431c"
FOLDER = f"originalAudio/conversation_id{CONVERSATION}"


def read(document: Any) -> Companion:
    return read_companion(json.dumps(document).encode(), Locality())


@pytest.mark.parametrize(
    ("raw", "unread"),
    [
        (b"\xff\xfe", "sidecar: neither JSON nor CSV"),
        (b"\xff\x00", "sidecar: not UTF-8"),
        (b"", "sidecar: neither JSON nor CSV"),
        (b"nothing here", "sidecar: neither JSON nor CSV"),
        (b"[1]", "sidecar: no JSON object"),
        (b"[" * 100_000, "sidecar: neither JSON nor CSV"),
        (b'{"agent": "cut o', "sidecar: neither JSON nor CSV"),
        (b"{" + b" " * MAX_SIDECAR_BYTES, "sidecar: too large"),
        (b'{"started_at": "yesterday"}', "started_at"),
        (b'{"from": "anonymous"}', "from_number_e164"),
        (b'{"agent_channel": 7}', "agent_channel"),
        (b'{"legs": [1, 2]}', "legs"),
        (b"agent,queue\nAna,Q\nBen,Q\nZoe,Q\n", "more than one row"),
        (b"agent,queue,team\nAna,Q,T\nBen,Q,T\n", "more than one row"),
        (b"agent,queue,team\n", "names without values"),
        (b"agent,color\nAna,red\n", "two columns, and only one known name"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_a_sidecar_says_and_nobody_understands_is_reported(raw, unread):
    told = read_sidecar(raw, Locality())
    assert told.unread == (unread,)
    assert told.facts == CallFacts()


def test_one_name_in_many_spellings_is_one_fact():
    for name in ("call_id", "callId", "Call-ID", "CALL ID", "external_call_id", "contact-id"):
        assert read({name: "7"}).told.facts.external_call_id == "7"
    for name in ("agentId", "agentid", "agent_id", "Agent-Id"):
        assert read({name: "7"}).told.facts.attributes == {"agent_id": "7"}


def test_the_first_word_for_a_fact_that_can_be_read_counts():
    told = read({"start": "soon", "started_at": "2026-03-14T09:26:53Z", "timestamp": "2026-03-15T09:26:53Z"}).told
    assert (told.facts.started_at, told.unread) == (datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC), ())


def test_an_extension_is_an_attribute_and_no_number():
    told = read({"from": "1001", "to": "+12065550118"}).told
    assert (told.facts.attributes, told.unread) == ({"extension": "1001"}, ())
    both = read({"from": "1001", "to": "1002", "direction": "internal"}).told
    assert both.facts.attributes == {"extension": "1002", "from_extension": "1001"}


@pytest.mark.parametrize(
    "text",
    [
        "agent,from,started_at\nMaya Lindqvist,+442079460018,2026-03-14T09:25:17+01:00\n",
        '\ufeffAgent;From;Started at\r\n"Maya Lindqvist";+44 20 7946 0018;2026-03-14 08:25:17\r\n',
        "agent\tfrom\tstarted_at\nMaya Lindqvist\t+442079460018\t1773476717\n\n",
        "name,value\nagent,Maya Lindqvist\nfrom,+442079460018\nstarted_at,2026-03-14T08:25:17Z\n",
        "agent;Maya Lindqvist\nfrom;+442079460018\nstarted_at;2026-03-14T08:25:17Z",
    ],
)
def test_a_table_of_one_call_is_read_in_either_form(text):
    raw = text.replace("name,value\n", "")
    for form in (text, raw):
        told = ALL.read_companion("call.csv", form.encode()).told
        assert told.facts.agent_name == "Maya Lindqvist"
        assert told.facts.from_number_e164 == "+442079460018"
        assert told.facts.started_at == datetime(2026, 3, 14, 8, 25, 17, tzinfo=UTC)


def test_the_examples_of_the_documentation_are_read_whole():
    page = (Path(__file__).parents[2] / "docs" / "telephony.md").read_text(encoding="utf-8")
    document = next(block for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if '"call_id"' in block)
    table = next(block for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if "call_id;" in block)
    json_told, csv_told = (read_sidecar(text.encode(), Locality()) for text in (document, table))
    assert (json_told.unread, csv_told.unread) == ((), ())
    assert json_told.facts.attributes == {"campaign": "spring"}
    for told in (json_told, csv_told):
        assert (told.facts.external_call_id, told.facts.agent_name) == ("7f3c", "Maya Lindqvist")
        assert told.facts.started_at == datetime(2026, 3, 14, 8, 25, 17, tzinfo=UTC)
    assert json_told.source_system == "pbx-berlin"


def test_a_table_that_excel_writes_is_read():
    text = "agent\tqueue\nZoë\tService\n"
    assert read_sidecar(text.encode("utf-16"), Locality()).facts == CallFacts(agent_name="Zoë", queue_name="Service")


def test_a_header_over_one_row_of_two_columns_is_no_pair_of_names():
    facts = read_sidecar(b"agent,queue\nMaya,agent\n", Locality()).facts
    assert (facts.agent_name, facts.queue_name) == ("Maya", "agent")


@pytest.mark.parametrize("text", ["color,agent\nred,Ana\n", "color,red\nagent,Ana\n", "color;red\nagent;Ana\nteam;\n"])
def test_a_table_with_one_known_name_is_read_where_it_can_be_read_in_one_way_only(text):
    assert read_sidecar(text.encode(), Locality()).facts == CallFacts(agent_name="Ana", attributes={"color": "red"})


def test_a_contact_record_beside_a_recording_is_telephonys_own_word():
    companion = read({"ContactId": "c-1", "LastUpdateTimestamp": "2026-03-14T09:26:53Z", "Agent": {"Username": "ana"}})
    assert (companion.rank, companion.profile) == (Rank.RECORD, "connect")
    assert companion.as_of == datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def test_of_many_contact_records_the_newest_of_this_call_counts():
    contact = "4a573372-1f28-4e26-b97b-8a0f6c9b2f11"
    records = [
        {"ContactId": contact, "LastUpdateTimestamp": "2026-03-14T09:27:00Z", "Agent": {"Username": "new"}},
        {"ContactId": contact, "LastUpdateTimestamp": "2026-03-14T09:26:00Z", "Agent": {"Username": "old"}},
        {"ContactId": "another", "LastUpdateTimestamp": "2026-03-14T09:28:00Z", "Agent": {"Username": "other"}},
    ]
    raw = "".join(map(json.dumps, records)).encode()
    key = f"connect/{contact}_20260314T09:26_UTC.json"
    assert ALL.read_companion(key, raw).told.facts.agent_name == "new"
    assert ALL.read_companion("call.json", raw).told.unread == ("sidecar: contact records of other calls",)


def test_only_the_chosen_profiles_read_a_document():
    assert read_companion(b'{"vcon": "1", "parties": []}', Locality(), ("google",)).told.unread == (
        "sidecar: no profile reads it",
    )
    assert read_companion(b'{"agent": "Ana"}', Locality(), ("plain",)).profile == "plain"


def test_times_without_a_zone_are_in_that_of_telephony():
    local = Locality("DE", ZoneInfo("Europe/Berlin"))
    told = read_sidecar(b'{"started_at": "2026-07-14T09:26:53", "from": "030 123456"}', local)
    assert told.facts.started_at == datetime(2026, 7, 14, 7, 26, 53, tzinfo=UTC)
    assert told.facts.from_number_e164 == "+4930123456"


def test_what_no_database_takes_is_cleaned_out_and_the_rest_is_cut():
    told = read(
        {
            "agent": "A\0na",
            "queue": "half \ud800",
            "id": "k" * 2000,
            "attributes": {"a\0": "x\0", "": "y", "z": "", **{str(number): "n" for number in range(100)}},
            "legs\0": [1],
        }
    ).told
    assert_storable(told.facts)
    assert (told.facts.agent_name, told.facts.queue_name) == ("Ana", "half ?")
    assert told.facts.attributes["a"] == "x"
    assert told.unread == ("legs",)


KNOWN = [
    *sorted(FACT_WORDS),
    *("attributes", "ContactId", "LastUpdateTimestamp", "participants", "conversationStart", "mediaType", "userIds"),
    *(
        "vcon",
        "uuid",
        "parties",
        "dialog",
        "callMetadata",
        "qualityMetadata",
        "name",
        "labels",
        "startTime",
        "duration",
    ),
    *("agentInfo", "purpose", "sessions", "segments", "ani", "tel", "role", "start", "originator", "type", "Records"),
]
names = st.sampled_from(KNOWN) | st.text(max_size=5)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["2026-03-14T09:26:53Z", "recording", "agent", "customer", "+12065550118", "12.5s"])
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(names, values, max_size=8))
def test_any_document_is_read_without_an_error(document):
    assert_storable(ALL.read_companion("a.json", json.dumps(document).encode()).told.facts)


@given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_read_without_an_error(raw):
    for key in ("a.json", "a.csv", "a.vcon", f"{FOLDER}/{RECORDING}.opus_metadata.json", "\0"):
        assert_storable(ALL.read_companion(key, raw).told.facts)


@given(
    st.lists(st.lists(st.sampled_from(["agent", "from", "+12065550118", "Ana", '"', "", "\0"]), max_size=3), max_size=4)
)
def test_any_table_is_read_without_an_error(rows):
    for delimiter in ",;\t":
        assert_storable(read_sidecar("\n".join(map(delimiter.join, rows)).encode(), Locality()).facts)


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_any_metadata_and_tags_are_read_without_an_error(metadata, tags):
    assert_storable(ALL.read_metadata(metadata, tags).facts)
