"""Laws of handing calls over: each once to each destination, as the owner lets it go, through any failure."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from calls.corrections import Changes
from calls.handover import Rules, State
from calls.redaction import find_sensitive
from crm import handover_claims, handover_queue
from crm.access import OPERATOR
from crm.corrections import approve, correct, revision_of
from crm.crm_links import Entity, linked
from crm.database import Database
from crm.destinations import destinations_document
from crm.handover_status import NotApproved, ask_for, failed_handovers, resume, standings
from crm.handover_tables import crm_link, handover
from crm.tables import agent, call, transcript
from runtime.handover import Handovers
from runtime.settings import Settings
from runtime.settings_outgoing import HandoverSettings, HubSpotSettings, SalesforceSettings, WebhookSettings
from tests.seeds import NOW, seed_call, seed_failed_call, seed_taxonomy
from tests.servers import hubspot, salesforce, webhook_receiver
from tests.servers.hubspot import HubSpotServer
from tests.servers.salesforce import SalesforceServer
from tests.servers.webhook_receiver import WebhookReceiver
from tests.web_client import Clock
from workers.handover import LEASE, HandoverWork, deliver, tend

CARD = "4111 1111 1111 1111"


class Centre:
    """A database, the servers behind the destinations, and what works between them; time stands until it is moved."""

    def __init__(self, database: Database, home: Path, org: Any, portal: Any, receiver: Any, clock: Clock) -> None:
        self.database, self.home = database, home
        self.org, self.portal, self.receiver = org, portal, receiver
        self.clock = clock
        self.work = self.worker("webhook")
        with database.write() as connection:
            seed_taxonomy(connection)

    def worker(self, *names: str, **rules: Any) -> HandoverWork:
        """What works with these destinations alone."""
        facts: dict[str, Any] = dict(rules)
        if "salesforce" in names:
            facts["salesforce"] = SalesforceSettings(
                url=self.org.url, client_id=salesforce.CLIENT_ID, client_secret=salesforce.CLIENT_SECRET
            )
        if "hubspot" in names:
            facts["hubspot"] = HubSpotSettings(base_url=self.portal.url, token=hubspot.TOKEN)
        if "webhook" in names:
            hook = {"name": "hook", "url": self.receiver.url, "secret": webhook_receiver.SECRET, "allow_private": True}
            facts["webhooks"] = (WebhookSettings(**hook),)
        settings = Settings(home=self.home, handover=HandoverSettings(**facts))
        return HandoverWork(self.database, Handovers(settings, find_sensitive, clock=self.clock))

    def begin(self, *names: str, **rules: Any) -> HandoverWork:
        """The destinations become known now: calls that change later go there."""
        self.work = self.worker(*names, **rules)
        assert tend(self.work) == 0
        return self.work

    def tend(self, seconds: float = 1) -> int:
        """A round, after so much time."""
        self.clock.now += timedelta(seconds=seconds)
        return tend(self.work)

    def seed(self, **facts: Any) -> UUID:
        """A call that is done now."""
        self.clock.now += timedelta(seconds=1)
        with self.database.write() as connection:
            return seed_call(connection, modified_at=self.clock.now, **facts)

    def change(self, call_id: UUID, **changes: Any) -> None:
        """A person corrects the call now."""
        self.clock.now += timedelta(seconds=1)
        with self.database.write() as connection:
            revision = revision_of(connection, call_id)
            correct(connection, OPERATOR, call_id, revision, Changes(**changes), now=self.clock.now)

    def approve(self, call_id: UUID) -> None:
        """A person approves the summary now."""
        self.clock.now += timedelta(seconds=1)
        with self.database.write() as connection:
            approve(connection, OPERATOR, call_id, revision_of(connection, call_id), now=self.clock.now)

    def state(self, call_id: UUID, destination: str) -> State | None:
        """Where the hand-over stands."""
        with self.database.read() as connection:
            return {one.destination: one.state for one in standings(connection, OPERATOR, call_id)}[destination]

    def destination(self, name: str) -> dict[str, Any]:
        """What is told of a destination."""
        with self.database.read() as connection:
            return {one["name"]: one for one in destinations_document(connection)}[name]

    def sent_records(self) -> int:
        """How many records came to the org, each time counted."""
        return sum(len(batch) for batch in self.org.batches)


@pytest.fixture
def centre(any_database: Database, tmp_path: Path) -> Iterator[Centre]:
    clock = Clock(NOW)
    with SalesforceServer() as org, HubSpotServer() as portal, WebhookReceiver(clock) as receiver:
        yield Centre(any_database, tmp_path, org, portal, receiver, clock)


def test_a_call_that_is_done_goes_everywhere_once(centre):
    centre.begin("salesforce", "hubspot", "webhook")
    call_ids = [centre.seed() for _ in range(3)]
    assert centre.tend() == 9
    for _ in range(3):
        assert centre.tend(100) == 0
    assert sorted(centre.org.org.tasks) == sorted(str(one) for one in call_ids)
    assert sorted(centre.portal.portal.calls) == sorted(str(one) for one in call_ids)
    assert len(centre.receiver.came) == 3
    assert centre.sent_records() == 3
    with centre.database.read() as connection:
        known = linked(connection, Entity.CALL, call_ids, "salesforce")
    assert {str(key): one.object_id for key, one in known.items()} == {
        key: task["Id"] for key, task in centre.org.org.tasks.items()
    }


def test_a_corrected_call_is_sent_again_as_the_same_task(centre):
    centre.begin("salesforce", "webhook")
    call_id = centre.seed()
    centre.tend()
    first = dict(centre.org.org.tasks[str(call_id)])
    centre.change(call_id, headline="The dishwasher came")
    assert centre.tend() == 2
    task = centre.org.org.tasks[str(call_id)]
    assert (task["Id"], task["Subject"]) == (first["Id"], "The dishwasher came")
    assert centre.org.org.created_count == 1
    assert [one["type"] for one in centre.receiver.taken.values()] == ["call.completed", "call.updated"]
    assert [one["data"]["revision"] for one in centre.receiver.taken.values()] == [1, 2]


def test_what_changed_nothing_of_what_was_sent_is_not_sent_again(centre):
    centre.begin("salesforce")
    call_id = centre.seed()
    centre.tend()
    centre.clock.now += timedelta(seconds=5)
    with centre.database.write() as connection:
        connection.execute(sa.update(call).where(call.c.id == call_id).values(modified_at=centre.clock.now))
    assert centre.tend() == 0
    assert centre.sent_records() == 1
    assert centre.state(call_id, "salesforce") is State.SENT


def test_nothing_goes_that_is_not_done_or_made_up_or_from_before(centre):
    old = centre.seed()
    centre.begin("salesforce")
    centre.seed(is_sample=True)
    centre.seed(stage="understood")
    demo = centre.seed(analysis={"is_demo": True})
    with centre.database.write() as connection:
        seed_failed_call(connection, modified_at=centre.clock.now)
    assert centre.tend() == 0
    assert centre.org.batches == []
    assert centre.state(demo, "salesforce") is State.LEFT
    assert centre.state(old, "salesforce") is None


def test_what_a_person_asks_for_goes_whatever_it_is_from(centre):
    old = centre.seed(analysis={"is_demo": True})
    centre.begin("salesforce")
    with centre.database.write() as connection:
        ask_for(connection, OPERATOR, old, "salesforce", Rules(), now=centre.clock.now)
    assert centre.tend() == 1
    assert str(old) in centre.org.org.tasks
    # Somebody deleted it there, and wants it back: the same goes once more.
    centre.org.org.tasks.clear()
    with centre.database.write() as connection:
        ask_for(connection, OPERATOR, old, "salesforce", Rules(), now=centre.clock.now)
    assert centre.tend() == 1
    assert str(old) in centre.org.org.tasks


def test_old_calls_go_when_somebody_queues_them(centre):
    old = [centre.seed() for _ in range(3)]
    centre.begin("salesforce")
    with centre.database.write() as connection:
        since = NOW - timedelta(days=1)
        rules = Rules()
        count, after = handover_queue.queue_since(
            connection, "salesforce", since, rules, now=centre.clock.now, after=None
        )
        assert (count, after) == (3, None)
        assert handover_queue.queue_since(connection, "salesforce", since, rules, now=centre.clock.now, after=None) == (
            0,
            None,
        )
    assert centre.tend() == 3
    assert len(centre.org.org.tasks) == len(old)


def test_a_summary_waits_for_its_approval_and_a_later_one_for_its_own(centre):
    centre.begin("salesforce", needs_approval=True)
    call_id = centre.seed()
    assert centre.tend() == 0
    assert centre.state(call_id, "salesforce") is State.HELD
    with centre.database.write() as connection, pytest.raises(NotApproved):
        ask_for(connection, OPERATOR, call_id, "salesforce", Rules(needs_approval=True), now=centre.clock.now)
    centre.approve(call_id)
    assert centre.tend() == 1
    assert centre.state(call_id, "salesforce") is State.SENT
    centre.change(call_id, headline="Somebody changed it")
    assert centre.tend() == 0
    assert centre.state(call_id, "salesforce") is State.HELD
    assert centre.org.org.tasks[str(call_id)]["Subject"] == "Dishwasher has not arrived"
    centre.approve(call_id)
    assert centre.tend() == 1
    assert centre.org.org.tasks[str(call_id)]["Subject"] == "Somebody changed it"


def test_what_is_changed_after_it_was_claimed_does_not_slip_through_without_approval(centre):
    work = centre.begin("salesforce", needs_approval=True)
    call_id = centre.seed()
    centre.approve(call_id)
    claims = _claim_seeded(centre, work)
    centre.change(call_id, headline="Not approved")
    assert deliver(work, work.handovers.places["salesforce"], claims) == 0
    assert centre.org.batches == []
    assert centre.state(call_id, "salesforce") is State.HELD


def _claim_seeded(centre: Centre, work: HandoverWork) -> list[handover_claims.Claim]:
    with centre.database.write() as connection:
        handover_queue.look(connection, "salesforce", work.handovers.rules, now=centre.clock.now)
        claims = handover_claims.claim(connection, "salesforce", now=centre.clock.now, limit=10, lease=LEASE)
    assert len(claims) == 1
    return claims


def test_what_changes_while_it_is_sent_is_sent_again(centre):
    work = centre.begin("salesforce")
    call_id = centre.seed()
    place = work.handovers.places["salesforce"]
    claims = _claim_seeded(centre, work)
    centre.change(call_id, headline="Later")
    with centre.database.write() as connection:
        handover_queue.look(connection, "salesforce", work.handovers.rules, now=centre.clock.now)
        # Nobody else gets it meanwhile.
        assert handover_claims.claim(connection, "salesforce", now=centre.clock.now, limit=10, lease=LEASE) == []
    assert deliver(work, place, claims) == 1
    assert centre.state(call_id, "salesforce") is State.WAITING
    centre.change(call_id, headline="Latest")
    assert centre.tend() == 1
    assert centre.org.org.tasks[str(call_id)]["Subject"] == "Latest"


def test_a_worker_that_dies_after_sending_leaves_one_task(centre):
    work = centre.begin("salesforce", "hubspot")
    call_id = centre.seed()
    for name in ("salesforce", "hubspot"):
        place = work.handovers.places[name]
        with centre.database.write() as connection:
            handover_queue.look(connection, name, work.handovers.rules, now=centre.clock.now)
            claims = handover_claims.claim(connection, name, now=centre.clock.now, limit=10, lease=LEASE)
        deliver(work, place, claims)
        _as_before_the_noting(centre, call_id, name, claims[0])
    assert centre.tend() == 0
    assert centre.tend(LEASE.total_seconds()) == 2
    assert centre.org.org.created_count == 1
    assert centre.portal.portal.created_count == 1
    assert centre.state(call_id, "salesforce") is State.SENT


def _as_before_the_noting(centre: Centre, call_id: UUID, name: str, held: handover_claims.Claim) -> None:
    """The database of a worker that was killed when the other side had taken the call, and before it wrote that."""
    with centre.database.write() as connection:
        connection.execute(sa.delete(crm_link).where(crm_link.c.crm_system == name))
        connection.execute(
            sa.update(handover)
            .where(handover.c.call_id == call_id, handover.c.destination == name)
            .values(
                state=State.WAITING,
                attempt_count=held.attempt,
                token=held.token,
                due_at=centre.clock.now + LEASE,
                sent_at=None,
                sent_revision=None,
            )
        )


def test_a_result_that_comes_after_the_lease_is_not_kept(centre):
    work = centre.begin("salesforce")
    call_id = centre.seed()
    late = _claim_seeded(centre, work)
    centre.clock.now += LEASE
    assert centre.tend() == 1
    with centre.database.write() as connection:
        assert not handover_claims.note_sent(connection, late[0], "00Tlate", "hash", 1, now=centre.clock.now)
        handover_claims.note_failed(connection, late[0], "late", "", is_final=True, now=centre.clock.now)
    assert centre.state(call_id, "salesforce") is State.SENT


def test_many_workers_send_each_call_once(centre):
    centre.begin("webhook")
    for _ in range(20):
        centre.seed(said=None, transcript=None)
    workers = [threading.Thread(target=tend, args=(centre.worker("webhook"),)) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    centre.tend()
    assert len(centre.receiver.came) == 20
    assert len(centre.receiver.taken) == 20


def test_what_people_change_while_workers_send_arrives_at_last(centre):
    """Three workers and a person at once, by the real clock: nobody waits for ever, and the last word is the CRM's."""
    centre.clock = lambda: datetime.now(UTC)
    centre.begin("salesforce")
    with centre.database.write() as connection:
        now = centre.clock()
        call_ids = [seed_call(connection, modified_at=now, said=None, transcript=None) for _ in range(4)]
    broken: list[BaseException] = []
    is_over = threading.Event()

    def work() -> None:
        worker = centre.worker("salesforce")
        try:
            while not is_over.is_set():
                tend(worker)
        except BaseException as error:  # noqa: BLE001 - whatever a thread meets, the test has to know
            broken.append(error)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for one in workers:
        one.start()
    try:
        for number in range(5):
            for call_id in call_ids:
                with centre.database.write() as connection:
                    changes = Changes(headline=f"Change {number}")
                    revision = revision_of(connection, call_id)
                    correct(connection, OPERATOR, call_id, revision, changes, now=centre.clock())
    finally:
        is_over.set()
        for one in workers:
            one.join()
    assert broken == []
    tend(centre.work)
    assert {task["Subject"] for task in centre.org.org.tasks.values()} == {"Change 4"}
    assert centre.org.org.created_count == len(call_ids)
    assert {centre.state(one, "salesforce") for one in call_ids} == {State.SENT}


