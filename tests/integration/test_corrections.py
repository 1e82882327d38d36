"""Corrections of calls by those who may see them, on both databases."""

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from analytics.rollup import recompute_all, refresh
from analytics.star import fact_call
from calls.analysis import NextStep, Outcome
from calls.corrections import Changes, WrongCorrection
from crm.access import NotAllowed, Role, Viewer
from crm.calls import NoSuchCall
from crm.corrections import Conflict, approval_of, approve, confirm, correct, is_approved, revision_of
from crm.results import file_call
from crm.reviews import NotUnderstood, UnknownReason, correct_reason, reviewed_reasons, reviews_of
from crm.swaps import NoChannels
from crm.tables import agent, call, call_analysis, contact, utterance
from crm.taxonomies import store_taxonomy
from crm.touched_tables import touched_call
from engines.language_fake import FakeLanguage, first_words
from tests.integration.test_late_facts import sums
from tests.integration.test_reclassify import NEWER, queue
from tests.integration.test_steps import Centre
from tests.seeds import NOW, TAXONOMY, seed_call, seed_taxonomy
from tests.sound import two_channel_wav

LATER = NOW + timedelta(hours=1)
ADA = Viewer("Ada", Role.REVIEWER)
BEN = Viewer("Ben", Role.REVIEWER)
STEPS = (NextStep("Send a van", "agent", date(2026, 3, 24)), NextStep("Call the customer back", "agent"))


@pytest.fixture
def filled(any_database):
    with any_database.write() as connection:
        seed_taxonomy(connection)
    return any_database


@pytest.fixture
def call_id(filled):
    with filled.write() as connection:
        return seed_call(connection, transcript={"agent_channel": 1})


def say(filled, call_id, revision=None, *, viewer=ADA, now=LATER, **changes):
    with filled.write() as connection:
        looked_at = revision_of(connection, call_id) if revision is None else revision
        return correct(connection, viewer, call_id, looked_at, Changes(**changes), now=now)


def analyses(filled, call_id):
    with filled.read() as connection:
        asked = sa.select(call_analysis).where(call_analysis.c.call_id == call_id)
        return connection.execute(asked.order_by(call_analysis.c.revision)).all()


def history(filled, call_id):
    with filled.read() as connection:
        return [(said.field, said.before, said.after, said.reviewed_by) for said in reviews_of(connection, call_id)]


def test_all_that_is_said_at_once_is_one_revision_and_the_engines_own_is_kept(filled, call_id):
    before = 2  # one transcript, one analysis
    after = say(
        filled,
        call_id,
        before,
        reason="repair_booking",
        outcome=Outcome.RESOLVED,
        headline="Van is  sent\n",
        summary="The dishwasher comes by van.",
        next_steps=STEPS,
    )
    assert after == before + 1
    machine, current = analyses(filled, call_id)
    assert (machine.is_current, machine.reason_code, machine.outcome) == (False, "delivery_status", "follow_up")
    assert (current.is_current, current.reason_code, current.outcome) == (True, "repair_booking", "resolved")
    assert (current.headline, current.summary) == ("Van is sent", "The dishwasher comes by van.")
    assert (current.is_resolved, current.evidence, current.model) == (True, [], machine.model)
    assert current.next_steps == [
        {"text": "Send a van", "owner": "agent", "due_on": "2026-03-24"},
        {"text": "Call the customer back", "owner": "agent", "due_on": None},
    ]
    told = history(filled, call_id)
    assert [row[0] for row in sorted(told)] == ["headline", "next_steps", "outcome", "reason", "summary"]
    assert ("outcome", "follow_up", "resolved", "Ada") in told
    assert ("headline", "Dishwasher has not arrived", "Van is sent", "Ada") in told


def test_what_is_as_it_was_is_not_noted(filled, call_id):
    assert say(filled, call_id, reason="delivery_status", summary="  " + analyses(filled, call_id)[0].summary) == 2
    assert (history(filled, call_id), len(analyses(filled, call_id))) == ([], 1)


def test_the_second_of_two_editors_is_told_and_nothing_of_theirs_is_written(filled, call_id):
    say(filled, call_id, 2, outcome=Outcome.RESOLVED)
    with pytest.raises(Conflict) as told:
        say(filled, call_id, 2, viewer=BEN, summary="Something else.")
    assert (told.value.revision, told.value.by) == (3, "Ada")
    assert [row[3] for row in history(filled, call_id)] == ["Ada"]
    assert say(filled, call_id, told.value.revision, viewer=BEN, summary="Something else.") == 4


