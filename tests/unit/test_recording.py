"""Laws of a recording's names and facts that intake makes by shorter ways."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from calls.recording import CallFacts, call_id_for

_CALLS = UUID("6b1f6a2e-3f0c-5c7e-9d53-0c1f6f9a7c11")
_TOLD = {"external_call_id": "c-1", "started_at": datetime(2026, 3, 14, tzinfo=UTC), "hold_count": 0}


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_the_id_of_a_call_is_the_uuid_of_its_name(system, name):
    assert call_id_for(system, name) == uuid5(_CALLS, f"{system}\n{name}")


def test_facts_made_of_what_was_told_are_the_same_facts():
    assert CallFacts.of(_TOLD) == CallFacts(**_TOLD)
    assert CallFacts.of(_TOLD).attributes == {}
    assert CallFacts.of(_TOLD | {"attributes": {"a": "b"}}) == CallFacts(**_TOLD, attributes={"a": "b"})
