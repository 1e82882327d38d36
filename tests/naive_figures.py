"""Figures of calls counted the plain way, straight from the CRM tables: what every other way has to agree with.

Nothing of `analytics` is used but the names of the measures.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from crm.database import Database
from crm.reason_tables import reason_successor, review
from crm.tables import agent, call, call_analysis, paid_request, queue, reason, team, transcript

WEEK = timedelta(days=7)
Call = dict[str, Any]


def read_calls(database: Database) -> list[Call]:
    """Every call that has ended, each with everything that is known of it."""
    with database.read() as connection:
        heard = _by_call(connection, transcript)
        understood = _by_call(connection, call_analysis)
        following = {row.code: row.successor_code for row in connection.execute(sa.select(reason_successor))}
        sales = set(connection.execute(sa.select(reason.c.code).where(reason.c.is_sales)).scalars())
        people = {row.id: row for row in connection.execute(sa.select(agent))}
        names = {row.id: row.name for table in (queue, team) for row in connection.execute(sa.select(table))}
        said: dict[Any, list[Any]] = defaultdict(list)
        for word in connection.execute(sa.select(review).order_by(review.c.reviewed_at, review.c.revision)):
            said[word.call_id, word.field].append(word)
        paid: dict[Any, list[Any]] = defaultdict(list)
        for charge in connection.execute(sa.select(paid_request)):
            paid[charge.call_id].append(charge.cost_microusd)
        found = []
        for row in connection.execute(sa.select(call)):
            if row.stage not in {"done", "skipped", "failed"}:
                continue
            analysis = understood.get(row.id) if row.stage == "done" else None
            person = people.get(row.agent_id)
            found.append(
                {
                    **row._mapping,
                    "heard": heard.get(row.id),
                    "analysis": analysis,
                    "code": following.get(analysis.reason_code, analysis.reason_code) if analysis else None,
                    "is_sales": bool(analysis and analysis.reason_code in sales),
                    "agent": person.display_name if person else "unknown",
                    "team": names.get(person.team_id, "unknown") if person else "unknown",
                    "queue": names.get(row.queue_id, "unknown"),
                    "paid": paid[row.id],
                    "reason_words": said[row.id, "reason"],
                    "outcome_words": said[row.id, "outcome"],
                }
            )
        return found


def _by_call(connection: sa.Connection, table: sa.Table) -> dict[Any, Any]:
    return {row.call_id: row for row in connection.execute(sa.select(table).where(table.c.is_current))}


def grouped(calls: Iterable[Call], key: Callable[[Call], Any]) -> dict[Any, list[Call]]:
    """The calls by key."""
    groups: dict[Any, list[Call]] = defaultdict(list)
    for found in calls:
        groups[key(found)].append(found)
    return groups


def local_day(found: Call, zone: str) -> date:
    """The day of a call at the site."""
    moment: datetime = found["happened_at"]
    return moment.astimezone(ZoneInfo(zone)).date()


def figures(calls: list[Call], of_customer: dict[Any, list[Call]], now: datetime) -> dict[str, float | int | None]:
    """The measures of some calls, by slug: times and moods are rounded as they are stored, then added and divided.

    `of_customer` has every call by its `contact_id`.
    """
    done = [c for c in calls if c["analysis"]]
    with_length = [c for c in done if c["duration_s"] is not None]
    with_hold = [c for c in with_length if c["hold_time_s"] is not None]
    timed = [c for c in done if c["heard"] and c["heard"].talk_time_agent_s is not None]
    heard = [c for c in done if c["heard"] and c["heard"].non_talk_time_s is not None]
    told = [c for c in done if c["is_transferred"] is not None]
    judged = [c for c in done if c["analysis"].is_resolved is not None]
    ended = [c for c in done if c["analysis"].outcome != "unknown"]
    moods = [c["analysis"] for c in done if c["analysis"].sentiment_customer is not None]
    shifts = [
        m for m in (c["analysis"] for c in done) if None not in (m.sentiment_customer_start, m.sentiment_customer_end)
    ]
    classified = [c for c in done if c["code"] not in {None, "insufficient_content"}]
    sales = [c for c in done if c["is_sales"]]
    old_enough = [
        c for c in classified if c["code"] != "other" and c["contact_id"] is not None and c["happened_at"] + WEEK <= now
    ]
    repeated = [c for c in old_enough if _is_repeated(c, of_customer[c["contact_id"]])]
    agent_ms = sum(_ms(c["heard"].talk_time_agent_s) for c in timed)
    customer_ms = sum(_ms(c["heard"].talk_time_customer_s) for c in timed)
    spoke = [c["heard"] for c in timed]
    overlapped = [h for h in spoke if None not in (h.interruption_time_agent_s, h.interruption_time_customer_s)]
    talked = [h for h in spoke if h.conversation_s is not None]
    told_much = [h for h in spoke if None not in (h.longest_monologue_agent_s, h.longest_monologue_customer_s)]
    ends = [c["analysis"].sentiment_customer_end for c in done if c["analysis"].sentiment_customer_end is not None]
    cost = sum(amount for c in calls for amount in c["paid"] if amount is not None)
    return {
        "calls": len(calls),
        "handled": len(done),
        "classified": len(classified),
        "unclassified_share": _ratio(len(done) - len(classified), len(done)),
        "handle_time_s": _ratio(
            sum(_ms(c["duration_s"]) + _ms(c["acw_time_s"] or 0) for c in with_length), len(with_length), 1000
        ),
        "acw_known_share": _ratio(sum(c["acw_time_s"] is not None for c in with_length), len(with_length)),
        "hold_time_s": _ratio(sum(_ms(c["hold_time_s"]) for c in with_hold), len(with_hold), 1000),
        "talk_time_s": _ratio(agent_ms + customer_ms, len(timed), 1000),
        "agent_talk_share": _ratio(
            sum(_ms(h.talk_time_agent_s) for h in talked), sum(_ms(h.conversation_s) for h in talked)
        ),
        "agent_speech_share": _ratio(agent_ms, agent_ms + customer_ms),
        "agent_monologue_s": _ratio(sum(_ms(h.longest_monologue_agent_s) for h in told_much), len(told_much), 1000),
        "customer_monologue_s": _ratio(
            sum(_ms(h.longest_monologue_customer_s) for h in told_much), len(told_much), 1000
        ),
        "non_talk_time_s": _ratio(sum(_ms(c["heard"].non_talk_time_s) for c in heard), len(heard), 1000),
        "interruptions": _ratio(sum(c["heard"].interruption_count or 0 for c in timed), len(timed)),
        "interruption_time_s": _ratio(
            sum(_ms(h.interruption_time_agent_s) + _ms(h.interruption_time_customer_s) for h in overlapped),
            len(overlapped),
            1000,
        ),
        "transfer_rate": _ratio(sum(c["is_transferred"] for c in told), len(told)),
        "resolved_rate": _ratio(sum(c["analysis"].is_resolved for c in judged), len(judged)),
        "escalation_rate": _ratio(sum(c["analysis"].outcome == "escalated" for c in ended), len(ended)),
        "follow_up_rate": _ratio(sum(c["analysis"].outcome == "follow_up" for c in ended), len(ended)),
        "repeat_rate": _ratio(len(repeated), len(old_enough)),
        "first_contact_resolution": _ratio(len(old_enough) - len(repeated), len(old_enough)),
        "sentiment": _ratio(sum(round(m.sentiment_customer * 10) for m in moods), len(moods), 10),
        "sentiment_end": _ratio(sum(round(end * 10) for end in ends), len(ends), 10),
        "sentiment_shift": _ratio(
            sum(round(m.sentiment_customer_end * 10) - round(m.sentiment_customer_start * 10) for m in shifts),
            len(shifts),
            10,
        ),
        "conversion_rate": _ratio(sum(c["analysis"].outcome == "sale" for c in sales), len(sales)),
        "reason_agreement": _agreement(done, "reason_words"),
        "outcome_agreement": _agreement(done, "outcome_words"),
        "cost_microusd": cost,
        "cost_per_call_usd": _ratio(cost, len(calls), 1_000_000),
    }


def _is_repeated(first: Call, of_customer: list[Call]) -> bool:
    return any(
        later["code"] == first["code"]
        and (later["happened_at"], later["id"]) > (first["happened_at"], first["id"])
        and later["happened_at"] < first["happened_at"] + WEEK
        for later in of_customer
    )


def _agreement(done: list[Call], kind: str) -> float | None:
    """Of the calls that people spoke of, those where their last word is the engine's: what stood before their first."""
    reviewed = [c[kind] for c in done if c[kind]]
    return _ratio(sum(words[0].before == words[-1].after for words in reviewed), len(reviewed))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _ratio(above: int, below: int, scale: int = 1) -> float | None:
    return above / below / scale if below else None