def test_of_many_who_correct_at_once_one_comes_through(filled, call_id):
    ready = threading.Barrier(6)
    ends = []

    def edit(number):
        ready.wait()
        try:
            ends.append(say(filled, call_id, 2, viewer=replace(ADA, name=f"p{number}"), summary=f"By {number}."))
        except Conflict as told:
            ends.append(told)

    editors = [threading.Thread(target=edit, args=(number,)) for number in range(6)]
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()
    assert sorted(isinstance(end, Conflict) for end in ends) == [False, True, True, True, True, True]
    [(_, _, summary, by)] = history(filled, call_id)
    assert (summary, {end.by for end in ends if isinstance(end, Conflict)}) == (f"By {by[1:]}.", {by})


@pytest.mark.parametrize("corrected_before", [False, True])
def test_an_engine_that_speaks_meanwhile_is_a_change_too_and_nobodys(filled, call_id, corrected_before):
    revision = say(filled, call_id, 2, outcome=Outcome.RESOLVED) if corrected_before else 2
    with filled.write() as connection:
        connection.execute(sa.update(call_analysis).values(is_current=False))
        latest = sa.select(call_analysis).order_by(call_analysis.c.revision.desc()).limit(1)
        row = dict(connection.execute(latest).mappings().one())
        row |= {"id": uuid4(), "revision": revision, "created_at": NOW + timedelta(days=1), "is_current": True}
        connection.execute(sa.insert(call_analysis).values(**row))
    with pytest.raises(Conflict, match="this call has changed meanwhile") as told:
        say(filled, call_id, revision, summary="Something else.")
    assert told.value.by is None


@pytest.mark.parametrize(
    "changes",
    [
        {"summary": " \n "},
        {"summary": "x" * 2001},
        {"headline": "x" * 91},
        {"next_steps": (NextStep(""),)},
        {"next_steps": (NextStep("x"),) * 11},
        {"agent_channel": 2},
        {"customer": "Rosa"},
        {"customer": "+1 555"},
        {"customer": "00000000-0000-4000-8000-000000000000"},
    ],
)
def test_what_cannot_be_taken_is_told_and_leaves_nothing(filled, call_id, changes):
    with pytest.raises(WrongCorrection):
        say(filled, call_id, outcome=Outcome.RESOLVED, **changes)
    assert (history(filled, call_id), len(analyses(filled, call_id))) == ([], 1)


def test_a_code_that_the_reasons_have_not_and_a_call_without_an_analysis_are_told(filled, call_id):
    with pytest.raises(UnknownReason):
        say(filled, call_id, reason="new_ordre", summary="This is not written.")
    assert history(filled, call_id) == []
    with filled.write() as connection:
        unheard = seed_call(connection, said=None, with_analysis=False)
    for changes in ({"summary": "x"}, {"reason": "other"}):
        with pytest.raises(NotUnderstood):
            say(filled, unheard, **changes)
    with pytest.raises(NoChannels):
        say(filled, unheard, agent_channel=1)
    with filled.write() as connection, pytest.raises(NotUnderstood):
        approve(connection, ADA, unheard, 0, now=LATER)


def test_nobody_corrects_a_call_that_they_may_not_see_or_without_the_right_to(filled, call_id):
    with filled.read() as connection:
        owner = connection.execute(sa.select(agent.c.id)).scalar_one()
    own = Viewer("Own", Role.AGENT, agent_id=owner)
    other = Viewer("Other", Role.AGENT, agent_id=uuid4())
    analyst = Viewer("Analyst", Role.ANALYST)
    with filled.write() as connection:
        for act in (confirm, approve):
            with pytest.raises(NoSuchCall):
                act(connection, other, call_id, 2, now=LATER)
            with pytest.raises(NotAllowed):
                act(connection, analyst, call_id, 2, now=LATER)
    with pytest.raises(NoSuchCall):
        say(filled, call_id, viewer=other, outcome=Outcome.RESOLVED)
    with pytest.raises(NotAllowed):
        say(filled, call_id, viewer=analyst, outcome=Outcome.RESOLVED)
    assert say(filled, call_id, viewer=own, outcome=Outcome.RESOLVED) == 3


def test_a_confirmed_reason_teaches_as_a_correction_does_and_is_said_once(filled, call_id):
    for _ in range(2):
        with filled.write() as connection:
            assert confirm(connection, ADA, call_id, 2, now=LATER) == 2
    assert history(filled, call_id) == [("reason", "delivery_status", "delivery_status", "Ada")]
    with filled.read() as connection:
        assert [(one.reason_code, one.was_wrong) for one in reviewed_reasons(connection)] == [
            ("delivery_status", False)
        ]


