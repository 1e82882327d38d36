"""What people read for the codes that are stored: stages, causes, outcomes, lengths."""

_STAGES = {
    "announced": "Announced, its recording is still to be fetched from telephony",
    "received": "Waiting to be transcribed",
    "transcribed": "Transcribed, waiting for its summary",
    "understood": "Understood, waiting to be filed",
    "done": "Done",
    "skipped": "Skipped",
    "failed": "Failed",
}
_SKIP_REASONS = {
    "no_speech": "nobody speaks in the recording",
    "voicemail": "it is a voicemail",
    "too_short": "it is too short",
    "absent": "telephony made no recording",
    "recording_failed": "telephony could not make its recording",
}
_CAUSES = {
    "not_audio": "the file is no audio recording",
    "corrupt": "the audio is damaged and cannot be decoded",
    "empty": "the recording is empty",
    "too_long": "the recording is longer than allowed",
    "decoder_died": "the decoder died of the recording",
    "decoder_timed_out": "the recording takes too long to decode",
    "decoder_not_started": "the decoder could not be started",
    "unreadable_conversation": "the conversation came as text that cannot be read",
    "empty_conversation": "the conversation came as text and has no words",
    "no_conversation": "the file holds neither words nor a recording",
    "object_gone": "the recording is no longer in the object store",
    "refused": "the language model refused to answer",
    "truncated": "the language model's answer broke off",
    "invalid_answer": "the language model gave no usable answer",
    "empty_answer": "the language model gave an empty answer",
    "temporarily_unavailable": "an engine or a store could not be reached",
    "engine_misconfigured": "an engine's setting is wrong",
    "database_unreachable": "the database could not be reached",
    "store_unreachable": "the object store could not be reached",
    "object_archived": "the recording is archived in the object store and has to be restored",
    "object_refused": "the object store does not give out the recording",
    "object_replaced": "the recording was replaced in the object store",
    "rate_limited": "an engine's rate limit was reached",
    "quota_exhausted": "the account of an engine has no credit left",
    "wrong_api_key": "an engine refuses the API key",
    "missing_api_key": "an engine has no API key",
    "model_not_found": "an engine does not have the model that is set",
    "timed_out": "an engine took too long",
    "unreachable": "an engine could not be reached",
    "server_error": "an engine answered with an error of its own",
    "recording_gone": "telephony has no such recording, or not yet",
    "recording_empty": "telephony sent a recording without a byte",
    "recording_refused": "telephony does not give out the recording",
    "recording_too_large": "the recording is larger than allowed",
    "redirect_refused": "telephony sent us to a place that is not fetched from",
    "telephony_unreachable": "telephony could not be reached",
    "wrong_auth_token": "telephony refuses the token that is set",
    "missing_auth_token": "telephony's account is not configured",
    "worker_died": "the worker died while it was at work on this call",
    "unexpected_error": "something went wrong that nobody foresaw; the log says more",
}
# Why a part of an analysis is not there, or not to be relied on.
_DOUBTS = {
    "unsupported": "no words of the call bear it out",
    "missing": "there is none",
    "invalid_answer": "the engine's answer was of another kind than the question",
    "label_outside_taxonomy": "the engine named a reason that is none of the list",
    "no_sales_reason": "the engine told of a sale, and the call was not about one",
    "suspicious_instruction": "somebody in the call gives orders to the program that reads it",
    "leaked_prompt": "the engine repeated its own instructions",
    "engine_cannot_judge": "this engine cannot judge it",
    "unsure": "the classifier that labelled calls taught was not sure of it",
    "refused": "the engine that was asked for a second opinion refused to answer",
}
# Why a call is not at a CRM.
_HANDOVERS = {
    "not_approved": "somebody has to approve the summary first",
    "demo_result": "a demonstration engine wrote it",
    "words_gone": "its words are not kept any more",
    "rate_limited": "the limit of requests there is reached",
    "wrong_credentials": "it refuses the credentials that are set",
    "no_permission": "its user may not do this there",
    "no_external_id_field": "it has no field for our id of the call",
    "refused_request": "it refuses the request",
    "destination_gone": "it is there no more",
    "private_address": "its address is a private one",
    "timed_out": "it took too long",
    "unreachable": "it could not be reached",
    "server_error": "it answered with an error of its own",
    "invalid_response": "its answer could not be read",
    "validation_error": "it refuses what the call says",
    "no_answer": "it did not say whether it has the call",
}
_OUTCOMES = {
    "resolved": "Resolved",
    "follow_up": "Follow-up agreed",
    "escalated": "Escalated",
    "sale": "Sale",
    "no_sale": "No sale",
    "unresolved": "Not resolved",
}
_STEPS = {
    "call.transcribe": "transcription",
    "call.read": "reading",
    "call.understand": "the summary",
    "call.file": "filing",
}


def stage_words(stage: str, skip_reason: str | None = None, failed_code: str | None = None) -> str:
    """Where a call stands, with the cause where there is one."""
    if skip_reason:
        return f"{_STAGES[stage]}: {_SKIP_REASONS.get(skip_reason, readable(skip_reason))}"
    if failed_code:
        return f"{_STAGES[stage]}: {cause_words(failed_code)}"
    return _STAGES[stage]


def cause_words(code: str) -> str:
    """What went wrong; a code that has no words yet is shown as it is."""
    return _CAUSES.get(code, readable(code))


def handover_words(code: str) -> str:
    """Why a call is not at a CRM; a code that has no words yet is shown as it is."""
    if code.startswith("http_"):
        return f"it answered {code.removeprefix('http_')}"
    return _HANDOVERS.get(code, readable(code))


def doubt_words(code: str) -> str:
    """Why a part of an analysis is missing or doubtful; a code that has no words yet is shown as it is."""
    return _DOUBTS.get(code, readable(code))


def outcome_words(outcome: str | None) -> str:
    """How a call ended; empty when nobody could tell."""
    return _OUTCOMES.get(outcome or "", "")


def step_words(step: str) -> str:
    """A step of the pipeline, as a noun."""
    return _STEPS.get(step, step)


def sentiment_words(score: float | None) -> str:
    """A mood of -5 to +5 as a word; empty for None."""
    if score is None:
        return ""
    if score <= -3:
        return "very unhappy"
    if score <= -1:
        return "unhappy"
    if score < 1:
        return "neutral"
    return "happy" if score < 3 else "very happy"


def clock(seconds: float | None) -> str:
    """A length as people write it, 1:05 or 1:02:03; empty for None."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def readable(code: str) -> str:
    """A snake_case code as words."""
    return code.replace("_", " ")
