"""A centre of two teams, people of every role, and the rule of who may do what there, written out a second time: the
tests hold the product against it.
"""

import io
import wave
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import sqlalchemy as sa

from crm.tables import agent, team
from crm.vector_tables import call_vector
from runtime.settings_models import SimilarSettings
from tests.seeds import seed_call
from tests.web_client import Hall, make_hall, make_user

# Which calls each person sees, by the name of the call.
SEES = {
    "ann": {"own"},
    "lea": {"own", "team"},
    "ana": {"own", "team", "other", "nobodys"},
    "rev": {"own", "team", "other", "nobodys"},
    "maria": {"own", "team", "other", "nobodys"},
    # An agent's and a lead's account to which nobody has said whose calls it sees.
    "unbound": set(),
    "teamless": set(),
}
ROLE_OF = {
    "ann": "agent",
    "lea": "lead",
    "ana": "analyst",
    "rev": "reviewer",
    "maria": "admin",
    "unbound": "agent",
    "teamless": "lead",
}
# What each role may do at all.
MAY = {
    "agent": {"read_calls", "ask", "see_trends", "hear_calls", "correct", "hand_over"},
    "lead": {
        *("read_calls", "ask", "see_trends", "hear_calls", "correct", "hand_over"),
        *("read_unredacted", "export", "upload"),
    },
    "analyst": {"read_calls", "ask", "see_trends", "export"},
    "reviewer": {
        *("read_calls", "ask", "see_trends", "hear_calls", "correct", "hand_over"),
        *("read_unredacted", "edit_reasons"),
    },
    "admin": {
        *("read_calls", "ask", "see_trends", "hear_calls", "correct", "hand_over", "read_unredacted", "export"),
        *("upload", "edit_reasons", "operate", "manage_users", "read_audit", "erase"),
    },
}
# Said in every call, and nobody's to read without `read_unredacted`.
CARD = "4111 1111 1111 1111"
_AGENT_OF = {"own": "Ann Agent", "team": "Abe Agent", "other": "Bob Agent", "nobodys": None}


@dataclass(frozen=True)
class Centre:
    """The site, its calls by name, and what stands in each call and in no other."""

    hall: Hall
    calls: dict[str, UUID]
    contacts: dict[str, UUID]
    marks: dict[str, str]


def _sound() -> bytes:
    """Ten seconds of two channels, in which somebody might speak."""
    held = io.BytesIO()
    with wave.open(held, "wb") as written:
        written.setparams((2, 2, 8000, 0, "NONE", ""))
        written.writeframes(b"\x00\x01" * 2 * 8000 * 10)
    return held.getvalue()


def make_centre(home: Path) -> Centre:
    """The site of these people, with a call of each kind."""
    hall = make_hall(home, similar=SimilarSettings(engine="local"))
    calls: dict[str, UUID] = {}
    contacts: dict[str, UUID] = {}
    marks = {name: f"mark{uuid4().hex[:12]}" for name in _AGENT_OF}
    with hall.wiring.database.write() as connection:
        for number, (name, agent_name) in enumerate(_AGENT_OF.items()):
            mark = marks[name]
            key = f"2026/{mark}.wav"
            hall.wiring.objects.put(key, _sound() + mark.encode())
            kept = hall.wiring.objects.head(key).ref
            call_id = calls[name] = seed_call(
                connection,
                agent=agent_name,
                queue="Deliveries",
                contact_number=f"+1555020{number:04d}",
                said=[
                    (0, "customer", 0.0, 4.0, f"The word is {mark} today."),
                    (0, "customer", 4.0, 9.0, f"My card number is {CARD}, please charge it."),
                ],
                analysis={
                    "headline": f"Headline {mark}",
                    "summary": f"Summary {mark}. Card number {CARD}.",
                    "subject": mark,
                    "next_steps": [{"text": f"Step {mark}", "owner": "agent", "due_on": None}],
                    "evidence": [{"field": "reason", "turn": 0, "quote": mark}],
                },
                recording={"bucket": kept.bucket, "object_key": key, "etag": kept.etag, "duration_s": 10.0},
                external_call_id=f"ext-{mark}",
                customer_name=f"Customer {mark}",
                attributes={"ticket": mark},
            )
            contacts[name] = connection.execute(
                sa.text("SELECT contact_id FROM call WHERE id = :id")
                .bindparams(sa.bindparam("id", call_id, sa.Uuid))
                .columns(contact_id=sa.Uuid)
            ).scalar_one()
        # All are about the same: each is the nearest of every other.
        same = {"model": "m", "analysis_revision": 1, "dimension": 1, "vector": b"\0\0\x80\x3f"}
        connection.execute(sa.insert(call_vector), [{"call_id": one, **same} for one in calls.values()])
        own_team, other_team = uuid4(), uuid4()
        connection.execute(
            sa.insert(team), [{"id": own_team, "name": "Own team"}, {"id": other_team, "name": "Other team"}]
        )
        for names, team_id in ((("Ann Agent", "Abe Agent"), own_team), (("Bob Agent",), other_team)):
            connection.execute(sa.update(agent).where(agent.c.display_name.in_(names)).values(team_id=team_id))
        ann = connection.execute(sa.select(agent.c.id).where(agent.c.display_name == "Ann Agent")).scalar_one()
        for name, role in ROLE_OF.items():
            if name != "maria":
                make_user(
                    connection,
                    name,
                    role,
                    hall.clock(),
                    agent_id=ann if name == "ann" else None,
                    team_ids=[own_team] if name == "lea" else (),
                )
    return Centre(hall, calls, contacts, marks)
