"""Logs: one constant event a line, facts as keywords, ids only. What people said and their numbers never get in."""

import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog

from calls.errors import CallwiseError
from crm.forks import UNFORKED

_LONGEST = 400
_WITHHELD = "[withheld]"
_PHONE = re.compile(r"\+?\d[\d\s().-]{7,}\d")
_CALL_TEXT = frozenset(
    {
        "text",
        "transcript",
        "summary",
        "headline",
        "prompt",
        "quote",
        "utterance",
        "utterances",
        "turns",
        "body",
        "phone",
    }
)


def set_up_logs(level: str = "info", *, as_json: bool | None = None) -> None:
    """Send this process's logs to stderr: lines for people on a terminal, JSON elsewhere."""
    if as_json is None:
        as_json = not sys.stderr.isatty()
    render: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            show_where_it_broke,
            withhold_call_text,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _Lines(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True
    )


class _Lines(structlog.WriteLogger):
    def msg(self, message: str) -> None:
        with UNFORKED:
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def show_where_it_broke(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put an error's kind and frames under `exception`; its words only where they are ours.

    Others quote what they could not digest: a database the phone number that it has already, a parser the text.
    """
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        event["exception"] = "".join(_where_it_broke(error))
    return event


def _where_it_broke(error: BaseException) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _where_it_broke(cause)
        yield "\nand then:\n"
    yield from traceback.format_tb(error.__traceback__)
    yield str(error) if isinstance(error, CallwiseError) else type(error).__qualname__


def withhold_call_text(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what could be a person's words or number; ids, counts, codes and tracebacks pass."""
    for key, value in event.items():
        if key in {"event", "exception", "timestamp", "level"}:
            continue
        if key in _CALL_TEXT or (isinstance(value, str) and len(value) > _LONGEST):
            event[key] = _WITHHELD
        elif isinstance(value, str) and not _is_id(value):
            event[key] = _PHONE.sub("[number]", value)
    return event


def _is_id(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", value))