def test_a_failure_is_tried_again_in_half_a_minute_two_ten_and_sixty(centre):
    centre.begin("webhook")
    call_id = centre.seed()
    centre.receiver.trouble(*[webhook_receiver.Trouble(500)] * 5)
    came = []
    for seconds in (1, 28, 2, 118, 2, 598, 2, 3598, 2):
        centre.tend(seconds)
        came.append(len(centre.receiver.came))
    assert came == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert centre.state(call_id, "hook") is State.FAILED
    assert centre.tend(100_000) == 0
    with centre.database.read() as connection:
        [failed] = failed_handovers(connection)
    assert (failed.call_id, failed.code) == (call_id, "http_500")
    with centre.database.write() as connection:
        assert resume(connection, OPERATOR, "hook", now=centre.clock.now) == 1
    assert centre.tend() == 1
    assert len(set(centre.receiver.came)) == 1


def test_ten_failures_in_a_row_pause_a_destination_until_somebody_lets_it_go_on(centre):
    centre.begin("webhook", "salesforce")
    for _ in range(14):
        centre.seed(said=None, transcript=None)
    centre.receiver.trouble(*[webhook_receiver.Trouble(503)] * 10)
    centre.tend()
    assert len(centre.receiver.came) == 10
    assert centre.destination("hook")["is_paused"]
    centre.tend(10_000)
    assert len(centre.receiver.came) == 10
    # Nobody else is kept back.
    assert len(centre.org.org.tasks) == 14
    assert not centre.destination("salesforce")["is_paused"]
    with centre.database.write() as connection:
        resume(connection, OPERATOR, "hook", now=centre.clock.now)
    assert centre.tend() == 14


