"""Laws of documents beside a recording: plain JSON and CSV, Genesys, Google, vCon, contact records."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.recording import CallFacts, Direction
from calls.telling import Rank, Telling, merge_tellings
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


def test_a_table_that_excel_writes_is_read():
    text = "agent\tqueue\nZoë\tService\n"
    assert read_sidecar(text.encode("utf-16"), Locality()).facts == CallFacts(agent_name="Zoë", queue_name="Service")


def test_a_header_over_one_row_of_two_columns_is_no_pair_of_names():
    facts = read_sidecar(b"agent,queue\nMaya,agent\n", Locality()).facts
    assert (facts.agent_name, facts.queue_name) == ("Maya", "agent")


@pytest.mark.parametrize("text", ["color,agent\nred,Ana\n", "color,red\nagent,Ana\n", "color;red\nagent;Ana\nteam;\n"])
def test_a_table_with_one_known_name_is_read_where_it_can_be_read_in_one_way_only(text):
    assert read_sidecar(text.encode(), Locality()).facts == CallFacts(agent_name="Ana", attributes={"color": "red"})


def test_metadata_of_a_genesys_recording_are_its_own():
    companion = ALL.read_companion(
        f"{FOLDER}/{RECORDING}.opus_metadata.json",
        json.dumps(
            {
                "conversationId": CONVERSATION,
                "recordingId": RECORDING,
                "mediaType": "call",
                "mediaSubtype": "Trunk",
                "provider": "Edge",
                "userIds": ["u-1", "u-2"],
                "initialDirection": "outbound",
                "startTime": "2023-08-29T23:19:04.873+0000",
                "endTime": "2023-08-29T23:19:30.493+0000",
                "durationMs": 25620,
            }
        ).encode(),
    )
    assert (companion.rank, companion.profile, companion.told.unread) == (Rank.SIDECAR, "genesys", ())
    assert companion.told.facts == CallFacts(
        external_call_id=RECORDING,
        initial_call_id=CONVERSATION,
        direction=Direction.OUTBOUND,
        started_at=datetime(2023, 8, 29, 23, 19, 4, 873000, tzinfo=UTC),
        ended_at=datetime(2023, 8, 29, 23, 19, 30, 493000, tzinfo=UTC),
        attributes={"media_type": "call", "media_subtype": "Trunk", "provider": "Edge", "user_ids": "u-1,u-2"},
    )


def genesys_call(**changed: Any) -> dict[str, Any]:
    session = {"ani": "tel:+12065550118", "dnis": "sip:+18005550100@edge", "mediaType": "voice"}
    agent = {"purpose": "agent", "participantId": "p2", "userId": "u-1", "participantName": "Ana", "sessions": []}
    customer = {"purpose": "customer", "participantId": "p1", "participantName": "SEATTLE WA", "sessions": [session]}
    return {
        "conversationId": CONVERSATION,
        "conversationStart": "2023-08-29T23:19:04.873Z",
        "conversationEnd": "2023-08-29T23:22:00Z",
        "originatingDirection": "inbound",
        "queueIds": ["q-1"],
        "participants": [customer, agent],
    } | changed


def test_metadata_of_a_genesys_conversation_tell_who_took_part():
    companion = read(genesys_call())
    # What is said of the whole conversation counts less than what is said of this recording.
    assert (companion.rank, companion.profile, companion.told.unread) == (Rank.METADATA, "genesys", ())
    assert companion.told.facts == CallFacts(
        initial_call_id=CONVERSATION,
        direction=Direction.INBOUND,
        from_number_e164="+12065550118",
        to_number_e164="+18005550100",
        agent_name="Ana",
        started_at=datetime(2023, 8, 29, 23, 19, 4, 873000, tzinfo=UTC),
        ended_at=datetime(2023, 8, 29, 23, 22, tzinfo=UTC),
        attributes={"user_ids": "u-1", "queue_ids": "q-1"},
    )


@pytest.mark.parametrize(
    "start", ["2023-08-29T23:19:04Z", "2023-08-29T23:19:04.000000Z", "2023-08-29T23:19:04.000+0000"]
)
def test_a_genesys_time_is_read_with_and_without_microseconds(start):
    facts = read(genesys_call(conversationStart=start)).told.facts
    assert facts.started_at == datetime(2023, 8, 29, 23, 19, 4, tzinfo=UTC)


def test_of_several_agents_of_a_conversation_none_is_guessed():
    transfer = {"segments": [{"disconnectType": "transfer"}]}
    agents = [
        {"purpose": "agent", "userId": "u-1", "participantName": "Ana", "sessions": [transfer]},
        {"purpose": "agent", "userId": "u-2", "participantName": "Ben"},
    ]
    told = read(genesys_call(participants=agents)).told
    assert (told.facts.agent_name, told.unread) == (None, ("agent_name",))
    assert (told.facts.is_transferred, told.facts.attributes["user_ids"]) == (True, "u-1,u-2")


def test_what_the_recordings_own_metadata_say_wins_over_the_conversations():
    own = read({"mediaType": "call", "recordingId": RECORDING, "startTime": "2023-08-29T23:20:00Z", "userIds": []})
    whole = read(genesys_call())
    tellings = [Telling(origin, one.rank, one.told.facts) for origin, one in (("a", own), ("b", whole))]
    for order in (tellings, tellings[::-1]):
        assert merge_tellings(order).started_at == datetime(2023, 8, 29, 23, 20, tzinfo=UTC)


def test_a_conversation_of_cx_insights_tells_agent_times_and_channels():
    companion = read(
        {
            "name": "projects/p/locations/us/conversations/7f3c",
            "agentId": "a-1",
            "labels": {"campaign": "spring"},
            "startTime": "2026-03-14T09:26:53Z",
            "duration": "61.5s",
            "updateTime": "2026-03-14T10:00:00Z",
            "medium": "PHONE_CALL",
            "languageCode": "en-US",
            "callMetadata": {"customerChannel": 1, "agentChannel": 2},
            "qualityMetadata": {
                "customerSatisfactionRating": 4,
                "waitDuration": "12s",
                "menuPath": "1>2",
                "agentInfo": [{"agentId": "a-1", "displayName": "Ana", "team": "Repairs", "dispositionCode": "sold"}],
            },
            "customerPhone": "(206) 555-0118",
            "latestAnalysis": {"much": ["more"]},
        }
    )
    assert (companion.profile, companion.told.unread) == ("google", ())
    assert companion.as_of == datetime(2026, 3, 14, 10, tzinfo=UTC)
    assert companion.told.facts == CallFacts(
        external_call_id="7f3c",
        from_number_e164="+12065550118",
        agent_name="Ana",
        team_name="Repairs",
        started_at=datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC),
        ended_at=datetime(2026, 3, 14, 9, 27, 54, 500000, tzinfo=UTC),
        agent_channel=1,
        attributes={
            "languagecode": "en-US",
            "campaign": "spring",
            "agent_id": "a-1",
            "disposition": "sold",
            "customer_satisfaction_rating": "4",
            "wait_s": "12.0",
            "menu_path": "1>2",
        },
    )


@pytest.mark.parametrize(
    ("channels", "channel"),
    [({"agentChannel": 1}, 0), ({"customerChannel": 1}, 1), ({"agent_channel": 2}, 1), ({"agentChannel": 3}, None)],
)
def test_google_counts_channels_from_one(channels, channel):
    assert read({"callMetadata": channels}).told.facts.agent_channel == channel


def test_metadata_in_googles_spelling_are_read_from_the_object_as_well():
    told = ALL.read_metadata(
        {"agentid": "a-1", "agentname": "Ana", "customerphone": "+12065550118", "starttime": "soon"}
    )
    assert (told.facts.agent_name, told.facts.from_number_e164) == ("Ana", "+12065550118")
    assert (told.facts.attributes, told.unread) == ({"agent_id": "a-1"}, ("started_at",))


def vcon(**changed: Any) -> dict[str, Any]:
    dialog = {
        "type": "recording",
        "start": "2026-03-14T09:26:53+01:00",
        "duration": 61.5,
        "parties": [0, 1],
        "originator": 0,
        "mediatype": "audio/x-wav",
    }
    return {
        "vcon": "0.0.2",
        "uuid": "0195b5a6-0000-8000-8000-000000000001",
        "created_at": "2026-03-14T10:00:00Z",
        "parties": [
            {"tel": "+12065550118", "name": "J. Doe", "role": "customer"},
            {"tel": "tel:+18005550100", "name": "Ana", "role": "agent", "mailto": "mailto:ana@example.org"},
        ],
        "dialog": [{"type": "text", "start": "2026-03-13T00:00:00Z", "parties": [0]}, dialog | changed],
        "analysis": [],
    }


def test_a_vcon_tells_who_called_whom_and_when():
    companion = ALL.read_companion("call.vcon", json.dumps(vcon()).encode())
    assert (companion.profile, companion.told.unread) == ("vcon", ())
    assert companion.as_of == datetime(2026, 3, 14, 10, tzinfo=UTC)
    assert companion.told.facts == CallFacts(
        external_call_id="0195b5a6-0000-8000-8000-000000000001",
        direction=Direction.INBOUND,
        from_number_e164="+12065550118",
        to_number_e164="+18005550100",
        customer_name="J. Doe",
        agent_name="Ana",
        agent_email="ana@example.org",
        started_at=datetime(2026, 3, 14, 8, 26, 53, tzinfo=UTC),
        ended_at=datetime(2026, 3, 14, 8, 27, 54, 500000, tzinfo=UTC),
        agent_channel=1,
    )


@pytest.mark.parametrize(
    ("changed", "direction", "caller", "channel"),
    [
        ({"originator": 1}, Direction.OUTBOUND, "+18005550100", 1),
        # Left out: the first party of the dialog began it.
        ({"originator": None, "parties": [1, 0]}, Direction.OUTBOUND, "+18005550100", 0),
        ({"parties": [[0], [1]]}, Direction.INBOUND, "+12065550118", 1),
        ({"parties": [0]}, None, "+12065550118", None),
        ({"parties": 0, "originator": None}, None, "+12065550118", None),
        ({"parties": [0, 7], "originator": 9}, None, "+12065550118", None),
        ({"parties": "nobody", "originator": "nobody"}, None, None, None),
    ],
)
def test_who_called_in_a_vcon_is_who_began_it(changed, direction, caller, channel):
    facts = read(vcon(**changed)).told.facts
    assert (facts.direction, facts.from_number_e164, facts.agent_channel) == (direction, caller, channel)


def test_a_vcon_without_roles_names_nobody_as_the_agent():
    document = vcon() | {"parties": [{"tel": "+12065550118", "name": "A"}, {"tel": "+18005550100", "name": "B"}]}
    facts = read(document).told.facts
    assert (facts.direction, facts.agent_name, facts.customer_name, facts.agent_channel) == (None, None, None, None)
    assert (facts.from_number_e164, facts.to_number_e164) == ("+12065550118", "+18005550100")


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
    assert read_companion(json.dumps(vcon()).encode(), Locality(), ("google",)).told.unread == (
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
