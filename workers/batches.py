"""The batch lane: old work's questions to a language model are gathered, sent, looked after, and their answers kept.

Whoever dies here at whatever point loses nothing: a batch stands in the database before the server hears of it and is
looked for there before it is created; an answer and its charge are written together, and once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple, TypeVar
from uuid import UUID

import structlog

from calls.errors import CallwiseError, TerminalError
from crm import batches
from crm.database import Database
from crm.money import mean_output_tokens
from engines.batched_requests import PATIENCE_S, write_kept
from engines.language_batch import BatchApi, BatchGone, RemoteBatch, batch_line
from engines.language_requests import Answer

log = structlog.get_logger()

Item = TypeVar("Item")

# OpenAI takes 50,000 questions and 200 MB in one file.
MAX_QUESTIONS = 50_000
MAX_BYTES = 100_000_000
# At so many questions nothing is gained by waiting for more.
FULL_COUNT = 5_000
HOLD = timedelta(minutes=10)
BOOKED_AT_ONCE = 100
# How long what a batch left unanswered waits for the next one.
AGAIN_AFTER = timedelta(minutes=1)
# The server's own queue is full: others of our batches have to end first.
QUEUE_FULL = "token_limit_exceeded"
QUEUE_FULL_WAIT = timedelta(minutes=10)
CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class BatchWork:
    """What the lane works with: the batches of each deployment by its name, and whether new ones are sent.

    `gather_s` is how long a question waits for others to go with it; `room_microusd` says what old work may still
    spend today, None where nothing bounds it.
    """

    database: Database
    apis: Mapping[str, BatchApi]
    is_on: bool
    gather_s: float = 120.0
    room_microusd: Callable[[], int | None] = lambda: None
    # Told of each moment: `gathered`, `uploaded`, `created`, `answered` and `kept` (before and after each commit of
    # answers), `ended`. Kill tests kill by it.
    observe: Callable[[str], None] = field(default=lambda _moment: None)


class Tended(NamedTuple):
    """How many batches have not ended, and how many calls go on with their answers."""

    under_way: int
    woken: int


def tend(work: BatchWork) -> Tended:
    """Look after every batch once, and send what is ripe."""
    now = _now()
    with work.database.read() as connection:
        under_way = batches.unended(connection)
    for row in under_way:
        if row.deployment in work.apis:
            _tend(work, row.id)
        elif now - row.created_at > timedelta(seconds=PATIENCE_S):
            # Its deployment stands in no settings any more: nobody can ask for the answers.
            _end(work, row.id, "batch_abandoned")
    if work.is_on:
        for deployment in work.apis:
            _send_ripe(work, deployment)
    with work.database.write() as connection:
        woken = batches.wake_answered(connection, now=_now(), sends_to=list(work.apis) if work.is_on else [])
        batches.sweep_old(connection, now=now)
    if woken:
        log.info("batch_answers", calls=woken)
    with work.database.read() as connection:
        return Tended(len(batches.unended(connection)), woken)


def _tend(work: BatchWork, batch_id: UUID) -> None:
    now = _now()
    with work.database.write() as connection:
        held = batches.hold(connection, batch_id, now=now, until=now + HOLD)
    if held is None:
        return
    try:
        if held.state == batches.SENDING:
            _send(work, held, is_new=False)
        else:
            _collect(work, held)
    except CallwiseError as error:
        # Whatever it was, the next stroke tries again: the batch stands where it stood.
        log.warning("batch_postponed", batch=str(batch_id), code=error.code)
        _let_go(work, batch_id, error.code)
        return
    _let_go(work, batch_id, None)


def _let_go(work: BatchWork, batch_id: UUID, failed_code: str | None) -> None:
    facts = {"failed_code": failed_code} if failed_code else {}
    with work.database.write() as connection:
        batches.note_batch(connection, batch_id, held_until=None, **facts)


def _send_ripe(work: BatchWork, deployment: str) -> None:
    """Make batches of what waits for this deployment, as long as there is enough for one and the money for it."""
    while (row := _begin(work, deployment)) is not None:
        try:
            _send(work, row, is_new=True)
        except CallwiseError as error:
            log.warning("batch_postponed", batch=str(row.id), code=error.code)
            _let_go(work, row.id, error.code)
            return
        _let_go(work, row.id, None)


def _begin(work: BatchWork, deployment: str) -> batches.BatchRow | None:
    api, now = work.apis[deployment], _now()
    limits = batches.Limits(MAX_QUESTIONS, MAX_BYTES, FULL_COUNT, now - timedelta(seconds=work.gather_s))
    room = work.room_microusd()
    with work.database.write() as connection:
        found = batches.gather(connection, deployment, limits, now=now)
        if found is None:
            return None
        usual = mean_output_tokens(connection, api.model)
        costs = [
            api.cost_microusd(input_tokens=-(-size // 4), output_tokens=min(most, usual or most))
            for size, most in zip(found.size_bytes, found.max_output_tokens, strict=True)
        ]
        ids, reserved = _affordable(found.ids, costs, room)
        if not ids:
            return None
        return batches.begin_batch(
            connection, deployment, ids, reserved_microusd=reserved, now=now, held_until=now + HOLD
        )


def _affordable(
    ids: Iterable[UUID], costs: Iterable[int | None], room_microusd: int | None
) -> tuple[list[UUID], int | None]:
    """As many of the questions as there is money for, and what they are expected to cost; None is not known."""
    taken: list[UUID] = []
    total: int | None = 0
    for question_id, cost in zip(ids, costs, strict=True):
        if room_microusd is not None and (cost is None or (total or 0) + cost > room_microusd):
            break
        taken.append(question_id)
        total = None if cost is None or total is None else total + cost
    return taken, total


def _send(work: BatchWork, row: batches.BatchRow, *, is_new: bool) -> None:
    """Bring the batch to the server: its file, then the batch itself, each only if it is not there yet."""
    api, name, mark = work.apis[row.deployment], f"callwise-{row.id}.jsonl", str(row.id)
    work.observe("gathered")
    remote = None if is_new else api.find(mark, since=row.created_at - CLOCK_SKEW)
    if remote is None:
        file_id = row.input_file_id or (None if is_new else api.find_upload(name)) or _upload(work, api, row.id, name)
        if file_id is None:
            _end(work, row.id, None)
            return
        with work.database.write() as connection:
            batches.note_batch(connection, row.id, input_file_id=file_id)
        work.observe("uploaded")
        try:
            remote = api.create(file_id, mark)
        except TerminalError as error:
            # The server has said no: there is no such batch.
            log.warning("batch_refused", batch=str(row.id), code=error.code)
            api.remove(file_id)
            _end(work, row.id, error.code)
            return
    work.observe("created")
    with work.database.write() as connection:
        batches.note_batch(
            connection, row.id, state=batches.OPEN, remote_id=remote.id, remote_status=remote.status, failed_code=None
        )
    log.info("batch_sent", batch=str(row.id), deployment=row.deployment)


def _upload(work: BatchWork, api: BatchApi, batch_id: UUID, name: str) -> str | None:
    """Send the questions' file; None where nobody needs any of them any more."""
    with work.database.read() as connection:
        lines = b"".join(
            batch_line(str(line.id), line.body, line.messages, line.max_output_tokens)
            for line in batches.lines_of(connection, batch_id)
        )
    return api.upload(lines, name) if lines else None