def test_a_success_between_failures_keeps_a_destination_open(centre):
    centre.begin("webhook")
    for _ in range(19):
        centre.seed(said=None, transcript=None)
    nine = [webhook_receiver.Trouble(500)] * 9
    centre.receiver.trouble(*nine, webhook_receiver.Trouble(204), *nine)
    centre.tend()
    assert len(centre.receiver.came) == 19
    assert not centre.destination("hook")["is_paused"]


def test_a_limit_is_waited_for_and_counts_as_no_attempt(centre):
    centre.begin("hubspot")
    call_id = centre.seed()
    for _ in range(12):
        centre.portal.trouble(hubspot.limit_reached(40))
        centre.tend(41)
    assert not centre.destination("hubspot")["is_paused"]
    asked = len(centre.portal.asked)
    assert centre.tend(20) == 0
    assert len(centre.portal.asked) == asked
    assert centre.tend(21) == 1
    assert centre.state(call_id, "hubspot") is State.SENT


def test_a_wrong_set_up_costs_no_call_an_attempt_and_pauses_at_last(centre):
    work = centre.worker("salesforce")
    centre.begin("salesforce")
    call_id = centre.seed()
    centre.org.end_sessions()
    wrong = centre.worker("salesforce")
    settings = wrong.handovers.settings
    other = settings.handover.salesforce.model_copy(update={"client_id": "another"})
    wrong = HandoverWork(
        centre.database,
        Handovers(
            settings.model_copy(update={"handover": settings.handover.model_copy(update={"salesforce": other})}),
            find_sensitive,
            clock=centre.clock,
        ),
    )
    centre.work = wrong
    for _ in range(12):
        centre.tend(61)
    told = centre.destination("salesforce")
    assert (told["is_paused"], told["last_code"]) == (True, "wrong_credentials")
    assert told["failure_count"] == 10
    centre.work = work
    with centre.database.write() as connection:
        assert resume(connection, OPERATOR, "salesforce", now=centre.clock.now) == 0
    assert centre.tend(61) == 1
    assert centre.state(call_id, "salesforce") is State.SENT


