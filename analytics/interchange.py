"""One JSON file per call, for other systems that analyse conversations: a vCon, or what Amazon's PCA writes.

Without personal data, what leaves is redacted: what was said is, customers have neither name nor number, and free
attributes and the recording's name stay here.
Sources: draft-ietf-vcon-vcon-core (syntax 0.4.0); aws-samples/amazon-transcribe-post-call-analytics,
output_json_structure.md.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from analytics.export_pieces import Context, Entry, Piece
from analytics.star import fact_call, refresh_state
from calls.redaction import SensitiveFinder, find_sensitive, redact, redact_turns
from calls.transcript import Speaker, Turn
from crm.access import OPERATOR
from crm.findings import recall
from crm.one_call import AnalysisRow, CallInFull, call_in_full
from crm.privacy_tables import erased_call
from crm.redacted import remembering

_VENDOR = "callwise"
_LABELS = {Speaker.AGENT: "agent", Speaker.CUSTOMER: "customer", Speaker.UNKNOWN: "unknown"}
# What PCA calls the speakers: the customer first, as Transcribe Call Analytics has them.
_PCA_SPEAKERS = {Speaker.CUSTOMER: "spk_0", Speaker.AGENT: "spk_1", Speaker.UNKNOWN: "spk_2"}

Document = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """One call as it may leave."""

    call: CallInFull
    turns: tuple[Turn, ...]
    is_personal: bool
    zone: str
    find: SensitiveFinder

    def text(self, text: str) -> str:
        """A text about the call, redacted unless personal data leaves."""
        return text if self.is_personal else redact(text, self.find)

    @property
    def started_at(self) -> datetime:
        """When the conversation began, as far as is known."""
        return self.call.answered_at or self.call.line.happened_at


def vcon_pieces(context: Context) -> Iterator[Piece]:
    """The vCon of every real call that was understood and not erased since."""
    yield from _pieces(context, "vcon", ".vcon.json", vcon)


def pca_pieces(context: Context) -> Iterator[Piece]:
    """The same for PCA."""
    yield from _pieces(context, "pca", ".json", pca)


def _pieces(context: Context, kind: str, suffix: str, make: Callable[[Told], Document]) -> Iterator[Piece]:
    found = context.connection.execute(
        sa.select(fact_call.c.call_id, fact_call.c.date_key)
        .where(
            fact_call.c.handled_count == 1,
            fact_call.c.is_sample.is_(False),
            # It counts on, and there is nothing left to tell of it.
            fact_call.c.call_id.not_in(sa.select(erased_call.c.call_id)),
        )
        .order_by(fact_call.c.date_key, fact_call.c.call_key)
    ).all()
    for call_id, key in found:
        month = f"month={key // 10_000:04}-{key // 100 % 100:02}"
        # A correction changes the text and not the fact: it is always looked at, and written where it differs.
        yield Piece(f"{kind}/{month}/{call_id}{suffix}", kind, "", partial(_write, make, call_id))


def _write(
    make: Callable[[Told], Document], call_id: UUID, context: Context, path: Path, _done: Mapping[str, Entry]
) -> int:
    document = make(told(context.connection, call_id, personal_data=context.personal_data, find=context.find))
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1


def told(
    connection: sa.Connection, call_id: UUID, *, personal_data: bool, find: SensitiveFinder = find_sensitive
) -> Told:
    """The call as it may leave, with marks for what `find` finds. Raises NoSuchCall."""
    found = call_in_full(connection, OPERATOR, call_id)
    turns = list(found.transcript.turns) if found.transcript else []
    zone = connection.execute(sa.select(refresh_state.c.time_zone)).scalar_one_or_none() or "UTC"
    if not personal_data:
        # What is kept with the transcript need not be looked for in every edition.
        recall(connection, {call_id: turns}, find)
        turns = redact_turns(turns, remembering(find))
    return Told(found, tuple(turns), personal_data, zone, find)


def vcon(of: Told) -> Document:
    """The call as a vCon: who took part, when, what was said, and what is thought of it."""
    line = of.call.line
    customer = {"role": "customer"}
    if of.is_personal:
        customer |= _given(name=line.customer_name, tel=line.customer_number)
    agent = {"role": "agent"} | _given(name=line.agent)
    dialog = {
        "type": "recording",
        "start": of.started_at.isoformat(),
        "duration": line.duration_s,
        # By channel where the recording has one for each.
        "parties": _parties(of),
        "originator": 1 if line.direction == "outbound" else 0,
    }
    analyses: list[Document] = []
    if of.call.transcript is not None:
        heard = of.call.transcript
        body = {
            "utterances": [
                {"speaker": _LABELS[turn.speaker], "start": turn.start_s, "end": turn.end_s, "text": turn.text}
                for turn in of.turns
            ]
        }
        analyses.append(
            _analysis("transcript", heard.engine, body | _given(language=heard.language), schema="utterances")
        )
    if of.call.analysis is not None:
        given = of.call.analysis
        analyses.append({**_analysis("summary", given.model, of.text(given.summary)), "mediatype": "text/plain"})
        analyses.append(_analysis("report", given.model, _report(of, given), schema="callwise-analysis"))
    return {
        "vcon": "0.4.0",
        "uuid": str(line.id),
        "created_at": (of.call.finished_at or line.received_at).isoformat(),
        "updated_at": of.call.modified_at.isoformat(),
        "subject": of.text(of.call.analysis.headline) if of.call.analysis else "",
        "parties": [customer, agent],
        "dialog": [{key: value for key, value in dialog.items() if value is not None}],
        "analysis": analyses,
        "attachments": [],
    }


def _parties(of: Told) -> list[int]:
    heard = of.call.transcript
    return [1, 0] if heard is not None and heard.agent_channel == 0 else [0, 1]


def _analysis(kind: str, product: str, body: Any, schema: str = "") -> Document:
    is_text = isinstance(body, str)
    return {
        "type": kind,
        "dialog": 0,
        "vendor": _VENDOR,
        "product": product,
        **_given(schema=schema or None),
        "body": body if is_text else json.dumps(body, ensure_ascii=False),
        "encoding": "none" if is_text else "json",
    }


def _report(of: Told, given: AnalysisRow) -> Document:
    return {
        "headline": of.text(given.headline),
        "reason": _given(code=given.reason_code, label=given.reason_label, confidence=given.reason_confidence),
        "taxonomy_version": given.taxonomy_version,
        "outcome": given.outcome,
        "is_resolved": given.is_resolved,
        "sentiment_customer": given.sentiment_customer,
        "next_steps": [
            {key: of.text(value) if isinstance(value, str) else value for key, value in step.items()}
            for step in given.next_steps
        ],
        "is_demo": given.is_demo,
    }


def pca(of: Told) -> Document:
    """The call as PCA's post-processing writes it, so that what reads PCA's bucket reads this."""
    line, given, heard = of.call.line, of.call.analysis, of.call.transcript
    timing = heard.timing if heard else None
    speakers = [speaker for speaker in _PCA_SPEAKERS if any(turn.speaker is speaker for turn in of.turns)]
    customer = line.customer_name if of.is_personal else None
    names = {Speaker.AGENT: line.agent or "Agent", Speaker.CUSTOMER: customer or "Customer", Speaker.UNKNOWN: "Unknown"}
    times = {
        Speaker.AGENT: timing.talk_time_agent_s if timing else None,
        Speaker.CUSTOMER: timing.talk_time_customer_s if timing else None,
    }
    analytics = {
        **_given(Agent=line.agent, Cust=customer),
        "GUID": str(line.id),
        "ConversationTime": of.started_at.strftime("%Y-%m-%d %H:%M:%S"),
        "ConversationLocation": of.zone,
        "ProcessTime": (of.call.finished_at or line.received_at).strftime("%Y-%m-%d %H:%M:%S"),
        "Duration": line.duration_s,
        "LanguageCode": heard.language if heard else None,
        "SpeakerLabels": [{"Speaker": _PCA_SPEAKERS[one], "DisplayText": names[one]} for one in speakers],
        "SentimentTrends": _sentiments(given),
        "SpeakerTime": {
            **{_PCA_SPEAKERS[one]: {"TotalTimeSecs": times[one]} for one in speakers if times.get(one) is not None},
            **(
                {"NonTalkTime": {"TotalTimeSecs": timing.non_talk_time_s, "Instances": []}}
                if timing and timing.non_talk_time_s is not None
                else {}
            ),
        },
        "CustomEntities": [],
        "CategoriesDetected": _categories(given),
        "IssuesDetected": [{"Text": of.text(given.headline)}] if given else [],
        "ActionItemsDetected": _action_items(of, given),
        "OutcomesDetected": [{"Text": given.outcome}] if given else [],
        "Summary": {"Summary": of.text(given.summary)} if given else {},
        "SourceInformation": [],
    }
    return {"ConversationAnalytics": analytics, "SpeechSegments": [_segment(turn) for turn in of.turns]}


def _sentiments(given: AnalysisRow | None) -> Document:
    if given is None or given.sentiment_customer is None:
        return {}
    start, end = given.sentiment_customer_start, given.sentiment_customer_end
    trend: Document = {"SentimentScore": given.sentiment_customer, "SentimentPerQuarter": []}
    if start is not None and end is not None:
        trend["SentimentChange"] = round(end - start, 1)
        trend["SentimentPerQuarter"] = [{"Quarter": 1, "Score": start}, {"Quarter": 4, "Score": end}]
    return {_PCA_SPEAKERS[Speaker.CUSTOMER]: trend}


def _categories(given: AnalysisRow | None) -> list[Document]:
    if given is None or given.reason_code is None:
        return []
    names = [given.reason_label or given.reason_code, *(label for _, label in given.secondary_reasons)]
    return [{"Name": name, "Instances": 1, "Timestamps": []} for name in names]


def _action_items(of: Told, given: AnalysisRow | None) -> list[Document]:
    return [
        {"Text": of.text(" ".join(value for value in step.values() if value))}
        for step in (given.next_steps if given else ())
    ]


def _segment(turn: Turn) -> Document:
    return {
        "SegmentStartTime": turn.start_s,
        "SegmentEndTime": turn.end_s,
        "SegmentSpeaker": _PCA_SPEAKERS[turn.speaker],
        "SegmentInterruption": False,
        "OriginalText": turn.text,
        "DisplayText": turn.text,
        "TextEdited": False,
        "SentimentIsPositive": False,
        "SentimentIsNegative": False,
        "SentimentScore": 0.0,
        "LoudnessScores": [],
        "CategoriesDetected": [],
        "FollowOnCategories": [],
        "BaseSentimentScores": {},
        "EntitiesDetected": [],
        "IssuesDetected": [],
        "WordConfidence": [],
    }


def _given(**values: Any) -> Document:
    return {name: value for name, value in values.items() if value is not None}
