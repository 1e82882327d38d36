"""The calls of the generated history, made up one after the other: the same for the same day, always."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from calls.analysis import Outcome
from calls.pipeline import SkipReason
from calls.reasons import INSUFFICIENT, OTHER, Taxonomy
from calls.recording import Direction
from samples import history_plan as plan
from samples.history_plan import PLANTED, Subject


@dataclass(frozen=True)
class Generated:
    """One generated call; times are aware, `_s` are seconds, moods -5..+5. `reason_code` None: it was skipped."""

    number: int
    happened_at: datetime
    customer: int
    agent: str
    queue: str
    direction: Direction
    reason_code: str | None
    skip_reason: SkipReason | None
    headline: str
    summary: str
    outcome: Outcome
    mood_start: float
    mood_end: float
    duration_s: float
    hold_time_s: float
    acw_time_s: float
    talk_time_agent_s: float
    talk_time_customer_s: float
    is_transferred: bool
    interruption_count: int


def generate(given: Taxonomy, until: date, *, zone: str = "UTC", call_count: int = plan.CALL_COUNT) -> list[Generated]:
    """The calls in order of time, the same for the same arguments."""
    random = Random(plan.SEED)
    start = until - timedelta(weeks=plan.WEEK_COUNT)
    history = _History(given, random)
    moments = sorted(_moments(random, start, ZoneInfo(zone), call_count))
    return [history.next_call(n, moment, _week_of(moment, start, zone)) for n, moment in enumerate(moments)]


def _moments(random: Random, start: date, zone: ZoneInfo, count: int) -> list[datetime]:
    days = [start + timedelta(days=n) for n in range(plan.WEEK_COUNT * 7)]
    weights = [plan.WEEKDAY_WEIGHTS[day.weekday()] for day in days]
    hours = list(plan.HOUR_WEIGHTS)
    chosen_days = random.choices(days, weights, k=count)
    chosen_hours = random.choices(hours, list(plan.HOUR_WEIGHTS.values()), k=count)
    return [
        datetime.combine(day, time(hour, random.randrange(60), random.randrange(60)), zone).astimezone(UTC)
        for day, hour in zip(chosen_days, chosen_hours, strict=True)
    ]


def _week_of(moment: datetime, start: date, zone: str) -> int:
    return (moment.astimezone(ZoneInfo(zone)).date() - start).days // 7


class _History:
    """The state of the centre while its calls are made up one after the other."""

    def __init__(self, given: Taxonomy, random: Random) -> None:
        self._random = random
        self._labels = {reason.code: reason.label for reason in given.reasons}
        self._sales = {reason.code for reason in given.reasons if reason.is_sales}
        self._subjects = {code: plan.SUBJECTS.get(code, plan.USUAL) for code in self._labels}
        self._customer_count = 0
        # (when, customer, reason) of the calls that will be repeated, soonest last.
        self._coming: list[tuple[datetime, int, str]] = []

    def next_call(self, number: int, moment: datetime, week: int) -> Generated:
        """The call at that moment, in that week of the history."""
        random = self._random
        customer, code = self._caller(moment, week)
        subject = self._subjects.get(code, plan.USUAL)
        skip_reason = (
            random.choice([SkipReason.VOICEMAIL, SkipReason.TOO_SHORT]) if self._is(plan.SKIPPED_RATE) else None
        )
        name = self._agent(subject, week)
        duration_s = round(max(25.0, random.lognormvariate(0, 0.45) * subject.duration_s * _slowness(name, week)), 1)
        hold_time_s = round(random.uniform(15, 120), 1) if self._is(0.3) else 0.0
        mood = max(-5.0, min(5.0, random.gauss(subject.mood, 1.2)))
        outcome = self._outcome(code, subject, week)
        mood_end = max(-5.0, min(5.0, mood + _LIFT[outcome] + random.gauss(0, 0.7)))
        headline, summary = self._texts(code, subject)
        return Generated(
            number=number,
            happened_at=moment,
            customer=customer,
            agent=name,
            queue=subject.queue,
            direction=Direction.OUTBOUND if self._is(0.08) else Direction.INBOUND,
            reason_code=None if skip_reason else code,
            skip_reason=skip_reason,
            headline=headline,
            summary=summary,
            outcome=outcome,
            mood_start=round(mood, 1),
            mood_end=round(mood_end, 1),
            duration_s=round(duration_s + hold_time_s, 1),
            hold_time_s=hold_time_s,
            acw_time_s=round(random.uniform(15, 90) * _slowness(name, week), 1),
            talk_time_agent_s=round(duration_s * random.uniform(0.4, 0.52), 1),
            talk_time_customer_s=round(duration_s * random.uniform(0.3, 0.42), 1),
            is_transferred=self._is(0.06),
            interruption_count=random.choices([0, 1, 2, 3, 5], [4, 3, 2, 1, 0.4])[0],
        )

    def _is(self, rate: float) -> bool:
        return self._random.random() < rate

    def _caller(self, moment: datetime, week: int) -> tuple[int, str]:
        if self._coming and self._coming[-1][0] <= moment:
            _, customer, code = self._coming.pop()
        else:
            customer, code = self._customer(), self._reason(week)
        low, high = PLANTED.repeat_weeks
        is_cluster = code == PLANTED.repeat_reason and low <= week < high
        if code in self._labels and self._is(PLANTED.repeat_rate if is_cluster else PLANTED.usual_repeat_rate):
            self._coming.append((moment + timedelta(hours=self._random.uniform(20, 120)), customer, code))
            self._coming.sort(reverse=True)
        return customer, code

    def _customer(self) -> int:
        is_new = self._customer_count == 0 or self._is(0.8)
        if is_new and self._customer_count < len(plan.AREAS) * 100:
            self._customer_count += 1
            return self._customer_count - 1
        return self._random.randrange(self._customer_count)

    def _reason(self, week: int) -> str:
        weights = {code: subject.weight for code, subject in self._subjects.items()}
        if week == PLANTED.spike_week and PLANTED.spike_reason in weights:
            weights[PLANTED.spike_reason] *= PLANTED.spike_factor
        if PLANTED.rising_reason in weights:
            weights[PLANTED.rising_reason] *= 1 + (PLANTED.rising_factor - 1) * week / (plan.WEEK_COUNT - 1)
        weights |= {OTHER: plan.OTHER_WEIGHT, INSUFFICIENT: plan.INSUFFICIENT_WEIGHT}
        return self._random.choices(list(weights), list(weights.values()))[0]

    def _agent(self, subject: Subject, week: int) -> str:
        is_sales = subject.queue == plan.SALES_TEAM
        names = [
            name
            for team_name in ((plan.SALES_TEAM,) if is_sales else plan.SERVICE_TEAMS)
            for name in plan.TEAMS[team_name]
            if name != PLANTED.new_agent or week >= PLANTED.new_agent_week
        ]
        return self._random.choice(names)

    def _outcome(self, code: str, subject: Subject, week: int) -> Outcome:
        if code == INSUFFICIENT:
            return Outcome.UNKNOWN
        if code in self._sales:
            is_after = week >= PLANTED.campaign_week
            rate = PLANTED.sale_rate_after if is_after else PLANTED.sale_rate_before
            return Outcome.SALE if self._is(rate) else Outcome.NO_SALE
        if self._is(subject.resolved_rate):
            return Outcome.RESOLVED
        others = [Outcome.FOLLOW_UP, Outcome.UNRESOLVED, Outcome.ESCALATED, Outcome.UNKNOWN]
        return self._random.choices(others, [5, 3, 2, 1])[0]

    def _texts(self, code: str, subject: Subject) -> tuple[str, str]:
        general = {OTHER: ("Something else", "The call was about something that has no reason of its own.")}
        general[INSUFFICIENT] = (
            "Hardly anything was said",
            "The call ended before the customer said what it was about.",
        )
        label = self._labels.get(code, "")
        sentences = subject.sentences or (general.get(code, (label, f"The customer called about: {label}.")),)
        words = {"product": self._random.choice(plan.PRODUCTS), "day": self._random.choice(plan.DAYS)}
        headline, summary = self._random.choice(sentences)
        return headline.format(**words), summary.format(**words)


_LIFT = {
    Outcome.RESOLVED: 1.6,
    Outcome.SALE: 0.8,
    Outcome.NO_SALE: 0.0,
    Outcome.FOLLOW_UP: 0.6,
    Outcome.UNRESOLVED: -0.5,
    Outcome.ESCALATED: -0.9,
    Outcome.UNKNOWN: 0.0,
}


def _slowness(name: str, week: int) -> float:
    if name != PLANTED.new_agent:
        return 1.0
    learnt = min(1.0, (week - PLANTED.new_agent_week) / PLANTED.learning_weeks)
    return PLANTED.learning_factor - (PLANTED.learning_factor - 1) * learnt
