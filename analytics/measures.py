"""Every measure, defined once: its integer parts, its formula, its unit, its definition and where that comes from.

A part (analytics/parts.py) is a whole number that stands on each row of `fact_call` and, summed, on each row of the
`agg_*` tables. A measure is one sum of a part, or one such sum divided by another: so it comes out the same over a
call, a day or a year, in any tool that can add. The SQL, the pages, the workbook and docs/measures.md are rendered
from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

# 95 %, two-sided.
_Z = 1.959963984540054


class Kind(StrEnum):
    """How a measure is made of its parts.

    `sum`: the sum of one part. `mean`: one sum by another. `rate`: the same, the numerator counting some of what the
    denominator counts, so that a Wilson interval can be given. `share`: a member's sum by that of all members in the
    same period.
    """

    SUM = "sum"
    MEAN = "mean"
    RATE = "rate"
    SHARE = "share"


@dataclass(frozen=True)
class Measure:
    """One figure: `numerator` / `denominator` / `scale`, both sums of parts; `unit` is what the result is in."""

    slug: str
    name: str
    unit: str
    kind: Kind
    numerator: str
    definition: str
    source: str
    denominator: str | None = None
    scale: int = 1

    @property
    def heading(self) -> str:
        """The name above a column of figures, with the unit where a bare number would leave it open."""
        return f"{self.name} ({self.unit})" if self.unit in {"s", "USD", "microusd"} else self.name

    @property
    def formula(self) -> str:
        """The formula as people read it."""
        text = f"sum({self.numerator})"
        if self.denominator:
            text += f" / sum({self.denominator})"
        if self.kind is Kind.SHARE:
            text += " of all reasons in the period"
        return text if self.scale == 1 else f"{text} / {self.scale}"

    def sql(self) -> str:
        """The formula as SQL over `fact_call` or an `agg_*` table, for PostgreSQL, SQLite and DuckDB.

        A share stands in a query grouped by its period and member, of which `period` names the first.
        """
        if self.denominator is None:
            return f"sum({self.numerator})"
        total = f"sum({self.denominator})"
        if self.kind is Kind.SHARE:
            total = f"sum({total}) over (partition by period)"
        text = f"cast(sum({self.numerator}) as double precision) / nullif({total}, 0)"
        return text if self.scale == 1 else f"{text} / {self.scale}"

    def value(self, sums: Mapping[str, int], totals: Mapping[str, int] | None = None) -> int | float | None:
        """The figure from sums of parts; None where there is nothing to divide by.

        `totals` are the sums over all members of the period, which a share is a share of.
        """
        if self.denominator is None:
            return sums[self.numerator]
        below = (totals if self.kind is Kind.SHARE and totals is not None else sums)[self.denominator]
        return sums[self.numerator] / below / self.scale if below else None


def wilson(successes: int, n: int) -> tuple[float, float] | None:
    """The 95 % interval of a rate of `successes` in `n`, both 0..1; None when n is 0.

    Source: Wilson 1927. It stays within 0..1 and is honest for few calls, which the usual interval is not.
    """
    if n == 0:
        return None
    share, z2 = successes / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # At the ends the bound is exact, which rounding would miss.
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


_LENS = "Amazon Connect Contact Lens"
_CONNECT = "Amazon Connect"
_OURS = "Callwise"

MEASURES = (
    Measure(
        "calls",
        "Calls",
        "calls",
        Kind.SUM,
        "call_count",
        "Calls that have ended their way through the pipeline, in whatever state.",
        _OURS,
    ),
    Measure(
        "handled",
        "Handled calls",
        "calls",
        Kind.SUM,
        "handled_count",
        "Calls that were understood: the others were skipped or failed, and are counted beside them.",
        _OURS,
    ),
    Measure(
        "classified",
        "Calls with a reason",
        "calls",
        Kind.SUM,
        "classified_count",
        "Handled calls with a reason of the taxonomy, `other` included.",
        _OURS,
    ),
    Measure(
        "reason_share",
        "Share of the reason",
        "share",
        Kind.SHARE,
        "classified_count",
        ("Calls with the reason / calls with any reason, in the period. The unclassified share stands beside it."),
        _OURS,
        "classified_count",
    ),
    Measure(
        "unclassified_share",
        "Unclassified share",
        "share",
        Kind.RATE,
        "unclassified_count",
        "Handled calls without a reason / handled calls.",
        _OURS,
        "handled_count",
    ),
    Measure(
        "handle_time_s",
        "Handle time",
        "s",
        Kind.MEAN,
        "handle_time_ms",
        (
            "Talk + hold + after-call work of one handled call. Where telephony does not tell the after-call work it"
            " is talk + hold: acw_known_share says for how many it did."
        ),
        _CONNECT,
        "handle_time_call_count",
        1000,
    ),
    Measure(
        "acw_known_share",
        "Calls with after-call work told",
        "share",
        Kind.RATE,
        "acw_known_count",
        "Share of the calls in handle_time_s whose after-call work telephony told.",
        _OURS,
        "handle_time_call_count",
    ),
    Measure(
        "hold_time_s",
        "Hold time",
        "s",
        Kind.MEAN,
        "hold_time_ms",
        "Hold time of one call, where telephony tells it.",
        _CONNECT,
        "hold_known_count",
        1000,
    ),
    Measure(
        "talk_time_s",
        "Talk time",
        "s",
        Kind.MEAN,
        "talk_time_ms",
        "Speech of agent and customer in one call; overlap counts for both.",
        _LENS,
        "timed_count",
        1000,
    ),
    Measure(
        "agent_talk_share",
        "Agent's share of the conversation",
        "share",
        Kind.MEAN,
        "conversation_talk_agent_ms",
        "Speech of the agent / time from the first to the last word, silence included.",
        _LENS,
        "conversation_ms",
    ),
    Measure(
        "agent_speech_share",
        "Agent's share of the speech",
        "share",
        Kind.MEAN,
        "talk_time_agent_ms",
        "Speech of the agent / speech of both, silence left out.",
        _OURS,
        "talk_time_ms",
    ),
    Measure(
        "agent_monologue_s",
        "Agent's longest monologue",
        "s",
        Kind.MEAN,
        "longest_monologue_agent_ms",
        "The most that the agent says in one call without giving up the floor.",
        _OURS,
        "monologue_known_count",
        1000,
    ),
    Measure(
        "customer_monologue_s",
        "Customer's longest monologue",
        "s",
        Kind.MEAN,
        "longest_monologue_customer_ms",
        "The most that the customer says in one call without giving up the floor.",
        _OURS,
        "monologue_known_count",
        1000,
    ),
    Measure(
        "non_talk_time_s",
        "Non-talk time",
        "s",
        Kind.MEAN,
        "non_talk_time_ms",
        "Hold and silence of more than 3 s between the first and the last word of one call.",
        _LENS,
        "non_talk_known_count",
        1000,
    ),
    Measure(
        "interruptions",
        "Interruptions per call",
        "per call",
        Kind.MEAN,
        "interruption_count",
        "Overlaps started by a speaker while the other was speaking, per call.",
        _LENS,
        "timed_count",
    ),
    Measure(
        "interruption_time_s",
        "Time of interruptions",
        "s",
        Kind.MEAN,
        "interruption_time_ms",
        "Seconds of overlap started by a speaker while the other was speaking, per call.",
        _LENS,
        "interruption_time_known_count",
        1000,
    ),
    Measure(
        "transfer_rate",
        "Transfer rate",
        "share",
        Kind.RATE,
        "transferred_count",
        "Transferred / handled, over the calls of which telephony tells it.",
        _CONNECT,
        "transfer_known_count",
    ),
    Measure(
        "resolved_rate",
        "Resolved rate",
        "share",
        Kind.RATE,
        "resolved_count",
        "Calls whose matter was resolved / calls judged. The judgement is a model's: see outcome_agreement.",
        _OURS,
        "resolution_known_count",
    ),
    Measure(
        "escalation_rate",
        "Escalation rate",
        "share",
        Kind.RATE,
        "escalated_count",
        "Calls that ended with an escalation / calls with a known outcome.",
        _OURS,
        "outcome_known_count",
    ),
    Measure(
        "follow_up_rate",
        "Follow-up rate",
        "share",
        Kind.RATE,
        "follow_up_count",
        "Calls that ended with something left to do / calls with a known outcome.",
        _OURS,
        "outcome_known_count",
    ),
    Measure(
        "repeat_rate",
        "Repeat-call rate",
        "share",
        Kind.RATE,
        "repeated_count",
        (
            "Calls followed by another of the same customer with the same reason within 7 days, counted on the "
            "first; only calls that are 7 days old. `other` is no such reason."
        ),
        "field practice",
        "repeat_window_count",
    ),
    Measure(
        "first_contact_resolution",
        "First-contact resolution (inferred)",
        "share",
        Kind.RATE,
        "not_repeated_count",
        "1 - repeat-call rate: nobody asked the customer, their silence is taken for it.",
        "SQM Group",
        "repeat_window_count",
    ),
    Measure(
        "sentiment",
        "Customer's mood",
        "-5..+5",
        Kind.MEAN,
        "sentiment_tenths",
        "The customer's mood over the call, judged by a model.",
        _LENS,
        "sentiment_known_count",
        10,
    ),
    Measure(
        "sentiment_end",
        "Customer's mood at the end",
        "-5..+5",
        Kind.MEAN,
        "sentiment_end_tenths",
        "The customer's mood over the last quarter of the call.",
        _LENS,
        "sentiment_end_count",
        10,
    ),
    Measure(
        "sentiment_shift",
        "Shift of mood",
        "-10..+10",
        Kind.MEAN,
        "sentiment_shift_tenths",
        "The customer's mood in the last quarter less that at the start.",
        _LENS,
        "sentiment_shift_count",
        10,
    ),
    Measure(
        "conversion_rate",
        "Conversion rate",
        "share",
        Kind.RATE,
        "sale_count",
        "Outcome sale / handled calls whose reason is a sales reason.",
        _OURS,
        "sales_count",
    ),
    Measure(
        "reason_agreement",
        "Agreement with reviewers: reason",
        "share",
        Kind.RATE,
        "reason_agreed_count",
        (
            "Calls whose reason people left as the engine had given it / calls whose reason they stated. They look at"
            " the doubtful ones first: the agreement over all calls is higher."
        ),
        _OURS,
        "reason_reviewed_count",
    ),
    Measure(
        "outcome_agreement",
        "Agreement with reviewers: outcome",
        "share",
        Kind.RATE,
        "outcome_agreed_count",
        "The same of the outcome, of which resolved and sale are a part.",
        _OURS,
        "outcome_reviewed_count",
    ),
    Measure(
        "cost_microusd",
        "Cost",
        "microusd",
        Kind.SUM,
        "cost_microusd",
        "What paid requests for these calls cost, in millionths of a dollar.",
        _OURS,
    ),
    Measure(
        "cost_per_call_usd",
        "Cost per call",
        "USD",
        Kind.MEAN,
        "cost_microusd",
        ("Cost of paid requests / calls. Requests without a known price are in unpriced_request_count, not in here."),
        _OURS,
        "call_count",
        1_000_000,
    ),
)

BY_SLUG = {measure.slug: measure for measure in MEASURES}