def test_people_are_found_there_once_and_looked_for_again_when_they_are_gone(centre):
    centre.begin("salesforce")
    centre.org.org.contacts.append(("003A", "001A", "5550100"))
    centre.org.org.users.append(("005U", "andrew@example.org"))
    first = centre.seed(contact_number="+15550100")
    with centre.database.write() as connection:
        connection.execute(sa.update(agent).values(email="andrew@example.org"))
    centre.tend()
    task = centre.org.org.tasks[str(first)]
    assert (task["WhoId"], task["OwnerId"]) == ("003A", "005U")
    second = centre.seed(contact_number="+15550100")
    centre.tend()
    assert centre.org.org.tasks[str(second)]["WhoId"] == "003A"
    searches = [path for _, path in centre.org.asked if path.endswith(("parameterizedSearch/", "query/"))]
    assert len(searches) == 2
    centre.org.org.contacts[:] = [("003B", "001A", "5550100")]
    third = centre.seed(contact_number="+15550100")
    assert centre.tend() == 0
    assert centre.tend(31) == 1
    assert centre.org.org.tasks[str(third)]["WhoId"] == "003B"


def test_a_call_whose_words_are_deleted_while_it_waits_is_not_sent(centre):
    centre.begin("webhook")
    centre.receiver.trouble(webhook_receiver.Trouble(500))
    call_id = centre.seed()
    centre.tend()
    with centre.database.write() as connection:
        connection.execute(sa.update(transcript).values(recording_id=None))
    centre.tend(3600)
    assert (len(centre.receiver.came), centre.receiver.taken) == (1, {})
    assert centre.state(call_id, "hook") is State.LEFT