def test_the_roll_ups_know_at_once_that_a_person_confirmed_the_reason(filled, call_id):
    refresh(filled, "UTC", NOW)
    with filled.write() as connection:
        confirm(connection, ADA, call_id, 2, now=LATER)
    refresh(filled, "UTC", LATER)
    with filled.read() as connection:
        facts = connection.execute(sa.select(fact_call.c.reason_reviewed_count, fact_call.c.reason_agreed_count)).one()
    assert facts == (1, 1)


def test_words_on_other_things_are_no_words_on_the_reason(filled, call_id):
    say(filled, call_id, outcome=Outcome.RESOLVED, summary="A van is sent.", customer="+15550177")
    with filled.read() as connection:
        assert reviewed_reasons(connection) == []
    say(filled, call_id, reason="new_order")
    say(filled, call_id, summary="Two vans are sent.", now=LATER + timedelta(minutes=1))
    with filled.read() as connection:
        assert [one.reason_code for one in reviewed_reasons(connection)] == ["new_order"]


def test_an_approval_holds_for_the_summary_as_it_was_approved(filled, call_id):
    def approved():
        with filled.read() as connection:
            found = connection.execute(
                sa.select(call_analysis.c.call_id).where(call_analysis.c.is_current, is_approved())
            )
            return approval_of(connection, call_id), list(found.scalars())

    assert approved() == (None, [])
    for viewer in (ADA, BEN):
        with filled.write() as connection:
            assert approve(connection, viewer, call_id, 2, now=LATER).by == "Ada"
    assert [(approval.by, ids) for approval, ids in [approved()]] == [("Ada", [call_id])]
    say(filled, call_id, summary="A van is sent.")
    assert approved() == (None, [])
    with filled.write() as connection, pytest.raises(Conflict):
        approve(connection, BEN, call_id, 2, now=LATER)


def test_a_call_moves_to_another_customer_and_out_of_the_chain_of_the_first(filled):
    days = [timedelta(days=n) for n in range(4)]
    with filled.write() as connection:
        ids = [
            seed_call(connection, happened_at=NOW + day, from_number_e164=number)
            for day, number in zip(days, ["+15550101"] * 3 + ["+15550102"], strict=True)
        ]
        for one in ids:
            file_call(connection, one)
        contacts = dict(connection.execute(sa.select(contact.c.phone_e164, contact.c.id)).all())
        connection.execute(sa.delete(touched_call))
    first, moved, last, others = ids
    assert say(filled, moved, customer="+15550102") == 3
    with filled.read() as connection:
        chain = dict(connection.execute(sa.select(call.c.id, call.c.earlier_call_id)).all())
        marked = set(connection.execute(sa.select(touched_call.c.call_id)).scalars())
    assert chain == {first: None, last: first, moved: None, others: moved}
    assert marked == {moved}
    assert history(filled, moved) == [("customer", str(contacts["+15550101"]), str(contacts["+15550102"]), "Ada")]
    # Filed again, since telephony told its time late: the person's word stands.
    for said in (str(contacts["+15550102"]), ""):
        say(filled, moved, customer=said)
        with filled.write() as connection:
            file_call(connection, moved)
            now_with = connection.execute(sa.select(call.c.contact_id).where(call.c.id == moved)).scalar_one()
        assert now_with == (contacts["+15550102"] if said else None)
    with filled.read() as connection:
        chain = dict(connection.execute(sa.select(call.c.id, call.c.earlier_call_id)).all())
    assert chain == {first: None, last: first, moved: None, others: None}


def test_nothing_is_filed_with_a_customer_who_was_erased(filled, call_id):
    with filled.write() as connection:
        erased = uuid4()
        connection.execute(sa.insert(contact).values(id=erased, anonymized_at=NOW))
    with pytest.raises(WrongCorrection, match="no customer has that id"):
        say(filled, call_id, customer=str(erased))


def test_a_customer_who_is_gone_leaves_the_call_with_nobody(filled, call_id):
    say(filled, call_id, customer="+15550177")
    with filled.write() as connection:
        connection.execute(sa.update(call).values(contact_id=None))
        connection.execute(sa.delete(contact))
        file_call(connection, call_id)
        assert connection.execute(sa.select(call.c.contact_id)).scalar_one() is None


