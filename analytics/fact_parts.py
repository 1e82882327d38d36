"""The parts of many calls at once: whole numbers, calculated column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analytics.parts import PART_NAMES
from calls.analysis import Outcome
from calls.pipeline import Stage
from calls.reasons import INSUFFICIENT

# What was read of some calls (facts.py): the values of each column, by its name.
Columns = Mapping[str, Sequence[Any]]

_COLUMN = {name: n for n, name in enumerate(PART_NAMES)}


@dataclass(frozen=True)
class ReasonKey:
    """What a fact needs to know of its reason."""

    key: int
    is_sales: bool


def parts_of(
    calls: Columns,
    is_handled: Sequence[bool],
    reasons: Sequence[ReasonKey | None],
    agreed: Sequence[Mapping[str, int]],
) -> Any:
    """The parts of each call as one row of an array, in the order of PART_NAMES.

    `agreed` are the parts that reviews give. Repeat parts are 0.
    """
    parts = _Parts(calls, is_handled)
    parts.put(
        True,
        call_count=1,
        skipped_count=parts.are("stage", Stage.SKIPPED),
        failed_count=parts.are("stage", Stage.FAILED),
        sample_count=parts.flags("is_sample"),
        demo_count=parts.flags("is_demo_speech") | parts.flags("is_demo_language"),
        cost_microusd=parts.of["cost_microusd"],
        unpriced_request_count=parts.of["unpriced_request_count"],
    )
    parts.put(parts.handled, handled_count=1)
    _telephony(parts)
    _speech(parts)
    _understanding(parts, reasons)
    for place, amounts in enumerate(agreed):
        if is_handled[place]:
            for name, amount in amounts.items():
                parts.found[place, _COLUMN[name]] = amount
    return parts.found


class _Parts:
    """What was read, and the parts that are made of them."""

    def __init__(self, calls: Columns, is_handled: Sequence[bool]) -> None:
        self.of = calls
        self.handled = np.array(is_handled, np.bool_)
        self.found = np.zeros((len(is_handled), len(PART_NAMES)), np.int64)

    def put(self, counts: Any, **amounts: Any) -> None:
        """Let these be the parts where `counts` says so; elsewhere they are 0."""
        for name, amount in amounts.items():
            self.found[:, _COLUMN[name]] = np.where(counts, amount, 0)

    def numbers(self, name: str, scale: int = 1) -> tuple[Any, Any]:
        """So many times the numbers of a column, rounded, and which of them are known."""
        values = np.array(self.of[name], np.float64)
        known = ~np.isnan(values)
        return np.rint(np.where(known, values, 0.0) * scale), known & self.handled

    def flags(self, name: str) -> Any:
        """Where the column says yes."""
        return np.array([bool(value) for value in self.of[name]])

    def are(self, name: str, value: str) -> Any:
        """Where the column says this."""
        return np.array([held == value for held in self.of[name]])


def _telephony(parts: _Parts) -> None:
    transferred, known = parts.numbers("is_transferred")
    parts.put(known, transfer_known_count=1, transferred_count=transferred)
    duration, known = parts.numbers("duration_s", 1000)
    hold, hold_known = parts.numbers("hold_time_s", 1000)
    acw, acw_known = parts.numbers("acw_time_s", 1000)
    parts.put(known, handle_time_call_count=1, handle_time_ms=duration + acw, acw_time_ms=acw, hold_time_ms=hold)
    parts.put(known & acw_known, acw_known_count=1)
    parts.put(known & hold_known, hold_known_count=1)


def _speech(parts: _Parts) -> None:
    silence, known = parts.numbers("non_talk_time_s", 1000)
    parts.put(known, non_talk_known_count=1, non_talk_time_ms=silence)
    agent, agent_known = parts.numbers("talk_time_agent_s", 1000)
    customer, customer_known = parts.numbers("talk_time_customer_s", 1000)
    timed = agent_known & customer_known
    parts.put(timed, timed_count=1, talk_time_agent_ms=agent, talk_time_customer_ms=customer)
    parts.put(timed, talk_time_ms=agent + customer, interruption_count=parts.numbers("interruption_count")[0])
    by_agent, agent_known = parts.numbers("interruption_time_agent_s", 1000)
    by_customer, customer_known = parts.numbers("interruption_time_customer_s", 1000)
    known = timed & agent_known & customer_known
    parts.put(known, interruption_time_known_count=1, interruption_time_ms=by_agent + by_customer)
    conversation, known = parts.numbers("conversation_s", 1000)
    known &= timed
    parts.put(known, conversation_known_count=1, conversation_ms=conversation, conversation_talk_agent_ms=agent)
    agent, agent_known = parts.numbers("longest_monologue_agent_s", 1000)
    customer, customer_known = parts.numbers("longest_monologue_customer_s", 1000)
    known = timed & agent_known & customer_known
    parts.put(known, monologue_known_count=1, longest_monologue_agent_ms=agent, longest_monologue_customer_ms=customer)


def _understanding(parts: _Parts, reasons: Sequence[ReasonKey | None]) -> None:
    classified = np.array([reason is not None for reason in reasons]) & ~parts.are("reason_code", INSUFFICIENT)
    sales = np.array([reason is not None and reason.is_sales for reason in reasons])
    parts.put(parts.handled, classified_count=classified, unclassified_count=~classified)
    parts.put(parts.handled & sales, sales_count=1, sale_count=parts.are("outcome", Outcome.SALE))
    resolved, known = parts.numbers("is_resolved")
    parts.put(known, resolution_known_count=1, resolved_count=resolved)
    parts.put(
        parts.handled,
        outcome_known_count=~parts.are("outcome", Outcome.UNKNOWN),
        escalated_count=parts.are("outcome", Outcome.ESCALATED),
        follow_up_count=parts.are("outcome", Outcome.FOLLOW_UP),
    )
    overall, known = parts.numbers("sentiment_customer", 10)
    parts.put(known, sentiment_known_count=1, sentiment_tenths=overall)
    start, start_known = parts.numbers("sentiment_customer_start", 10)
    end, end_known = parts.numbers("sentiment_customer_end", 10)
    parts.put(end_known, sentiment_end_count=1, sentiment_end_tenths=end)
    parts.put(start_known & end_known, sentiment_shift_count=1, sentiment_shift_tenths=end - start)