def _collect(work: BatchWork, row: batches.BatchRow) -> None:
    """Look how a batch stands; keep its answers once it has finished, and end it."""
    api = work.apis[row.deployment]
    try:
        remote = api.look(row.remote_id or "")
    except BatchGone as error:
        if _now() - row.created_at < timedelta(seconds=PATIENCE_S):
            raise
        _end(work, row.id, error.code)
        return
    with work.database.write() as connection:
        batches.note_batch(connection, row.id, remote_status=remote.status)
    if not remote.is_finished:
        return
    for file_id in (remote.output_file_id, remote.error_file_id):
        if file_id is not None:
            _keep_answers(work, api, row.id, file_id)
    _end(work, row.id, _failure_of(remote))
    for used_id in (row.input_file_id, remote.output_file_id, remote.error_file_id):
        if used_id is not None:
            # What people said shall not lie at the server for longer than it has to; it goes by itself, too.
            _try_to_remove(api, used_id)


def _failure_of(remote: RemoteBatch) -> str | None:
    if remote.status == "completed":
        return None
    return remote.codes[0] if remote.codes else f"batch_{remote.status}"


def _keep_answers(work: BatchWork, api: BatchApi, batch_id: UUID, file_id: str) -> None:
    for some in _portions(api.results(file_id), BOOKED_AT_ONCE):
        now = _now()
        with work.database.write() as connection:
            for custom_id, came in some:
                question_id = _as_uuid(custom_id)
                is_worth_keeping = isinstance(came, Answer) or came.error is not None
                if question_id is not None and is_worth_keeping:
                    charge = api.charge(came) if isinstance(came, Answer) else None
                    batches.book(connection, batch_id, question_id, write_kept(came), charge, now=now)
            batches.note_batch(connection, batch_id, held_until=now + HOLD)
            work.observe("answered")
        work.observe("kept")


def _end(work: BatchWork, batch_id: UUID, failed_code: str | None) -> None:
    now = _now()
    is_full = failed_code == QUEUE_FULL
    with work.database.write() as connection:
        missed = batches.end_batch(
            connection,
            batch_id,
            now=now,
            failed_code=failed_code,
            again_at=now + (QUEUE_FULL_WAIT if is_full else AGAIN_AFTER),
            counts=not is_full,
        )
    work.observe("ended")
    log.info("batch_ended", batch=str(batch_id), unanswered=missed, code=failed_code or "")


def _try_to_remove(api: BatchApi, file_id: str) -> None:
    try:
        api.remove(file_id)
    except CallwiseError as error:
        log.info("batch_file_stays", code=error.code)


def _portions(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _now() -> datetime:
    return datetime.now(UTC)