def test_the_roll_ups_follow_at_once_and_equal_a_recompute(filled):
    with filled.write() as connection:
        ids = [
            seed_call(connection, happened_at=NOW + timedelta(days=n), from_number_e164="+15550101") for n in range(3)
        ]
        for one in ids:
            file_call(connection, one)
    refresh(filled, "UTC", LATER)
    say(filled, ids[0], reason="new_order", outcome=Outcome.SALE)
    say(filled, ids[1], customer="+15550102")
    say(filled, ids[2], outcome=Outcome.UNRESOLVED)

    def figures():
        columns = (fact_call.c[name] for name in ("call_id", "reason_key", "outcome", "customer_key", "repeated_count"))
        with filled.read() as connection:
            return [sorted(one) for one in sums(filled)], sorted(map(str, connection.execute(sa.select(*columns))))

    refresh(filled, "UTC", LATER)
    followed = figures()
    recompute_all(filled, "UTC", LATER)
    assert figures() == followed


@pytest.fixture
def centre(any_database, tmp_path):
    made = Centre(any_database, tmp_path / "scratch")
    yield made
    made.leases.close()


def test_peoples_words_in_every_field_survive_speakers_named_anew_and_other_reasons(centre):
    call_id = centre.receive(two_channel_wav(seconds=3))
    centre.work(centre.parts())
    said = {
        "reason": "repair_booking",
        "outcome": Outcome.ESCALATED,
        "headline": "By Ada",
        "summary": "What Ada wrote.",
        "next_steps": STEPS,
        "customer": "+15550177",
    }
    now = datetime.now(UTC)
    say(centre.database, call_id, now=now, **said)
    with centre.database.read() as connection:
        filed = connection.execute(sa.select(call.c.contact_id)).scalar_one()
        was = {row.channel: row.speaker for row in connection.execute(sa.select(utterance))}
    channel = next(channel for channel, speaker in was.items() if speaker == "customer")
    after = say(centre.database, call_id, now=now, agent_channel=channel)
    assert say(centre.database, call_id, after, now=now, agent_channel=channel) == after
    assert centre.call(call_id).stage == "transcribed"
    centre.work(centre.parts())

    def stands():
        [current] = [row for row in centre.rows(call_analysis) if row.is_current]
        found = centre.call(call_id)
        assert (current.outcome, current.headline, current.summary) == ("escalated", "By Ada", "What Ada wrote.")
        assert [step["text"] for step in current.next_steps] == [step.text for step in STEPS]
        assert (found.stage, found.contact_id) == ("done", filed)
        return current.reason_code, current.taxonomy_version

    assert stands() == ("repair_booking", TAXONOMY.version)
    with centre.database.write() as connection:
        store_taxonomy(connection, NEWER, datetime.now(UTC))
    # The reason is carried over to the code that goes on in its place, and nobody is asked.
    assert (queue(centre).ask_count, stands()) == (0, ("repair", NEWER.version))


def test_a_summary_by_a_person_survives_other_reasons_while_the_engine_gives_the_reason(centre):
    call_id = centre.receive(two_channel_wav(seconds=3))
    centre.work(centre.parts())
    say(centre.database, call_id, now=datetime.now(UTC), summary="What Ada wrote.")
    with centre.database.write() as connection:
        store_taxonomy(connection, NEWER, datetime.now(UTC))
    assert queue(centre).ask_count == 1
    centre.work(centre.parts(language=FakeLanguage(first_words)))
    [current] = [row for row in centre.rows(call_analysis) if row.is_current]
    assert (current.summary, current.reason_code) == ("What Ada wrote.", "where_is_it")


def test_a_reason_that_is_lost_does_not_lose_the_other_words(centre):
    call_id = centre.receive(two_channel_wav(seconds=3))
    centre.work(centre.parts())
    with centre.database.write() as connection:
        correct_reason(connection, call_id, "delivery_status", by="Ada", now=datetime.now(UTC))
    say(centre.database, call_id, now=datetime.now(UTC), summary="What Ada wrote.")
    with centre.database.write() as connection:
        store_taxonomy(connection, NEWER, datetime.now(UTC))
    # Speakers that are named anew have the call understood again, under reasons without that code.
    with centre.database.read() as connection:
        was = {row.channel: row.speaker for row in connection.execute(sa.select(utterance))}
    channel = next(channel for channel, speaker in was.items() if speaker == "customer")
    say(centre.database, call_id, now=datetime.now(UTC), agent_channel=channel)
    centre.work(centre.parts())
    [current] = [row for row in centre.rows(call_analysis) if row.is_current]
    assert (current.summary, current.taxonomy_version) == ("What Ada wrote.", NEWER.version)
