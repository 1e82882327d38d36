"""Golden documents of Genesys Cloud, Google CX Insights and vCon, and what is read of them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from calls.recording import CallFacts, Direction
from calls.telling import Rank, Telling, merge_tellings
from ingest.profiles import BUILT_IN, Profiles
from ingest.sidecars import Companion, read_companion
from ingest.values import Locality

ALL = Profiles.of(BUILT_IN, region="US", time_zone="UTC")
CONVERSATION = "ea4303d8-014e-44f9-b770-5b15e6f86f1f"
RECORDING = "0261adc0-0618-4652-ac76-de176e1c431c"
FOLDER = f"originalAudio/conversation_id{CONVERSATION}"


def read(document: Any) -> Companion:
    return read_companion(json.dumps(document).encode(), Locality())


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


@pytest.mark.parametrize("names", [lambda who: {"parties": [who]}, lambda who: {"originator": who}])
@pytest.mark.parametrize("first", [0, 1])
def test_messages_that_name_their_sender_alone_tell_who_took_part_and_not_who_began(names, first):
    dialog = [{"type": "text", "body": "Hello.", "parties": None, **names(who)} for who in (first, 1 - first)]
    facts = read(vcon() | {"dialog": dialog}).told.facts
    assert (facts.direction, facts.customer_number_e164, facts.to_number_e164) == (None, "+12065550118", "+18005550100")
    assert (facts.customer_name, facts.agent_name) == ("J. Doe", "Ana")


def test_the_agents_number_is_never_taken_for_the_customers():
    agent, caller = {"tel": "+18005550100", "name": "Ana", "role": "agent"}, {"tel": "+12065550118", "name": "Tess"}
    facts = read(vcon() | {"parties": [agent, caller, agent], "dialog": [{"type": "recording", "parties": [0, 1, 2]}]})
    assert facts.told.facts.customer_number_e164 is None


def test_a_vcon_without_roles_names_nobody_as_the_agent():
    document = vcon() | {"parties": [{"tel": "+12065550118", "name": "A"}, {"tel": "+18005550100", "name": "B"}]}
    facts = read(document).told.facts
    assert (facts.direction, facts.agent_name, facts.customer_name, facts.agent_channel) == (None, None, None, None)
    assert (facts.from_number_e164, facts.to_number_e164) == ("+12065550118", "+18005550100")
