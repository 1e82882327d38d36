"""Corrections of a call's reason by people, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from analytics.rollup import recompute_all, refresh
from analytics.star import AGGREGATES, dim_reason, fact_call
from calls.reasons import Reason
from crm.reviews import NotUnderstood, UnknownReason, correct_reason, reviewed_reasons, reviews_of
from crm.tables import call, call_analysis
from crm.taxonomies import store_taxonomy
from tests.seeds import NOW, TAXONOMY, seed_call, seed_taxonomy

LATER = NOW + timedelta(hours=1)
# Deliveries are split from what was lost; repairs go on under another name.
NEWER = replace(
    TAXONOMY,
    version="seeds-2",
    reasons=(
        Reason("delivery_late", "Late delivery", "It has not come."),
        Reason("repair", "Repair", "It is broken.", replaces=("repair_booking",)),
        Reason("new_order", "New order", "The customer wants to buy.", is_sales=True),
    ),
)


@pytest.fixture
def filled(any_database):
    with any_database.write() as connection:
        seed_taxonomy(connection)
    return any_database


def correct(filled, call_id, code, *, by="Ada", now=LATER):
    with filled.write() as connection:
        return correct_reason(connection, call_id, code, by=by, now=now)


def analyses(filled, call_id):
    with filled.read() as connection:
        asked = sa.select(call_analysis).where(call_analysis.c.call_id == call_id).order_by(call_analysis.c.revision)
        return connection.execute(asked).all()


def counts(filled):
    """Calls by reason, as the roll-ups have them; it must be what a full recompute gives."""
    refresh(filled, "UTC", LATER)
    asked = (
        sa.select(dim_reason.c.code, sa.func.sum(AGGREGATES[0].c.call_count))
        .join_from(AGGREGATES[0], dim_reason, dim_reason.c.reason_key == AGGREGATES[0].c.reason_key)
        .group_by(dim_reason.c.code)
    )
    with filled.read() as connection:
        followed = dict(connection.execute(asked).all())
        keys = connection.execute(sa.select(fact_call.c.call_id, fact_call.c.reason_key)).all()
    recompute_all(filled, "UTC", LATER)
    with filled.read() as connection:
        assert dict(connection.execute(asked).all()) == followed
        assert set(connection.execute(sa.select(fact_call.c.call_id, fact_call.c.reason_key))) == set(keys)
    return followed


def test_a_correction_is_a_new_analysis_and_the_engines_own_is_kept(filled):
    with filled.write() as connection:
        call_id = seed_call(connection)
    assert correct(filled, call_id, "repair_booking")
    before, after = analyses(filled, call_id)
    assert (before.reason_code, before.is_current, before.reason_confidence) == ("delivery_status", False, 0.87)
    assert (after.reason_code, after.is_current, after.reason_confidence) == ("repair_booking", True, None)
    # The code is no second reason beside itself, and quotes for another reason support it no more.
    assert (after.secondary_reason_codes, after.evidence) == ([], [])
    assert (after.summary, after.model, after.outcome) == (before.summary, before.model, before.outcome)
    with filled.read() as connection:
        [said] = reviews_of(connection, call_id)
        assert connection.execute(sa.select(call.c.modified_at)).scalar_one() == LATER
    assert (said.revision, said.before, said.after, said.reviewed_by, said.reviewed_at) == (
        *(1, "delivery_status", "repair_booking"),
        *("Ada", LATER),
    )


def test_saying_it_again_changes_nothing_and_a_confirmation_is_noted_without_another_analysis(filled):
    with filled.write() as connection:
        corrected, confirmed = seed_call(connection), seed_call(connection)
    assert [correct(filled, corrected, "new_order") for _ in range(2)] == [True, False]
    assert [correct(filled, confirmed, "delivery_status") for _ in range(2)] == [True, False]
    assert [len(analyses(filled, one)) for one in (corrected, confirmed)] == [2, 1]
    with filled.read() as connection:
        found = {one.call_id: (one.reason_code, one.was_wrong) for one in reviewed_reasons(connection)}
    assert found == {corrected: ("new_order", True), confirmed: ("delivery_status", False)}


def test_the_last_word_counts_and_stands_last(filled):
    with filled.write() as connection:
        first, second = seed_call(connection), seed_call(connection)
    correct(filled, first, "new_order")
    correct(filled, second, "other", by="Bo", now=LATER + timedelta(minutes=1))
    correct(filled, first, "repair_booking", by="Cy", now=LATER + timedelta(minutes=2))
    with filled.read() as connection:
        found = [(one.call_id, one.reason_code, one.reviewed_by) for one in reviewed_reasons(connection)]
        assert [said.before for said in reviews_of(connection, first)] == ["delivery_status", "new_order"]
    assert found == [(second, "other", "Bo"), (first, "repair_booking", "Cy")]


def test_what_cannot_be_corrected_is_told_and_leaves_nothing(filled):
    with filled.write() as connection:
        unheard, call_id = seed_call(connection, with_analysis=False), seed_call(connection)
    with pytest.raises(NotUnderstood):
        correct(filled, unheard, "new_order")
    with pytest.raises(UnknownReason, match=r"the codes are delivery_status, .*insufficient_content"):
        correct(filled, call_id, "new_ordre")
    with filled.read() as connection:
        assert reviewed_reasons(connection) == []
    assert len(analyses(filled, call_id)) == 1


def test_the_roll_ups_follow_a_correction_and_equal_a_recompute(filled):
    with filled.write() as connection:
        call_ids = [seed_call(connection) for _ in range(3)]
    refresh(filled, "UTC", NOW)
    correct(filled, call_ids[0], "new_order")
    assert counts(filled) == {"delivery_status": 2, "new_order": 1}


def test_a_replaced_reason_goes_on_in_trends_and_corrections_without_a_model(filled):
    with filled.write() as connection:
        repaired, ordered = (seed_call(connection, analysis={"reason_code": "repair_booking"}) for _ in range(2))
        seed_call(connection)
    assert correct(filled, repaired, "repair_booking")
    assert correct(filled, ordered, "new_order")
    assert counts(filled) == {"delivery_status": 1, "repair_booking": 1, "new_order": 1}
    with filled.write() as connection:
        store_taxonomy(connection, NEWER, LATER)
    assert counts(filled) == {"delivery_status": 1, "repair": 1, "new_order": 1}
    with filled.read() as connection:
        assert {(one.reason_code, one.was_wrong) for one in reviewed_reasons(connection)} == {
            ("repair", False),
            ("new_order", True),
        }
    # Nothing was written over: back at the old version, it is as it was.
    with filled.write() as connection:
        store_taxonomy(connection, TAXONOMY, LATER)
    assert counts(filled) == {"delivery_status": 1, "repair_booking": 1, "new_order": 1}


def test_a_word_in_codes_that_are_gone_is_kept_and_counts_again_when_they_are_back(filled):
    with filled.write() as connection:
        call_id = seed_call(connection)
    correct(filled, call_id, "delivery_status")
    with filled.write() as connection:
        store_taxonomy(connection, NEWER, LATER)
        assert reviewed_reasons(connection) == []
        store_taxonomy(connection, TAXONOMY, LATER)
        assert [one.reason_code for one in reviewed_reasons(connection)] == ["delivery_status"]