def test_a_call_of_another_customer_is_not_filed_with_whoever_called(centre):
    centre.begin("salesforce")
    centre.org.org.contacts += [("003A", "001A", "5550100"), ("003B", "001B", "5550177")]
    corrected = centre.seed(contact_number="+15550100")
    centre.change(corrected, customer="+15550177")
    theirs = centre.seed(contact_number="+15550177", from_number_e164="+15550177")
    centre.tend()
    assert [centre.org.org.tasks[str(one)]["WhoId"] for one in (corrected, theirs)] == ["003B", "003B"]


def test_a_call_that_is_refused_is_a_persons_matter_and_the_others_go(centre, capsys):
    centre.begin("salesforce", "webhook", unredacted=True)
    said = {"headline": "planted-headline", "summary": "planted-summary"}
    good = [centre.seed(analysis=said), centre.seed(analysis=said)]
    bad = centre.seed(direction="internal", analysis=said, customer_name="planted-name")
    centre.receiver.trouble(webhook_receiver.Trouble(500))
    # As an org whose owner took that value out of the list.
    salesforce._PICKLISTS["CallType"].discard("Internal")
    try:
        assert centre.tend() == 4
    finally:
        salesforce._PICKLISTS["CallType"].add("Internal")
    assert centre.state(bad, "salesforce") is State.FAILED
    assert {centre.state(one, "salesforce") for one in good} == {State.SENT}
    with centre.database.read() as connection:
        [failed] = failed_handovers(connection)
        kept = [str(row) for table in (handover, crm_link) for row in connection.execute(sa.select(table))]
    assert (failed.code, failed.detail) == ("invalid_or_null_for_restricted_picklist", "CallType")
    # Neither what is kept nor what is logged holds a word of a call, a number or a secret.
    told = capsys.readouterr().out + "".join(kept)
    assert "handover_refused" in told
    for planted in ("planted", "+15550100", CARD, webhook_receiver.SECRET):
        assert planted not in told


