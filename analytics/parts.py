"""The parts of every measure: whole numbers that may be added over any set of calls."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A whole number to be added over any set of calls; `unit` is `calls`, `ms`, `microusd`, `tenths` or `events`."""

    name: str
    unit: str
    definition: str


PARTS = (
    Part("call_count", "calls", "1 for every call that has ended its way: done, skipped or failed."),
    Part("handled_count", "calls", "1 when the call was understood (stage done)."),
    Part("skipped_count", "calls", "1 when there was nothing to understand: no speech, a voicemail, too short."),
    Part("failed_count", "calls", "1 when a step failed for good."),
    Part("sample_count", "calls", "1 when the call is generated history, not a real call."),
    Part("demo_count", "calls", "1 when an offline demonstration engine heard or understood the call."),
    Part("handle_time_call_count", "calls", "1 when the call was handled and its length is known."),
    Part("handle_time_ms", "ms", "Talk, hold and after-call work; talk and hold together are the length of the call."),
    Part("acw_known_count", "calls", "1 of handle_time_call_count when telephony told the after-call work."),
    Part("acw_time_ms", "ms", "After-call work of the calls counted in acw_known_count."),
    Part("hold_known_count", "calls", "1 of handle_time_call_count when telephony told the hold time."),
    Part("hold_time_ms", "ms", "Hold time of the calls counted in hold_known_count."),
    Part("timed_count", "calls", "1 when the call was handled and its speakers could be told apart."),
    Part("talk_time_agent_ms", "ms", "Speech of the agent in the calls of timed_count; overlap counts for both."),
    Part("talk_time_customer_ms", "ms", "Speech of the customer in the calls of timed_count."),
    Part("talk_time_ms", "ms", "talk_time_agent_ms + talk_time_customer_ms."),
    Part(
        "interruption_count",
        "events",
        "Overlaps that one speaker started while the other spoke, in the calls of timed_count.",
    ),
    Part("interruption_time_known_count", "calls", "1 of timed_count when the length of its interruptions is known."),
    Part(
        "interruption_time_ms", "ms", "Overlap that one speaker started, in the calls of interruption_time_known_count."
    ),
    Part("conversation_known_count", "calls", "1 of timed_count when the time from first to last word is known."),
    Part("conversation_ms", "ms", "From the first to the last word, in the calls of conversation_known_count."),
    Part("conversation_talk_agent_ms", "ms", "Speech of the agent in the calls of conversation_known_count."),
    Part("monologue_known_count", "calls", "1 of timed_count when the longest monologues are known."),
    Part("longest_monologue_agent_ms", "ms", "The most the agent said without giving up the floor."),
    Part("longest_monologue_customer_ms", "ms", "The most the customer said without giving up the floor."),
    Part("non_talk_known_count", "calls", "1 when the call was handled and has a transcript."),
    Part("non_talk_time_ms", "ms", "Stretches of more than 3 s between first and last word in which nobody speaks."),
    Part("transfer_known_count", "calls", "1 when the call was handled and telephony told whether it was transferred."),
    Part("transferred_count", "calls", "1 of transfer_known_count when it was transferred."),
    Part(
        "classified_count",
        "calls",
        "1 when the call was handled and has a reason; `other` is one, too little content is none.",
    ),
    Part("unclassified_count", "calls", "1 when the call was handled and has no reason."),
    Part(
        "resolution_known_count",
        "calls",
        "1 when the call was handled and the model judged whether the matter was resolved.",
    ),
    Part("resolved_count", "calls", "1 of resolution_known_count when it was."),
    Part("outcome_known_count", "calls", "1 when the call was handled and its outcome is not `unknown`."),
    Part("escalated_count", "calls", "1 of outcome_known_count when the outcome is `escalated`."),
    Part("follow_up_count", "calls", "1 of outcome_known_count when the outcome is `follow_up`."),
    Part("sentiment_known_count", "calls", "1 when the call was handled and the customer's mood was judged."),
    Part("sentiment_tenths", "tenths", "The customer's mood over the call, -50 to +50."),
    Part("sentiment_end_count", "calls", "1 when the customer's mood was judged at the end."),
    Part("sentiment_end_tenths", "tenths", "The customer's mood over the last quarter of the call, -50 to +50."),
    Part("sentiment_shift_count", "calls", "1 when the customer's mood was judged at the start and at the end."),
    Part("sentiment_shift_tenths", "tenths", "Mood of the last quarter less mood of the start."),
    Part("repeat_window_count", "calls", "1 when customer and reason are known and 7 days have passed since the call."),
    Part("repeated_count", "calls", "1 of repeat_window_count when the customer called again about it within 7 days."),
    Part("not_repeated_count", "calls", "1 of repeat_window_count when the customer did not."),
    Part("sales_count", "calls", "1 when the call was handled and its reason is a sales reason."),
    Part("sale_count", "calls", "1 of sales_count when the outcome is `sale`."),
    Part("reason_reviewed_count", "calls", "1 when the call was handled and a person has stated its reason."),
    Part("reason_agreed_count", "calls", "1 of reason_reviewed_count when the engine had given that reason."),
    Part("outcome_reviewed_count", "calls", "1 when the call was handled and a person has stated its outcome."),
    Part("outcome_agreed_count", "calls", "1 of outcome_reviewed_count when the engine had given that outcome."),
    Part("cost_microusd", "microusd", "What the paid requests for the call cost, by the price table."),
    Part(
        "unpriced_request_count",
        "events",
        "Paid requests whose price the table did not know: their cost is not in cost_microusd.",
    ),
)

PART_NAMES = tuple(part.name for part in PARTS)
