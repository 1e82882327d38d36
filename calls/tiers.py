"""When the answer of a cheap engine is not enough, and a stronger one is asked: rules over a checked analysis."""

from dataclasses import dataclass

from calls.analysis import Analysis
from calls.reasons import INSUFFICIENT, OTHER, Taxonomy
from calls.suspicion import LEAKED, SUSPICIOUS

# What the check says of a claim that did not stand up to the call.
_DROPPED = {"unsupported", "missing", "label_outside_taxonomy", "invalid_answer", LEAKED}


@dataclass(frozen=True)
class EscalationRules:
    """What leaves an answer doubtful.

    `min_confidence` is 0..1; `general_reasons` are `other` and `insufficient_content`; `dropped_claims` those that the
    check dropped or marked, other than answers to the owner's own questions; `sales_reasons` reasons with the sales
    flag. A call longer than `long_call_s` seconds is doubtful before anybody is asked; 0 stands for none.
    """

    min_confidence: float = 0.7
    general_reasons: bool = True
    dropped_claims: bool = True
    sales_reasons: bool = False
    long_call_s: float = 0.0


def doubt_of(analysis: Analysis, taxonomy: Taxonomy, rules: EscalationRules) -> str:
    """The code of the first doubt about a checked analysis; "" where it stands.

    `no_reason`, `suspicious_instruction`, `dropped_claims`, `general_reason`, `low_confidence`, `sales_reason`.
    """
    codes = {item.code for item in analysis.skipped if not item.feature.startswith("answers.")}
    reason = taxonomy.reason(analysis.reason_code) if analysis.reason_code else None
    doubts = {
        "no_reason": analysis.reason_code is None,
        SUSPICIOUS: SUSPICIOUS in codes,
        "dropped_claims": rules.dropped_claims and bool(codes & _DROPPED),
        "general_reason": rules.general_reasons and analysis.reason_code in {OTHER, INSUFFICIENT},
        "low_confidence": (analysis.reason_confidence or 0.0) < rules.min_confidence,
        "sales_reason": rules.sales_reasons and reason is not None and reason.is_sales,
    }
    return next((code for code, is_so in doubts.items() if is_so), "")


def doubt_before(duration_s: float | None, rules: EscalationRules) -> str:
    """The code of the doubt about a call before anybody is asked: `long_call`; "" where there is none."""
    return "long_call" if rules.long_call_s and (duration_s or 0.0) > rules.long_call_s else ""