@pytest.mark.parametrize("unredacted", [False, True])
def test_a_crm_reads_marks_unless_the_owner_says_otherwise_and_knows_its_customer_by_number(centre, unredacted):
    centre.begin("salesforce", "hubspot", "webhook", unredacted=unredacted)
    call_id = centre.seed(
        analysis={
            "headline": f"Paid by {CARD}",
            "summary": f"The card is {CARD}.",
            "next_steps": [{"text": f"Charge {CARD}", "owner": "agent", "due_on": None}],
            "answers": {"card": CARD},
        }
    )
    centre.tend()
    told = [
        str(centre.org.org.tasks[str(call_id)]),
        str(centre.portal.portal.calls[str(call_id)]),
        str(list(centre.receiver.taken.values())),
    ]
    for one in told:
        assert (CARD in one) is unredacted
        assert ("[CARD]" in one) is not unredacted
    assert centre.portal.portal.calls[str(call_id)]["hs_call_from_number"] == "+15550100"


def test_a_round_reads_what_changed_and_not_all_calls(database, tmp_path):
    asked: list[tuple[str, Any]] = []
    with WebhookReceiver(Clock(NOW)) as receiver:
        centre = Centre(database, tmp_path, None, None, receiver, Clock(NOW))
        centre.begin("webhook", needs_approval=True)
        centre.approve(centre.seed())

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        sa.event.listen(database.engine, "before_cursor_execute", note)
        assert centre.tend() == 1
        sa.event.remove(database.engine, "before_cursor_execute", note)
    plans = []
    with database.read() as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans += [row.detail for row in rows]
    assert any("ix_call_modified_at (modified_at>?)" in plan for plan in plans)
    grows = ("call", "call_analysis", "transcript", "review", "handover", "crm_link", "contact")
    assert [plan for plan in plans if plan.startswith(tuple(f"SCAN {name}" for name in grows))] == []
    # One value of a few: half of all calls, or all approvals.
    assert [plan for plan in plans if plan.endswith(("(stage=?)", "(field=?)"))] == []


def test_no_transaction_is_open_while_a_server_works(centre):
    centre.begin("webhook")
    call_id = centre.seed()
    came: list[datetime] = []

    class Writing(WebhookReceiver):
        def answer(self, headers: dict[str, str], body: bytes) -> webhook_receiver.Trouble:
            # A lock that the sender holds would let this one wait until it is told that it cannot.
            with centre.database.write() as connection:
                connection.execute(sa.update(call).where(call.c.id == call_id).values(subject="written meanwhile"))
            came.append(centre.clock.now)
            return super().answer(headers, body)

    with Writing(centre.clock) as receiver:
        centre.receiver = receiver
        centre.work = centre.worker("webhook")
        assert centre.tend() == 1
    assert len(came) == 1
