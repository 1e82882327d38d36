"""Several deployments of a model behind one face, each within its tokens and requests per minute (calls.pacing)."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

from calls.errors import EngineMisconfigured, Paced, TransientError
from calls.meter import Grant, Limits, Meter, Told, Used, Wait, Wanted
from calls.money import Charge
from calls.pacing import answered, ask_leave, refused, returned, soonest, troubled
from calls.pipeline import Lane
from engines.language_requests import Answer, Messages, Requests
from engines.meters import Meters
from engines.openai_client import told_with

# How long a request waits in its worker. Old work's is above the time between two sweeps: what comes back to its turn
# comes by the sweep's stroke, several at once.
PATIENCE_S: Mapping[Lane, float] = {Lane.LIVE: 5.0, Lane.BACKFILL: 2.5}
# What follows a question that was paid for waits longer: sent away, the call would come back to be asked all anew.
FOLLOW_UP_PATIENCE_S = 120.0
# For so long the others come first when one answers with errors of its own, or cannot work at all.
TROUBLE_S = 2.0
BROKEN_S = 30.0


class Asked(Protocol):
    """Whatever takes requests to one deployment."""

    name: str


Kind = TypeVar("Kind", bound=Asked)
Sent = TypeVar("Sent")


@dataclass(frozen=True)
class Deployment(Generic[Kind]):
    """One of them: `name` is its meter's, whoever shares the server's budget shares the name."""

    name: str
    requests: Kind
    limits: Limits = field(default_factory=Limits)


class PacedDeployments(Generic[Kind]):
    """Requests to whichever of `deployments` has the most left, not before it has enough.

    A short wait is spent in here, a longer one is the caller's (Paced).
    """

    def __init__(self, deployments: Sequence[Deployment[Kind]], meters: Meters) -> None:
        self.name = "+".join(dict.fromkeys(one.requests.name for one in deployments))
        self._by_name = {one.name: one for one in deployments}
        self._meters = meters

    def send(
        self, wanted: Wanted, ask: Callable[[Kind, Grant], Sent], used_by: Callable[[Sent], tuple[Used, Told]]
    ) -> tuple[str, Sent]:
        """Let `ask` send the request to the deployment of that name, which is returned with what came back.

        `used_by` says what an answer took, and what the server told of its limits. Raises what `ask` raises, and Paced.
        """
        chosen, grant = self._leave_for(wanted)
        began = time.monotonic()
        try:
            sent = ask(chosen.requests, grant)
        except TransientError as error:
            self._note_trouble(chosen, grant, error)
            if error.code != "rate_limited":
                raise
            raise Paced(error.detail, retry_after_s=self._wait_s(wanted)) from error
        used, told = used_by(sent)

        def settle(meter: Meter, now: float) -> tuple[Meter, None]:
            sent_at = now - (time.monotonic() - began)
            return answered(meter, chosen.limits, grant, used, told=told, sent_at=sent_at), None

        self._meters.change(chosen.name, settle)
        return chosen.name, sent

    def _leave_for(self, wanted: Wanted) -> tuple[Deployment[Kind], Grant]:
        """The deployment to ask, now, and its meter's leave. Raises Paced where that would take long."""
        patience_s = PATIENCE_S[wanted.lane] if wanted.kind else FOLLOW_UP_PATIENCE_S
        while True:
            chosen = self._roomiest(wanted)
            leave, wait_s = self._ask_meter(chosen, wanted, patience_s)
            if isinstance(leave, Wait) and wait_s > patience_s:
                raise Paced(f"the budget of {chosen.name} is used up", retry_after_s=wait_s)
            if wait_s > 0:
                time.sleep(wait_s)
            if isinstance(leave, Grant) and (wait_s <= 0 or self._is_open(chosen, leave)):
                return chosen, leave

    def _ask_meter(self, chosen: Deployment[Kind], wanted: Wanted, patience_s: float) -> tuple[Grant | Wait, float]:
        """The meter's leave or its no, and in how many seconds that counts."""

        def step(meter: Meter, now: float) -> tuple[Meter, tuple[Grant | Wait, float]]:
            meter, leave = ask_leave(meter, chosen.limits, wanted, now, patience_s=patience_s)
            return meter, (leave, (leave.at if isinstance(leave, Grant) else leave.until) - now)

        return self._meters.change(chosen.name, step)

    def _is_open(self, chosen: Deployment[Kind], leave: Grant) -> bool:
        """Whether the server has not closed its door since leave was given; if it has, the leave goes back."""
        meter, now = self._meters.read(chosen.name)
        if now >= meter.closed_until:
            return True
        self._meters.change(chosen.name, lambda meter, _: (returned(meter, chosen.limits, leave), None))
        return False

    def _roomiest(self, wanted: Wanted) -> Deployment[Kind]:
        """The deployment that such a request could leave for the soonest: what has lain idle longest, of several."""
        every = list(self._by_name.values())
        return every[0] if len(every) == 1 else min(every, key=lambda one: self._soonest(one, wanted)[0])

    def _soonest(self, one: Deployment[Kind], wanted: Wanted) -> tuple[float, float]:
        """The moment from which the request could leave, and the moment of now."""
        meter, now = self._meters.read(one.name)
        return soonest(meter, one.limits, wanted, now), now

    def _wait_s(self, wanted: Wanted) -> float:
        moments = [self._soonest(one, wanted) for one in self._by_name.values()]
        return max(0.0, min(start - now for start, now in moments))

    def _note_trouble(self, chosen: Deployment[Kind], grant: Grant, error: TransientError) -> None:
        """Let the meter know of a failure, so that what comes next goes elsewhere or later."""

        def note(meter: Meter, now: float) -> tuple[Meter, None]:
            if error.code == "rate_limited":
                told, wait_s = told_with(error), error.retry_after_s
                return refused(meter, chosen.limits, grant, told=told, retry_after_s=wait_s, now=now), None
            if isinstance(error, EngineMisconfigured):
                return troubled(meter, BROKEN_S, now), None
            return troubled(meter, error.retry_after_s or TROUBLE_S, now), None

        # One that stands alone is asked all the same: what is wrong with it must be what people read.
        if error.code == "rate_limited" or error.retry_after_s or len(self._by_name) > 1:
            self._meters.change(chosen.name, note)


class Deployments(PacedDeployments[Requests]):
    """Questions to a language model, each to one of several deployments."""

    def check(self) -> None:
        """Whether each of them could answer; see LanguageEngine.check."""
        for one in self._by_name.values():
            one.requests.check()

    def charge(self, answer: Answer) -> Charge:
        """See Requests."""
        return self._by_name[answer.deployment].requests.charge(answer)

    def ask(
        self,
        system: str,
        messages: Messages,
        schema: dict[str, Any],
        max_output_tokens: int,
        *,
        lane: Lane = Lane.LIVE,
        kind: str = "",
    ) -> Answer:
        """See Requests."""
        told = [system, json.dumps(schema), *(message["content"] for message in messages)]
        wanted = Wanted(sum(len(text.encode()) for text in told), max_output_tokens, kind, lane)

        def ask(requests: Requests, grant: Grant) -> Answer:
            return requests.ask(system, messages, schema, grant.max_output_tokens, lane=lane, kind=kind)

        name, answer = self.send(wanted, ask, _used_by)
        return replace(answer, deployment=name)


def _used_by(answer: Answer) -> tuple[Used, Told]:
    return Used(answer.input_tokens, answer.output_tokens, was_cut_off=answer.ending == "truncated"), answer.told
