"""The Celery app: settings are read when it is first used, in the process that uses it (`celery -A workers.app`)."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_process_init
from kombu.exceptions import OperationalError

from calls.pipeline import PIPELINE, QUEUES, Step
from runtime.logs import set_up_logs
from runtime.program import spare_the_program
from runtime.settings import Settings, read_settings
from runtime.wiring import Wiring
from workers.leases import RENEWED_EVERY, Leases
from workers.strokes import strokes

if TYPE_CHECKING:
    from workers.parts import Parts

log = structlog.get_logger()

# The clock's own queue, served by who serves `language`: behind a pile of work, a sweep would come too late to help.
CLOCK_QUEUE = "clock"
# Old strokes of the clock are dropped. Workers whose clocks are this far apart could not keep leases either.
STROKE_S = 300
# How long a request to SQS waits for messages, as far as leases allow it, and the pause after one that brought none or
# while there is no room for more.
SQS_LONGEST_POLL_S = 10
SQS_PAUSE_S = 0.2

Bell = Callable[[Step, UUID], None]

app = Celery("callwise", include=["workers.tasks"])


@cache
def wiring() -> Wiring:
    """The composition of this process, from its environment."""
    return Wiring(read_settings())


_provided: list["Callable[[], Parts]"] = []
_served: list[Sequence[str]] = [QUEUES]


def provide(make: "Callable[[], Parts]") -> None:
    """Let this process's steps work with other parts: benchmarks and kill tests bring engines of their own."""
    _provided.append(make)


def serve(queues: Sequence[str]) -> None:
    """Say which queues this worker serves, before it starts."""
    _served.append(queues)


@cache
def parts() -> "Parts":
    """What the steps of this process work with."""
    return _provided[-1]() if _provided else make_parts(wiring(), ring=bell(wiring().settings))


def bell(settings: Settings) -> Bell | None:
    """How to tell workers of work; None in the embedded set-up, where only the worker's own sweep would be heard."""
    return None if settings.is_embedded else ring


def make_parts(wired: Wiring, *, ring: Bell | None) -> "Parts":
    """The steps' parts out of the composition."""
    # A listener rings the bell alone.
    from engines.speech import SpeechHints
    from workers.parts import Parts, no_twilio

    settings = wired.settings
    return Parts(
        database=wired.database,
        objects=wired.objects,
        speech=lambda: wired.speech,
        language=lambda: wired.language,
        redaction=lambda: wired.redaction,
        twilio=lambda: wired.twilio or no_twilio(),
        default_taxonomy=wired.taxonomy_from_file,
        reviewed_examples=settings.language.reviewed_examples,
        leases=Leases(wired.database, settings.work.lease_s),
        ring=ring,
        queues=_served[-1],
        hints=SpeechHints(language=settings.speech.language or None, vocabulary=settings.speech.vocabulary),
        language_by_queue=settings.speech.language_by_queue,
        translates=settings.speech.task == "translate",
        scratch=settings.home_path / "scratch",
        default_agent_channel=settings.telephony.agent_channel,
        min_speech_s=settings.speech.min_speech_s,
        lease_s=settings.work.lease_s,
        max_attempts=settings.work.max_attempts,
        backoff_s=settings.work.backoff_s,
        # Asked for when first needed, as the engines are: choosing one may fail for a wrong setting.
        may_spend=lambda service, lane: wired.budgets.require(service, lane),  # noqa: PLW0108
        batched=lambda lane, questions: wired.batches.language(lane, questions),  # noqa: PLW0108
    )


def ring(step: Step, call_id: UUID) -> None:
    """Tell the workers of `step` that a call waits for them. A broker that is away costs time, never the call."""
    try:
        app.send_task(step.name, args=(str(call_id),), queue=step.queue, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("bell_not_heard", call_id=str(call_id), step=step.name, error=type(error).__name__)


def _configuration() -> dict[str, Any]:
    settings = wiring().settings
    return {
        "broker_url": settings.broker.url,
        "broker_transport": "workers.sqs:Transport" if settings.broker.url.startswith("sqs") else None,
        "broker_transport_options": transport_options(settings),
        "broker_connection_timeout": 4,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.2},
        "task_routes": {step.name: {"queue": step.queue} for step in PIPELINE},
        "task_create_missing_queues": True,
        # A message is a doorbell: the broker need not write it down, the database knows.
        "task_default_delivery_mode": "transient",
        "task_acks_late": True,
        # The lease ends by itself; a poisonous call must not loop through the broker.
        "task_reject_on_worker_lost": False,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        "accept_content": ["json"],
        "timezone": "UTC",
        "beat_schedule": schedule(settings),
        "beat_schedule_filename": str(settings.home_path / "beat-schedule"),
    }


def schedule(settings: Settings) -> dict[str, Any]:
    """What beat sends, by name, as Celery wants it."""
    stroke = {"queue": CLOCK_QUEUE, "expires": STROKE_S}
    return {
        "sweep": {"task": "work.sweep", "schedule": settings.work.sweep_s, "options": stroke},
        "batches": {"task": "work.batches", "schedule": settings.language.batch_poll_s, "options": stroke},
        "roll-up": {"task": "work.roll_up", "schedule": 60.0, "options": stroke},
    } | {
        name: {
            "task": one.task,
            "schedule": one.every_s,
            "options": (stroke if one.goes_stale else {}) | {"queue": "language"},
        }
        for name, one in strokes(settings).items()
    }


def transport_options(settings: Settings) -> dict[str, Any]:
    """What Kombu's transport for this broker is told: how soon it notices messages, and how those of the dead go on."""
    if settings.broker.url.startswith("memory"):
        return {"polling_interval": 0.01}
    if settings.broker.url.startswith("redis"):
        # Celery's defaults give a killed worker's message back after an hour; the lease has long rung again by then.
        return {"visibility_timeout": 3600, "unacked_restore_interval": 2, "unacked_restore_throttle": 1}
    if settings.broker.url.startswith("sqs"):
        # A request that a killed worker has left open takes messages along until it ends. It ends before the leases
        # of what the worker had in work, so that no bell for those is among them.
        left_s = settings.work.lease_s * (1 - RENEWED_EVERY)
        return {"wait_time_seconds": max(1, min(SQS_LONGEST_POLL_S, int(left_s))), "polling_interval": SQS_PAUSE_S}
    return {}


app.add_defaults(_configuration)


@setup_logging.connect
def _logs(**_: object) -> None:
    set_up_logs(wiring().settings.log_level)


@worker_process_init.connect
def _child_began(**_: object) -> None:
    # One thread per child: two cores' worth of children would otherwise each start a thread per core.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    spare_the_program()
