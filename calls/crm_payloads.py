"""One call as each CRM writes it: Salesforce's Task and VoiceCall, HubSpot's calls, Dynamics' phonecall, Zendesk's
calls, and the document of a webhook.

Units and limits are the CRM's own: HubSpot counts milliseconds, Dynamics minutes, the others seconds; a text that is
too long is cut where the CRM would refuse it. A field that nobody knows is left out.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from typing import Any

from calls.handover import CrmIds, HandedCall
from calls.recording import Direction
from calls.words import outcome_words, readable

# Salesforce, Object Reference, Task and VoiceCall: lengths of the fields.
TASK_SUBJECT = 255
TASK_DESCRIPTION = 32_000
SALESFORCE_TEXT = 255
# HubSpot, Calls API: text properties.
HUBSPOT_TITLE = 255
HUBSPOT_BODY = 65_536
# "Connected" of HubSpot's default call outcomes: whoever was recorded was reached. What came of it says the body.
HUBSPOT_CONNECTED = "f240bbac-87c9-4f6e-bf70-924b57d47db7"
# Microsoft Dataverse, PhoneCall: subject and phonenumber, description.
DYNAMICS_TEXT = 200
DYNAMICS_DESCRIPTION = 2_000
ZENDESK_DISPOSITION = 255
# What Salesforce takes when a Task is made and refuses afterwards.
TASK_CREATE_ONLY = frozenset({"TaskSubtype"})

_SALESFORCE_TYPES = {Direction.INBOUND: "Inbound", Direction.OUTBOUND: "Outbound", Direction.INTERNAL: "Internal"}
_TWO_WAYS = {Direction.INBOUND: "inbound", Direction.OUTBOUND: "outbound"}


@dataclass(frozen=True)
class Payload:
    """What is sent to a CRM for one call: `fields` of its `entity`.

    `missing` are fields that the CRM asks for and nobody knows; `read_only` those of `fields` that the CRM's own
    functions write alone, by its documents.
    """

    system: str
    entity: str
    fields: Mapping[str, Any]
    missing: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()


def salesforce_task(call: HandedCall, ids: CrmIds = CrmIds(), *, zone: tzinfo = UTC) -> Payload:  # noqa: B008
    """A Task of the subtype Call; its date is the day of the call in `zone`.

    Source: Salesforce, Object Reference, Task; Call Centers and the API.
    """
    fields = _known(
        Subject=_cut(call.headline or "Call", TASK_SUBJECT),
        Description=_cut(description(call), TASK_DESCRIPTION),
        Status="Completed",
        TaskSubtype="Call",
        ActivityDate=call.happened_at.astimezone(zone).date().isoformat(),
        CallType=_SALESFORCE_TYPES.get(call.direction) if call.direction else None,
        CallDurationInSeconds=_whole(call.duration_s),
        CallDisposition=_cut(disposition(call), SALESFORCE_TEXT),
        CallObject=_cut(call.external_call_id, SALESFORCE_TEXT),
        WhoId=ids.contact,
        # A contact's account is its Task's account already; a lead has none.
        WhatId=ids.account if not ids.contact else None,
        OwnerId=ids.owner,
    )
    return Payload("salesforce", "Task", fields)


def salesforce_voice_call(call: HandedCall, ids: CrmIds = CrmIds()) -> Payload:  # noqa: B008
    """A VoiceCall. Source: Salesforce, Object Reference, VoiceCall."""
    fields = _known(
        CallStartDateTime=_moment(call.started_at or call.happened_at),
        CallQueuedDateTime=_moment(call.queued_at),
        CallAcceptDateTime=_moment(call.answered_at),
        CallEndDateTime=_moment(_end(call)),
        CallDurationInSeconds=_whole(call.duration_s),
        CallType=_SALESFORCE_TYPES.get(call.direction) if call.direction else None,
        # The state of the call, not what came of it.
        CallDisposition="completed",
        FromPhoneNumber=call.from_number_e164,
        ToPhoneNumber=call.to_number_e164,
        QueueName=_cut(call.queue or "", SALESFORCE_TEXT),
        CustomerHoldDuration=_whole(call.hold_time_s),
        NumberOfHolds=call.hold_count,
        CustomerSentimentScore=call.sentiment,
        VendorCallKey=_cut(call.external_call_id, SALESFORCE_TEXT),
        OwnerId=ids.owner,
    )
    needed = ("CallEndDateTime", "FromPhoneNumber", "ToPhoneNumber", "CallType")
    return Payload("salesforce", "VoiceCall", fields, _missing(fields, needed), _had(fields, "CustomerSentimentScore"))


def hubspot_call(call: HandedCall, ids: CrmIds = CrmIds()) -> Payload:  # noqa: B008
    """A call of HubSpot; its length is in milliseconds, its body is HTML in which the call's text is text.

    There is no `hs_call_recording_url`: HubSpot's players want an address that anybody may read.
    Source: HubSpot, CRM API, Calls.
    """
    direction = _TWO_WAYS.get(call.direction) if call.direction else None
    fields = _known(
        hs_timestamp=_moment(call.happened_at),
        hs_call_title=_cut(call.headline, HUBSPOT_TITLE),
        hs_call_body=_html(description(call), HUBSPOT_BODY),
        hs_call_duration=None if call.duration_s is None else str(round(call.duration_s * 1000)),
        hs_call_direction=direction and direction.upper(),
        hs_call_disposition=HUBSPOT_CONNECTED,
        hs_call_status="COMPLETED",
        hs_call_from_number=call.from_number_e164,
        hs_call_to_number=call.to_number_e164,
        hubspot_owner_id=ids.owner,
    )
    return Payload("hubspot", "calls", fields)


def dynamics_phone_call(call: HandedCall, ids: CrmIds = CrmIds()) -> Payload:  # noqa: B008
    """A phonecall of Dynamics 365; its length is in minutes, begun ones counted.

    It is made open: Dataverse completes an activity by a second request (statecode 1).
    Source: Microsoft, Dataverse, PhoneCall and ActivityParty.
    """
    is_outgoing = call.direction is Direction.OUTBOUND
    customer = {"partyid_contact@odata.bind": f"/contacts({ids.contact})"} if ids.contact else {}
    if not customer and call.customer_number_e164:
        customer = {"addressused": call.customer_number_e164}
    agent = {"partyid_systemuser@odata.bind": f"/systemusers({ids.owner})"} if ids.owner else {}
    # 1 is the sender, 2 the recipient.
    parties = [
        party | {"participationtypemask": 2 if is_outgoing == (party is customer) else 1}
        for party in (customer, agent)
        if party
    ]
    fields = _known(
        subject=_cut(call.headline or "Call", DYNAMICS_TEXT),
        description=_cut(description(call), DYNAMICS_DESCRIPTION),
        phonenumber=_cut(call.customer_number_e164 or "", DYNAMICS_TEXT),
        directioncode=None if call.direction is None else is_outgoing,
        actualstart=_moment(call.started_at or call.happened_at),
        actualend=_moment(_end(call)),
        actualdurationminutes=None if call.duration_s is None else -int(-call.duration_s // 60),
        phonecall_activity_parties=parties or None,
    )
    if ids.contact:
        fields["regardingobjectid_contact_phonecall@odata.bind"] = f"/contacts({ids.contact})"
    if ids.owner:
        fields["ownerid@odata.bind"] = f"/systemusers({ids.owner})"
    return Payload("dynamics", "phonecall", fields)


def zendesk_call(call: HandedCall, ids: CrmIds = CrmIds()) -> Payload:  # noqa: B008
    """A call of Zendesk Talk Partner Edition; `app_id` is the owner's. Source: Zendesk, Talk Partner Edition, Calls."""
    fields = _known(
        from_line=call.from_number_e164,
        to_line=call.to_number_e164,
        call_started_at=_moment(call.started_at or call.happened_at),
        call_ended_at=_moment(_end(call)),
        direction=_TWO_WAYS.get(call.direction) if call.direction else None,
        call_disposition=_cut(disposition(call), ZENDESK_DISPOSITION),
        completion_status="completed",
        # Zendesk's ids are numbers.
        agent_id=int(ids.owner) if ids.owner.isdigit() else None,
    )
    needed = ("app_id", "from_line", "to_line", "call_started_at", "direction")
    return Payload("zendesk", "calls", fields, _missing(fields, needed))


