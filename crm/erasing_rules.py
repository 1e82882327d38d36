"""What an erasure does with each table: every table and every column of a call has its rule here, and a test looks."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from calls.corrections import Field

# Of a call that is erased, what counts: no word, no name, no number, no id of telephony.
KEPT: dict[str, frozenset[str]] = {
    "call": frozenset(
        {
            *("id", "source_system", "profile", "stage", "skip_reason", "failed_step", "failed_code", "is_sample"),
            *("received_at", "finished_at", "queued_at", "started_at", "answered_at", "ended_at", "happened_at"),
            *("direction", "disposition", "agent_id", "queue_id", "agent_channel"),
            *("duration_s", "hold_time_s", "hold_count", "acw_time_s", "is_transferred"),
            # By triggers, of the analysis.
            *("reason_code", "outcome", "mood", "needs_review"),
        }
    ),
    "transcript": frozenset(
        {
            *("id", "call_id", "revision", "is_current", "engine", "is_demo", "language", "language_probability"),
            *("created_at", "turn_count", "conversation_s", "non_talk_time_s", "interruption_count"),
            *("talk_time_agent_s", "talk_time_customer_s", "longest_monologue_agent_s", "longest_monologue_customer_s"),
            *("interruption_time_agent_s", "interruption_time_customer_s"),
            *("interruption_agent_count", "interruption_customer_count", "word_agent_count", "word_customer_count"),
            # Codes.
            "skipped",
        }
    ),
    "call_analysis": frozenset(
        {
            *("id", "call_id", "revision", "is_current", "created_at", "model", "is_demo", "prompt_version"),
            *("taxonomy_version", "reason_code", "reason_confidence", "secondary_reason_codes", "summary_kind"),
            *("outcome", "is_resolved", "sentiment_customer", "sentiment_customer_start", "sentiment_customer_end"),
            *("tier", "escalated_for"),
            # Codes.
            "skipped",
        }
    ),
}

# What stands in the place of words that a table needs.
_INSTEAD: dict[tuple[str, str], Any] = {("call_analysis", "headline"): "Erased"}
_EMPTY_MAPPINGS = frozenset({"answers", "attributes"})
# Written by the erasure itself.
WRITTEN = {"call": frozenset({"external_call_id", "modified_at"})}


@dataclass(frozen=True)
class Columns:
    """Which column of a row names the call, and which the contact, with whom it goes."""

    call: str | None = None
    contact: str | None = None


# Rows that go with their call or their customer. In the order in which they may go.
ROWS_THAT_GO: dict[str, Columns] = {
    "review": Columns(call="call_id"),
    "reclassified_call": Columns(call="call_id"),
    "handover": Columns(call="call_id"),
    # What it is called in a CRM; what the CRM holds is the CRM's to erase.
    "crm_link": Columns(call="entity_id", contact="entity_id"),
    "call_text": Columns(call="call_id"),
    # Made of its words, and as near to them as any.
    "call_vector": Columns(call="call_id"),
}

# Rows that hold words, or what was made of them, where the words go and the call stays.
ROWS_OF_WORDS = ("call_text", "call_vector")
# What people said of a call in words of their own; that they corrected its reason, outcome or customer stays, in codes.
CORRECTED_WORDS = (Field.HEADLINE, Field.SUMMARY, Field.NEXT_STEPS)
_NO_MORE_WORDS = "Not kept any more"

# Rows that erasing.py and the privacy of customers deal with by themselves.
HANDLED = frozenset(
    {
        *(
            "job",
            "recording",
            "utterance",
            "sensitive_finding",
            "heard_piece",
            "batch_question",
            "telling",
            "awaited_object",
            "unreadable_event",
        ),
        "kept_answer",
        *("contact", "account", "erased_call", "erased_mark", "doomed_object", "taught_call"),
    }
)

# Tables that hold nobody's words and name no customer; why, where that is not plain.
STAYS = frozenset(
    {
        # What was paid, when and for which model: no words.
        "paid_request",
        # Who read and did what, by ids: it has to outlive what it is about.
        "audit_entry",
        # What all questions of one taxonomy have in common; its examples are redacted, and it goes when unused.
        "batch_prompt",
        *("agent", "team", "queue", "app_user", "app_user_team", "web_session", "api_token", "upkeep"),
        # Hashes, for minutes.
        "sign_in_failure",
        *("taxonomy", "reason", "reason_successor", "reclassification", "language_batch"),
        *("touched_day", "touched_call", "moved_call", "process_beat", "handover_destination", "meter"),
        # Figures of reasons and periods: nothing of a call.
        *("reason_alert", "week_report"),
    }
)


def blank(table: sa.Table) -> dict[str, Any]:
    """The values that leave of a row what KEPT names."""
    values: dict[str, Any] = {}
    for column in table.columns:
        if column.name in KEPT[table.name] or column.name in WRITTEN.get(table.name, ()):
            continue
        if (table.name, column.name) in _INSTEAD:
            values[column.name] = _INSTEAD[table.name, column.name]
        elif column.nullable:
            # A JSON column would else be told the JSON value null.
            values[column.name] = sa.null()
        elif isinstance(column.type, sa.JSON):
            values[column.name] = {} if column.name in _EMPTY_MAPPINGS else []
        else:
            values[column.name] = ""
    return values


def blank_words(table: sa.Table) -> dict[str, Any]:
    """The values that leave of a transcript or an analysis what counts, where its time is over."""
    values = blank(table)
    if "headline" in values:
        values["headline"] = _NO_MORE_WORDS
    return values
