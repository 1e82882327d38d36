"""Calls that people have reviewed, as examples for engines: a few for each reason, redacted, in an order that stays."""

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from calls.corrections import Field
from calls.injections import find_injections
from calls.reasons import INSUFFICIENT, ReviewedCall, Taxonomy
from calls.transcript import Speaker, Turn, take_turns
from crm.reason_tables import review
from crm.results import utterance_of
from crm.tables import transcript, utterance
from crm.taxonomies import known_successors

# All examples together are some 2,000 tokens at most, of which a server's cache takes nine tenths of the price.
MAX_EXAMPLE_COUNT = 40
MAX_SAID_CHARS = 200
_MIN_WORDS = 5
# Older reviews than these are not looked at.
_REVIEW_COUNT = 1000
# Where calls have nothing to show, so many more than are needed are tried.
_SPARE = 3

Redact = Callable[[Sequence[Turn]], Sequence[Turn]]


@dataclass(frozen=True)
class _Candidate:
    call_id: UUID
    reason_code: str
    was_wrong: bool
    reviewed_at: datetime


def with_reviewed_calls(
    connection: sa.Connection,
    taxonomy: Taxonomy,
    redact: Redact,
    *,
    per_reason: int,
    known: MutableMapping[str, Taxonomy],
) -> Taxonomy:
    """The taxonomy with at most `per_reason` reviewed calls for each reason as examples.

    Those that an engine had got wrong come first, of these the newest. A call in which somebody gives orders to its
    reader is never one. `known` keeps what was made before, until there is another review.
    """
    if per_reason < 1:
        return taxonomy
    said = sa.select(sa.func.count(), sa.func.max(review.c.reviewed_at)).where(review.c.field == Field.REASON)
    marker = connection.execute(said).one()
    if not marker[0]:
        return taxonomy
    key = f"{taxonomy.version}/reviewed/{marker[0]}/{marker[1]}"
    if key not in known:
        for old in [name for name in known if "/reviewed/" in name]:
            known.pop(old, None)
        known[key] = replace(
            taxonomy, reviewed_calls=tuple(_examples(connection, taxonomy, redact, per_reason=per_reason))
        )
    return known[key]


def _examples(
    connection: sa.Connection, taxonomy: Taxonomy, redact: Redact, *, per_reason: int
) -> Iterable[ReviewedCall]:
    position = {code: number for number, code in enumerate(taxonomy.codes)}
    chosen: dict[str, list[tuple[_Candidate, str]]] = {}
    tried: dict[str, int] = {}
    count = 0
    for one in sorted(_candidates(connection, taxonomy), key=lambda c: (not c.was_wrong, -c.reviewed_at.timestamp())):
        has = chosen.setdefault(one.reason_code, [])
        tried[one.reason_code] = tried.get(one.reason_code, 0) + 1
        if count == MAX_EXAMPLE_COUNT or len(has) == per_reason or tried[one.reason_code] > _SPARE * per_reason:
            continue
        said = _said(connection, one.call_id, taxonomy, redact)
        if said:
            has.append((one, said))
            count += 1
    # In an order that another review disturbs little: a server's cache ends where the first word differs.
    for code in sorted(chosen, key=lambda code: position[code]):
        for one, said in sorted(chosen[code], key=lambda pair: (pair[0].reviewed_at, str(pair[0].call_id))):
            yield ReviewedCall(said, one.reason_code)


def _candidates(connection: sa.Connection, taxonomy: Taxonomy) -> list[_Candidate]:
    """The last word on each of the calls that were reviewed of late."""
    following = known_successors(connection)
    rows = connection.execute(
        sa.select(review)
        .where(review.c.field == Field.REASON)
        .order_by(review.c.reviewed_at.desc(), review.c.revision.desc(), review.c.id)
        .limit(_REVIEW_COUNT)
    )
    found: dict[UUID, _Candidate] = {}
    for row in rows:
        code = following.get(row.after, row.after)
        if row.call_id not in found:
            was_wrong = following.get(row.before, row.before) != code
            found[row.call_id] = _Candidate(row.call_id, code, was_wrong, row.reviewed_at)
    return [one for one in found.values() if one.reason_code in taxonomy.codes and one.reason_code != INSUFFICIENT]


def _said(connection: sa.Connection, call_id: UUID, taxonomy: Taxonomy, redact: Redact) -> str:
    """How the customer put the matter; empty where too little was said, or orders were given to the reader."""
    rows = connection.execute(
        sa.select(utterance)
        .join_from(transcript, utterance, utterance.c.transcript_id == transcript.c.id)
        .where(transcript.c.call_id == call_id, transcript.c.is_current)
        .order_by(utterance.c.seq)
    )
    turns = redact(take_turns([utterance_of(row) for row in rows]))
    if find_injections(turns, taxonomy.codes):
        return ""
    told = [turn.text for turn in turns if turn.speaker is not Speaker.AGENT and len(turn.text.split()) >= _MIN_WORDS]
    text = " ".join(" ".join(told).split())
    return text if len(text) <= MAX_SAID_CHARS else text[: MAX_SAID_CHARS + 1].rsplit(" ", 1)[0]
