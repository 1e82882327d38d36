"""Questions about one call or a filtered set of calls, answered from the calls alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import sqlalchemy as sa

from analytics.asked_sql import Counted, counts_by, described_tables, run_query, unheeded
from analytics.asked_words import RefusedQuery
from calls import asking
from calls.asking import NO_CONTEXT, Passage, Reply, Statement
from calls.money import Charge
from calls.pipeline import Lane
from calls.redaction import SensitiveFinder, redact_turns
from calls.search_terms import Terms
from crm.access import EVERYBODYS, Permission, Viewer
from crm.call_filters import CallFilter, WrongQuery
from crm.calls import list_calls, see_call
from crm.database import Database
from crm.money import note_charge
from crm.search import best_matching
from crm.search_shown import conversations
from crm.tables import call

if TYPE_CHECKING:
    from engines.language_requests import Requests
    from runtime.wiring import Wiring

# Of so many calls parts are read for one question; of one call alone, as much as fits.
CALLS_READ = 8
_ROOM = 12_000
_ROOM_OF_ONE = 60_000
_MAX_OUTPUT_TOKENS = 900
KIND = "ask"
_COUNTED_BY_RULE = (
    "Without a language model calls are counted by reason, queue, team, agent, outcome, day, week or month alone:"
    " which calls, the filters of the list say."
)


class WrongQuestion(WrongQuery):
    """A question that cannot be put: empty or too long."""

    code = "wrong_question"


class Answerer(Protocol):
    """Says what passages answer. `name` is "engine/model"; `is_extractive` says that it quotes and writes nothing."""

    name: str
    is_extractive: bool

    def reply(
        self, question: str, terms: Terms, passages: Sequence[Passage], tables: str, pay: Callable[[Charge], None]
    ) -> tuple[tuple[Statement, ...], str]:
        """The statements that stand, and a query ("" for none), which nobody has checked.

        Raises what the requests raise (engines.language_requests), and UnusableReply.
        """


@dataclass(frozen=True)
class Asked:
    """A question with what the calls say to it; without a statement and a count, `text` is NO_CONTEXT.

    `call_ids` are the calls that were read for it. `notes` say what was left out, as sentences.
    """

    question: str
    text: str
    statements: tuple[Statement, ...]
    counted: Counted | None
    call_ids: tuple[UUID, ...]
    answered_by: str
    is_extractive: bool
    notes: tuple[str, ...] = ()


class ModelAnswerer:
    """A language model behind the deployments of the settings, paced and paid for as all its questions are."""

    is_extractive = False

    def __init__(self, requests: "Requests") -> None:
        self.name = requests.name
        self._requests = requests

    def reply(
        self, question: str, terms: Terms, passages: Sequence[Passage], tables: str, pay: Callable[[Charge], None]
    ) -> tuple[tuple[Statement, ...], str]:
        """See Answerer; what is cut off or refused is no answer."""
        answer = self._requests.ask(
            asking.system_prompt(tables),
            [{"role": "user", "content": asking.user_prompt(question, passages)}],
            asking.reply_schema(),
            _MAX_OUTPUT_TOKENS,
            lane=Lane.LIVE,
            kind=KIND,
        )
        pay(replace(self._requests.charge(answer), purpose=KIND))
        given = asking.read_reply(answer.text) if answer.ending == "whole" else Reply()
        return asking.supported(given, passages), given.sql if tables else ""


class OfflineAnswerer:
    """Without a model: turns that have the words of the question, and counts by rule."""

    name = "offline/extracts"
    is_extractive = True

    def reply(
        self, question: str, terms: Terms, passages: Sequence[Passage], tables: str, pay: Callable[[Charge], None]
    ) -> tuple[tuple[Statement, ...], str]:
        """See Answerer."""
        sql = counts_by(question) if tables else ""
        return () if sql else asking.extracts(terms, passages), sql


def ask(
    wiring: "Wiring",
    viewer: Viewer,
    question: str,
    *,
    call_id: UUID | None = None,
    wanted: CallFilter | None = None,
    now: datetime,
    answerer: Answerer | None = None,
) -> Asked:
    """What the call, or the calls of the filter, say to the question; no transaction is open while a model thinks.

    Raises WrongQuestion, NotAllowed, NoSuchCall, BudgetSpent, and what an engine raises.
    """
    viewer.require(Permission.ASK, Permission.READ_CALLS)
    question = " ".join(question.split())
    if not question or len(question) > asking.QUESTION_LENGTH:
        raise WrongQuestion(f"a question has 1 to {asking.QUESTION_LENGTH} characters")
    by = answerer or answerer_of(wiring)
    terms = asking.words_asked_for(question)
    chosen = wanted or CallFilter()
    with wiring.database.read() as connection:
        passages = _passages(connection, viewer, terms, call_id or chosen, wiring.redaction)
    notes = []
    tables = ""
    if call_id is None and asking.asks_for_numbers(question):
        if viewer.role in EVERYBODYS and viewer.may(Permission.SEE_TRENDS):
            tables = described_tables()
        else:
            notes.append("Calls are counted for those alone who may see all of them.")
    statements: tuple[Statement, ...] = ()
    sql = ""
    if passages or tables:
        if not by.is_extractive:
            wiring.budgets.require("language", Lane.LIVE)
        statements, sql = by.reply(question, terms, passages, tables, _payer(wiring.database, call_id, now))
        if tables and by.is_extractive and not sql:
            notes.append(_COUNTED_BY_RULE)
    counted = _count(wiring.database, sql, chosen, notes) if tables and sql else None
    is_answered = bool(statements) or counted is not None
    return Asked(
        question=question,
        text="" if is_answered else NO_CONTEXT,
        statements=statements,
        counted=counted,
        call_ids=tuple(passage.call_id for passage in passages),
        answered_by=by.name,
        is_extractive=by.is_extractive,
        notes=tuple(notes),
    )


def answerer_of(wiring: "Wiring") -> Answerer:
    """The first tier of the language engine that the settings choose; without one, what quotes and counts by rule."""
    from runtime.choice import choose_language
    from runtime.deployments import tiers_of

    chosen = choose_language(wiring.settings, lambda: wiring.meters)
    if chosen.name == "offline":
        return OfflineAnswerer()
    return ModelAnswerer(tiers_of(wiring.settings, chosen.name, wiring.meters)[0])


def _passages(
    connection: sa.Connection,
    viewer: Viewer,
    terms: Terms,
    about: UUID | CallFilter,
    find: SensitiveFinder,
) -> list[Passage]:
    """Parts of the calls, as they may leave: marks stand where something must not, whoever asks."""
    if isinstance(about, UUID):
        see_call(connection, viewer, about)
        ids = [about]
    else:
        ids = best_matching(connection, viewer, terms, about, limit=CALLS_READ, find=find)
        if not ids and not terms.runs:
            ids = [line.id for line in list_calls(connection, viewer, about, limit=CALLS_READ).calls]
    said = conversations(connection, ids)
    happened = sa.select(call.c.id, call.c.happened_at).where(call.c.id.in_(ids))
    days = {row.id: row.happened_at.date().isoformat() for row in connection.execute(happened)} if ids else {}
    room = _ROOM_OF_ONE if isinstance(about, UUID) else _ROOM // max(1, len(ids))
    found = [
        asking.passage_of(one, days[one], redact_turns(said[one], find), terms, room=room) for one in ids if one in said
    ]
    return [passage for passage in found if passage.turns]


def _count(database: Database, sql: str, wanted: CallFilter, notes: list[str]) -> Counted | None:
    try:
        counted = run_query(database, sql, wanted)
    except RefusedQuery as error:
        notes.append(f"The query was not run: {error}.")
        return None
    left_out = unheeded(wanted)
    if left_out:
        notes.append(f"The count does not heed these filters: {', '.join(left_out)}.")
    return counted


def _payer(database: Database, call_id: UUID | None, now: datetime) -> Callable[[Charge], None]:
    def pay(charge: Charge) -> None:
        with database.write() as connection:
            note_charge(connection, call_id, charge, now=now)

    return pay