def webhook_call(call: HandedCall, ids: CrmIds = CrmIds()) -> Payload:  # noqa: B008
    """All that is known, under our own names: what a webhook gets."""
    fields: dict[str, Any] = {
        name: _plain(value) for name, value in asdict(call).items() if name not in {"answers", "next_steps"}
    }
    fields["next_steps"] = [
        {"text": step.text, "owner": step.owner, "due_on": step.due_on.isoformat() if step.due_on else None}
        for step in call.next_steps
    ]
    fields["answers"] = dict(call.answers or {})
    fields["crm"] = asdict(ids)
    return Payload("webhook", "call", fields)


# By the name under which they are asked for.
MAPPERS: Mapping[str, Callable[[HandedCall, CrmIds], Payload]] = {
    "salesforce": salesforce_task,
    "salesforce-voicecall": salesforce_voice_call,
    "hubspot": hubspot_call,
    "dynamics": dynamics_phone_call,
    "zendesk": zendesk_call,
    "webhook": webhook_call,
}


def disposition(call: HandedCall) -> str:
    """The reason and what came of it, as one line."""
    told = (call.reason_label or (call.reason_code and readable(call.reason_code)), outcome_words(call.outcome))
    return ": ".join(one for one in told if one)


def description(call: HandedCall) -> str:
    """The call as a person reads it in another system, most wanted first: a text that is cut loses its end."""
    lines = [call.summary] if call.summary else []
    facts = [
        ("Reason", call.reason_label or (call.reason_code and readable(call.reason_code))),
        ("Outcome", outcome_words(call.outcome)),
        ("Customer's mood", _mood(call)),
        ("Agent", call.agent),
        ("Queue", call.queue),
    ]
    steps = [f"- {step.text}{_who_and_when(step.owner, step.due_on)}" for step in call.next_steps]
    parts = [
        "\n".join(lines),
        "\n".join(["Next steps:", *steps]) if steps else "",
        "\n".join(f"{name}: {value}" for name, value in facts if value),
        _written_by(call),
        call.page_url,
    ]
    return "\n\n".join(part for part in parts if part)


