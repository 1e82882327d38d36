"""Calls as vCon and as PCA has them: another reader finds what was said, and nothing personal leaves unasked."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from analytics.exports import export
from crm.database import Database
from crm.erasing import Trace, erase_calls
from crm.tables import call_analysis, transcript, utterance
from ingest.values import Locality
from ingest.vcon import facts_of_vcon, read_vcon
from tests.calls_made_up import NOON, add_call, id_of, prepare

CARD = "4111 1111 1111 1111"
SAID = (
    ("agent", 0, 0.0, 2.5, "Harbour Repairs, how can I help you?"),
    ("customer", 1, 3.0, 7.0, f"My card is {CARD}, and the boiler leaks."),
    ("agent", 0, 8.0, 10.0, "I can send somebody tomorrow."),
)


@pytest.fixture
def centre(database: Database) -> Database:
    """One call with its words, and one of generated history."""
    with database.write() as connection:
        prepare(connection)
        people = {"contact_id": id_of("contact", 1), "agent_id": id_of("agent", 0)}
        heard = {
            "talk_time_agent_s": 4.5,
            "talk_time_customer_s": 4.0,
            "non_talk_time_s": 0.0,
            "language": "en",
            "agent_channel": 0,
        }
        add_call(
            connection,
            1,
            NOON,
            **people,
            duration_s=12.0,
            direction="inbound",
            from_number_e164="+12065550101",
            transcript=heard,
            analysis={
                "summary": f"Gave the card {CARD}; the boiler leaks.",
                "headline": "Boiler leaks",
                "sentiment_customer": -2.0,
                "sentiment_customer_start": -3.0,
                "sentiment_customer_end": 1.5,
            },
        )
        add_call(connection, 2, NOON, is_sample=True)
        transcript_id = connection.execute(
            sa.select(transcript.c.id).where(transcript.c.call_id == id_of("call", 1))
        ).scalar_one()
        for seq, (speaker, channel, start_s, end_s, text) in enumerate(SAID):
            connection.execute(
                sa.insert(utterance).values(
                    transcript_id=transcript_id,
                    seq=seq,
                    speaker=speaker,
                    channel=channel,
                    start_s=start_s,
                    end_s=end_s,
                    text=text,
                    words=[],
                )
            )
    return database


def exported(centre: Database, out: Path, kind: str, *, personal_data: bool, later: int = 0) -> dict[str, Any]:
    """The one file of the kind."""
    now = NOON + timedelta(days=30, minutes=later)
    (file,) = export(centre, (kind,), out, zone="UTC", now=now, personal_data=personal_data)
    assert file.path.startswith(f"{kind}/month=2026-03/{id_of('call', 1)}.")
    return dict(json.loads(Path(file.place).read_text(encoding="utf-8")))


def test_what_was_said_comes_back_from_the_vcon_by_our_reader(centre: Database, tmp_path: Path) -> None:
    document = exported(centre, tmp_path, "vcon", personal_data=True)
    read = read_vcon(document, Locality())
    found = [(one.speaker.value, one.start_s, one.end_s, one.text) for one in read.said]
    assert found == [(speaker, start_s, end_s, text) for speaker, _, start_s, end_s, text in SAID]
    facts = facts_of_vcon(document, Locality())
    assert (facts.agent_name, facts.customer_name, facts.started_at) == ("Agent 0", "Ann Example 1", NOON)
    assert facts.from_number_e164 == "+12065550101"
    assert facts.agent_channel == 0


@pytest.mark.parametrize("kind", ["vcon", "pca"])
def test_neither_people_nor_what_must_not_leave_is_in_the_file_unasked(
    centre: Database, tmp_path: Path, kind: str
) -> None:
    text = json.dumps(exported(centre, tmp_path, kind, personal_data=False))
    assert "[CARD]" in text
    assert not [token for token in (CARD, "4111", "Ann", "2065550101") if token in text]
    asked = json.dumps(exported(centre, tmp_path / "asked", kind, personal_data=True))
    assert CARD in asked
    assert "Ann Example 1" in asked


def test_the_fields_of_pca_are_where_its_readers_look(centre: Database, tmp_path: Path) -> None:
    document = exported(centre, tmp_path, "pca", personal_data=False)
    about, segments = document["ConversationAnalytics"], document["SpeechSegments"]
    assert about["GUID"] == str(id_of("call", 1))
    assert about["Duration"] == 12.0
    assert about["SpeakerTime"] == {
        "spk_0": {"TotalTimeSecs": 4.0},
        "spk_1": {"TotalTimeSecs": 4.5},
        "NonTalkTime": {"TotalTimeSecs": 0.0, "Instances": []},
    }
    assert about["SentimentTrends"]["spk_0"]["SentimentScore"] == -2.0
    assert about["SentimentTrends"]["spk_0"]["SentimentChange"] == 4.5
    assert [one["Name"] for one in about["CategoriesDetected"]] == ["Delivery"]
    assert [(one["SegmentSpeaker"], one["SegmentStartTime"]) for one in segments] == [
        ("spk_1", 0.0),
        ("spk_0", 3.0),
        ("spk_1", 8.0),
    ]


def test_a_corrected_call_is_written_again_and_an_unchanged_one_is_not(centre: Database, tmp_path: Path) -> None:
    exported(centre, tmp_path, "vcon", personal_data=False)
    later = NOON + timedelta(days=30, minutes=1)
    (same,) = export(centre, ("vcon",), tmp_path, zone="UTC", now=later)
    assert not same.is_new
    with centre.write() as connection:
        connection.execute(sa.update(call_analysis).values(summary="Another summary"))
    (corrected,) = export(centre, ("vcon",), tmp_path, zone="UTC", now=later)
    assert corrected.is_new


def test_an_erased_call_is_in_no_file_of_the_next_edition(centre: Database, tmp_path: Path) -> None:
    export(centre, ["vcon", "pca"], tmp_path, zone="UTC", now=NOON)
    assert len(list(tmp_path.rglob(f"*{id_of('call', 1)}*"))) == 2
    with centre.write() as connection:
        erase_calls(connection, [id_of("call", 1)], Nothing(), cause="request", now=NOON)
    assert export(centre, ["vcon", "pca"], tmp_path, zone="UTC", now=NOON) == ()
    assert not list(tmp_path.rglob(f"*{id_of('call', 1)}*"))


class Nothing:
    """The call came without a recording: nothing is known of it elsewhere."""

    bucket = "recordings"

    def subjects(self, trace: Trace) -> set[str]:
        return set()

    def conversation(self, trace: Trace) -> str | None:
        return None

    def classifier_key(self, taxonomy_version: str) -> str:
        return taxonomy_version
