"""Hands calls over: what changed is found, claimed, mapped and sent, and what came of it is kept.

No transaction is open while somebody else's server works. A worker that dies between sending and noting sends the same
once more, which makes no second one there: CRMs know the call by our id of it, a webhook's receiver the message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

import structlog

from calls.errors import SetupBroken, TransientError
from calls.handover import WORDS_GONE, State, first_state, payload_hash
from crm import handover_claims, handover_queue
from crm.calls import NoSuchCall
from crm.crm_links import Entity, link, unlink
from crm.database import Database
from crm.erased import what_is_gone
from crm.handover import Handed, call_link, handed_call, ids_in
from crm.handover_claims import Claim
from crm.reviews import NotUnderstood
from engines.handover import Outgoing, Person, Refused, Sent
from runtime.handover import Handovers, Place

log = structlog.get_logger()

LEASE = timedelta(minutes=5)
# How long a set-up that a person has to mend is left alone before it is tried once more.
MENDING_S = 60.0
# A round ends after so long: the next one looks for what changed meanwhile.
ROUND_S = 30.0
# Looked for at once: more are found by the next round.
LOOKS = 20


@dataclass(frozen=True)
class HandoverWork:
    """What the hand-over works with."""

    database: Database
    handovers: Handovers

    def now(self) -> datetime:
        """The moment, by the clock of the hand-overs."""
        return self.handovers.clock()


@dataclass(frozen=True)
class _Ready:
    """One claimed call, as it is to be sent."""

    claim: Claim
    handed: Handed
    outgoing: Outgoing
    is_known: bool


def tend(work: HandoverWork) -> int:
    """Find what is to be handed over, and hand it over as far as a round goes; returns how many calls were sent."""
    places = work.handovers.places
    if not places:
        return 0
    now = work.now()
    with work.database.write() as connection:
        kinds = [(place.name, place.kind) for place in places.values()]
        handover_queue.know_destinations(connection, kinds, now=now)
    sent = 0
    for place in places.values():
        _look(work, place)
        begun = monotonic()
        while monotonic() - begun < ROUND_S:
            with work.database.write() as connection:
                claims = handover_claims.claim(
                    connection, place.name, now=work.now(), limit=place.engine.batch_size, lease=LEASE
                )
            if not claims:
                break
            sent += deliver(work, place, claims)
    return sent


def _look(work: HandoverWork, place: Place) -> None:
    for _ in range(LOOKS):
        with work.database.write() as connection:
            found = handover_queue.look(connection, place.name, work.handovers.rules, now=work.now())
        if found < handover_queue.CALLS_AT_ONCE:
            return


def deliver(work: HandoverWork, place: Place, claims: Sequence[Claim]) -> int:
    """Send these claimed calls; returns how many are there by it."""
    try:
        ready = _prepare(work, place, _read(work, claims))
        fresh = [one for one in ready if not one.is_known]
        results = place.engine.send([one.outgoing for one in fresh]) if fresh else []
    except TransientError as error:
        _note_trouble(work, place, claims, error)
        return 0
    _keep(work, place, ready, fresh, results)
    return sum(isinstance(result, Sent) for result in results)


def _read(work: HandoverWork, claims: Sequence[Claim]) -> list[tuple[Claim, Handed]]:
    """The claimed calls that are to go by what is known now; of the others it is noted why they do not."""
    found: list[tuple[Claim, Handed]] = []
    others: list[tuple[Claim, tuple[State, str] | None]] = []
    handovers = work.handovers
    with work.database.read() as connection:
        for one in claims:
            try:
                handed = handed_call(
                    connection,
                    handovers.viewer,
                    one.call_id,
                    find=handovers.find,
                    page_url=handovers.page_url(one.call_id),
                    to_crm=True,
                )
            except (NoSuchCall, NotUnderstood):
                others.append((one, None))
                continue
            told = first_state(
                stage=handed.stage,
                is_sample=handed.is_sample,
                # What a person asked for was seen by one.
                is_demo=handed.is_demo and not one.asked_by,
                is_approved=handed.is_approved,
                rules=handovers.rules,
            )
            if what_is_gone(connection, one.call_id):
                # Their time was over while it waited: a CRM keeps the summary that it has.
                told = State.LEFT, WORDS_GONE
            if told is None or told[0] is not State.WAITING:
                others.append((one, told))
            else:
                found.append((one, handed))
    if others:
        with work.database.write() as connection:
            for one, told in others:
                if told is None:
                    handover_claims.note_gone(connection, one)
                else:
                    handover_claims.note_other_state(connection, one, *told)
    return found


def _prepare(work: HandoverWork, place: Place, calls: Sequence[tuple[Claim, Handed]]) -> list[_Ready]:
    """The calls as they are sent; who is not known there yet is looked for."""
    _find_people(work, place, [handed for _, handed in calls])
    ready = []
    with work.database.read() as connection:
        for held, handed in calls:
            ids = ids_in(connection, handed, place.name)
            payload = work.handovers.payload(place.kind, handed.call, ids)
            told = payload_hash(payload.fields)
            known = call_link(connection, handed.call.id, place.name)
            outgoing = Outgoing(
                key=str(handed.call.id),
                payload=payload,
                payload_sha256=told,
                revision=handed.call.revision,
                object_id=known.object_id if known else "",
                contact_id=ids.contact,
            )
            ready.append(_Ready(held, handed, outgoing, is_known=known is not None and known.payload_sha256 == told))
    return ready


def _find_people(work: HandoverWork, place: Place, calls: Sequence[Handed]) -> None:
    contacts: dict[UUID, str] = {}
    agents: dict[UUID, str] = {}
    with work.database.read() as connection:
        for handed in calls:
            ids = ids_in(connection, handed, place.name)
            number, email = handed.contact_number, handed.call.agent_email
            if handed.contact_id and number and not ids.contact:
                contacts[handed.contact_id] = number
            if handed.agent_id and email and not ids.owner:
                agents[handed.agent_id] = email
    found: list[tuple[Entity, UUID, Person]] = []
    for contact_id, number in contacts.items():
        person = place.engine.find_contact(number)
        if person is not None:
            found.append((Entity.CONTACT, contact_id, person))
    for agent_id, email in agents.items():
        owner = place.engine.find_owner(email)
        if owner is not None:
            found.append((Entity.AGENT, agent_id, Person(owner)))
    if found:
        with work.database.write() as connection:
            for kind, row_id, person in found:
                link(
                    connection,
                    kind,
                    row_id,
                    place.name,
                    person.object_id,
                    account_id=person.account_id,
                    now=work.now(),
                )


def _keep(
    work: HandoverWork,
    place: Place,
    ready: Sequence[_Ready],
    fresh: Sequence[_Ready],
    results: Sequence[Sent | Refused],
) -> None:
    now = work.now()
    refused = [(one, result) for one, result in zip(fresh, results, strict=True) if isinstance(result, Refused)]
    with work.database.write() as connection:
        handover_claims.lock_destination(connection, place.name)
        for one in ready:
            if one.is_known:
                handover_claims.note_unchanged(connection, one.claim, one.outgoing.revision, now=now)
        for one, told in refused:
            if told.is_stale:
                # Who is not there any more is looked for again.
                for kind, row_id in ((Entity.CONTACT, one.handed.contact_id), (Entity.AGENT, one.handed.agent_id)):
                    if row_id is not None:
                        unlink(connection, kind, row_id, place.name)
            is_final = not (told.again or told.is_stale)
            handover_claims.note_failed(connection, one.claim, told.code, told.detail, is_final=is_final, now=now)
        for one, result in zip(fresh, results, strict=True):
            if isinstance(result, Sent):
                handover_claims.note_sent(
                    connection,
                    one.claim,
                    result.object_id,
                    one.outgoing.payload_sha256,
                    one.outgoing.revision,
                    now=now,
                )
        if refused and len(refused) == len(fresh):
            first = refused[0][1]
            handover_claims.count_failure(connection, place.name, first.code, first.detail, now=now)
    for one, told in refused:
        log.warning("handover_refused", call_id=str(one.claim.call_id), destination=place.name, code=told.code)


def _note_trouble(work: HandoverWork, place: Place, claims: Sequence[Claim], error: TransientError) -> None:
    """Nothing was taken, for a reason that has nothing to do with these calls."""
    now = work.now()
    is_set_up_wrong = isinstance(error, SetupBroken)
    with work.database.write() as connection:
        handover_claims.lock_destination(connection, place.name)
        if is_set_up_wrong or error.code == "rate_limited":
            wait_s = error.retry_after_s or MENDING_S
            not_before = now + timedelta(seconds=wait_s)
            handover_claims.put_back(connection, claims, error.code, error.detail, not_before=not_before)
        else:
            for one in claims:
                handover_claims.note_failed(connection, one, error.code, error.detail, is_final=False, now=now)
        is_paused = error.code != "rate_limited" and handover_claims.count_failure(
            connection, place.name, error.code, error.detail, pauses=error.code == "destination_gone", now=now
        )
    log.warning("handover_postponed", destination=place.name, code=error.code, calls=len(claims), is_paused=is_paused)
