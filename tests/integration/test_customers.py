"""Laws of a customer's calls: they stand in the order in which they were, however they were filed or told of."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
import sqlalchemy as sa

from calls.recording import CallFacts, ObjectRef, StoredObject
from crm.facts import set_facts
from crm.intake import insert_received
from crm.results import file_call
from crm.tables import call, contact, recording

NOW = datetime(2026, 3, 20, tzinfo=UTC)
ANA, BEN = "+14155550101", "+14155550102"


def facts(day, number=ANA, **more):
    return CallFacts(from_number_e164=number, started_at=NOW + timedelta(days=day), **more)


def receive(connection, name, told):
    stored = StoredObject(ObjectRef("recordings", f"{name}.wav", etag=name))
    return insert_received(connection, stored, told, source_system="test", profile="plain", now=NOW).call_id


def chain(connection):
    """Each call's name with that of the call before it."""
    names = {
        row.call_id: row.object_key.removesuffix(".wav")
        for row in connection.execute(sa.select(recording.c.call_id, recording.c.object_key))
    }
    rows = connection.execute(sa.select(call.c.id, call.c.earlier_call_id))
    return {names[row.id]: names.get(row.earlier_call_id) for row in rows}


@pytest.mark.parametrize("late", [0.5, 1.5, 2.5, 9])
@pytest.mark.parametrize("moved", ["a", "b", "c", "d"])
def test_a_call_whose_time_is_told_late_leaves_no_gap_where_it_was_and_finds_its_new_place(database, moved, late):
    days = {"a": 0, "b": 1, "c": 2, "d": 3}
    with database.write() as connection:
        ids = {name: receive(connection, name, facts(day)) for name, day in days.items()}
        for call_id in ids.values():
            file_call(connection, call_id)
        set_facts(connection, ids[moved], facts(late), now=NOW)
        file_call(connection, ids[moved])
        in_order = sorted(days, key=lambda name: late if name == moved else days[name])
        assert chain(connection) == dict(zip(in_order, [None, *in_order], strict=False))


def test_a_call_whose_number_is_told_late_goes_over_to_its_customer(any_database):
    with any_database.write() as connection:
        ids = {name: receive(connection, name, facts(day)) for day, name in enumerate("abc")}
        ids["x"] = receive(connection, "x", facts(0, BEN))
        for call_id in ids.values():
            file_call(connection, call_id)
        set_facts(connection, ids["b"], facts(1, BEN), now=NOW)
        file_call(connection, ids["b"])
        assert chain(connection) == {"a": None, "c": "a", "x": None, "b": "x"}


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_a_customer_has_the_name_that_telephony_tells_with_whichever_call(database, order):
    with database.write() as connection:
        for name in order:
            told = facts("abc".index(name), customer_name="Ana Maria Diaz" if name == "b" else None)
            file_call(connection, receive(connection, name, told))
        known = connection.execute(sa.select(contact.c.first_name, contact.c.last_name)).one()
    assert tuple(known) == ("Ana Maria", "Diaz")