def _written_by(call: HandedCall) -> str:
    if call.reviewed_by:
        return f"Checked by {call.reviewed_by}."
    kind = "Excerpts of the call, chosen" if call.summary_kind == "excerpts" else "Written"
    return f"{kind} by {call.model} from the recording." if call.model else ""


def _end(call: HandedCall) -> datetime | None:
    """When the call ended: most telephony says when it began, and the recording how long it was."""
    if call.ended_at is None and call.started_at is not None and call.duration_s is not None:
        return call.started_at + timedelta(seconds=call.duration_s)
    return call.ended_at


def _mood(call: HandedCall) -> str:
    if call.sentiment_start is not None and call.sentiment_end is not None:
        return f"{call.sentiment_start:+g} at the start, {call.sentiment_end:+g} at the end (-5 to +5)"
    return "" if call.sentiment is None else f"{call.sentiment:+g} (-5 to +5)"


def _who_and_when(owner: str, due_on: object) -> str:
    told = [owner] if owner else []
    if due_on is not None:
        told.append(f"by {due_on}")
    return f" ({', '.join(told)})" if told else ""


def _html(text: str, length: int) -> str:
    """The text as HTML of at most `length` characters, cut between two characters of the text."""
    written = []
    left = length
    for one in text:
        shown = "<br>" if one == "\n" else escape(one)
        if len(shown) > left:
            break
        left -= len(shown)
        written.append(shown)
    return "".join(written)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _missing(fields: Mapping[str, Any], needed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in needed if name not in fields)


def _had(fields: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name in fields)


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return _moment(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
