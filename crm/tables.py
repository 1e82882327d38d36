"""The tables of the CRM-shaped database.

Names and shapes map to Salesforce, HubSpot, Dynamics and Zendesk (docs/architecture.md). Keys are UUIDs, times are
aware UTC (`_at`), `_s` are seconds, enumerations are text with a CHECK. What telephony said lives on `call`, what an
engine heard on `transcript`, what a model said on `call_analysis`; the last two are revisions, of which one is current.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from calls.analysis import Outcome
from calls.pipeline import SkipReason, Stage
from calls.recording import Direction
from calls.transcript import Speaker

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(sa.TypeDecorator[datetime]):
    """An aware moment, stored as UTC; a naive one is refused, because nobody can say when it was."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def _one_of(column: str, values: Iterable[str]) -> sa.CheckConstraint:
    # Compared one by one: for IN, SQLite builds a list of the values with every row that it inserts.
    return sa.CheckConstraint(" OR ".join(f"{column} = '{value}'" for value in values), name=column)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


def _ref(name: str, target: str, *, nullable: bool = True, index: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid, sa.ForeignKey(f"{target}.id"), nullable=nullable, index=index)


def _listed_by(column: str, *beside: str, is_always_there: bool = False) -> sa.Index:
    there = None if is_always_there else sa.text(f"{column} IS NOT NULL")
    return sa.Index(
        f"ix_call_{column}_happened_at_id",
        column,
        "happened_at",
        "id",
        *beside,
        sqlite_where=there,
        postgresql_where=there,
    )


# A call of which nobody told a number or a name is no answer to who looks for a customer, and most calls begin as such.
_UNFILED = (
    "contact_id IS NULL AND (from_number_e164 IS NOT NULL OR to_number_e164 IS NOT NULL OR customer_name IS NOT NULL)"
)
_OF_UNFILED = ("is_sample", "agent_id", "direction", "from_number_e164", "to_number_e164", "customer_name")


def _listed_where(name: str, condition: str, on_sqlite: str = "", columns: Iterable[str] = ()) -> sa.Index:
    # SQLite takes a partial index for a query that says its condition in the same words.
    return sa.Index(
        f"ix_call_{name}",
        "happened_at",
        "id",
        *columns,
        sqlite_where=sa.text(on_sqlite or condition),
        postgresql_where=sa.text(condition),
    )


account = sa.Table(
    "account",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("domain", sa.Text),
)

contact = sa.Table(
    "contact",
    metadata,
    _id(),
    _ref("account_id", "account"),
    sa.Column("first_name", sa.Text),
    sa.Column("last_name", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("phone_e164", sa.Text, unique=True),
    sa.Column("anonymized_at", UtcDateTime),
)

team = sa.Table("team", metadata, _id(), sa.Column("name", sa.Text, nullable=False, unique=True))

agent = sa.Table(
    "agent",
    metadata,
    _id(),
    sa.Column("display_name", sa.Text, nullable=False, unique=True),
    sa.Column("email", sa.Text),
    _ref("team_id", "team", index=True),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
)

queue = sa.Table(
    "queue",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("time_zone", sa.Text),
)

taxonomy = sa.Table(
    "taxonomy",
    metadata,
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False, server_default=""),
    sa.Column("questions", JSON, nullable=False),
    sa.Column("loaded_at", UtcDateTime, nullable=False),
    # When the reasons file of the settings last said this; NULL for a version that only `reasons load` brought.
    sa.Column("taken_from_file_at", UtcDateTime),
    sa.Column("is_current", sa.Boolean, nullable=False),
    sa.Index(
        "uq_taxonomy_current",
        "is_current",
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    ),
)

reason = sa.Table(
    "reason",
    metadata,
    _id(),
    sa.Column("taxonomy_version", sa.Text, sa.ForeignKey("taxonomy.version"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("examples", JSON, nullable=False),
    sa.Column("parent_code", sa.Text),
    sa.Column("is_sales", sa.Boolean, nullable=False),
    # Codes of earlier versions that go on as this one.
    sa.Column("replaces", JSON, nullable=False, server_default=sa.text("'[]'")),
    sa.UniqueConstraint("taxonomy_version", "code"),
)

call = sa.Table(
    "call",
    metadata,
    _id(),
    sa.Column("source_system", sa.Text, nullable=False),
    sa.Column("external_call_id", sa.Text, nullable=False),
    sa.Column("initial_call_id", sa.Text),
    sa.Column("previous_call_id", sa.Text),
    # The telephony profile that read the recording's name; NULL means that none did, which is counted and shown.
    sa.Column("profile", sa.Text),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("skip_reason", sa.Text),
    sa.Column("failed_step", sa.Text),
    sa.Column("failed_code", sa.Text),
    sa.Column("failed_detail", sa.Text),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("modified_at", UtcDateTime, nullable=False),
    sa.Column("is_sample", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("direction", sa.Text),
    sa.Column("disposition", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("from_number_e164", sa.Text),
    sa.Column("to_number_e164", sa.Text),
    sa.Column("customer_name", sa.Text),
    _ref("contact_id", "contact"),
    _ref("account_id", "account"),
    _ref("agent_id", "agent"),
    _ref("queue_id", "queue"),
    sa.Column("queued_at", UtcDateTime),
    # NULL while nobody has said when the call was.
    sa.Column("started_at", UtcDateTime),
    sa.Column("answered_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    # When the call was, for lists and days: started_at where telephony said it, else received_at.
    sa.Column("happened_at", UtcDateTime, nullable=False),
    sa.Column("duration_s", sa.Float),
    sa.Column("hold_time_s", sa.Float),
    sa.Column("hold_count", sa.Integer),
    sa.Column("acw_time_s", sa.Float),
    sa.Column("is_transferred", sa.Boolean),
    sa.Column("disconnect_reason", sa.Text),
    sa.Column("agent_channel", sa.Integer),
    # The earlier call of the same customer, set when the call is filed.
    _ref("earlier_call_id", "call"),
    sa.Column("attributes", JSON, nullable=False),
    # Of the current analysis, so that lists find calls by an index. Triggers keep these four (migration 0012): nobody
    # else writes them. NULL where there is no analysis.
    sa.Column("reason_code", sa.Text),
    sa.Column("outcome", sa.Text),
    # Of the customer: low (-1 and less), even or high (1 and more).
    sa.Column("mood", sa.Text),
    # No person has had a say yet, and the reason is unsure or other, or something of the analysis has no quote.
    sa.Column("needs_review", sa.Boolean),
    sa.UniqueConstraint("source_system", "external_call_id"),
    _one_of("stage", [*Stage]),
    _one_of("skip_reason", [*SkipReason]),
    _one_of("direction", [*Direction]),
    sa.Index("ix_call_happened_at_id", "happened_at", "id"),
    # What a list is filtered by, each in the list's order: a page is read from where it begins, however deep it lies.
    # An agent's calls are few, and whoever filters them has all of them looked through: for that no row is read.
    _listed_by("agent_id", "is_sample", "reason_code", "outcome", "mood"),
    *(_listed_by(column) for column in ("queue_id", "direction")),
    _listed_by("stage", is_always_there=True),
    *(_listed_by(column) for column in ("reason_code", "outcome", "mood")),
    _listed_where("needs_review", "needs_review", "needs_review = 1"),
    _listed_where("is_sample", "is_sample", "is_sample = 1"),
    # With all that a search for a customer asks of them: nobody knows whose they are but by their own words.
    _listed_where("unfiled", _UNFILED, columns=_OF_UNFILED),
    # Recordings whose names nobody could read are looked at by people.
    _listed_where("unread_name", "profile IS NULL AND is_sample IS false", "profile IS NULL AND is_sample IS 0"),
    # A call gets its customer when it is filed: until then it costs nothing here.
    sa.Index(
        "ix_call_contact_id_happened_at",
        "contact_id",
        "happened_at",
        sqlite_where=sa.text("contact_id IS NOT NULL"),
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    ),
    # Several recordings of one conversation find each other by it.
    sa.Index(
        "ix_call_initial_call_id",
        "initial_call_id",
        sqlite_where=sa.text("initial_call_id IS NOT NULL"),
        postgresql_where=sa.text("initial_call_id IS NOT NULL"),
    ),
)

recording = sa.Table(
    "recording",
    metadata,
    _id(),
    _ref("call_id", "call", nullable=False, index=True),
    sa.Column("bucket", sa.Text, nullable=False),
    sa.Column("object_key", sa.Text, nullable=False),
    sa.Column("version_id", sa.Text, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("is_current", sa.Boolean, nullable=False),
    # A conversation that came as text: it has turns and no sound.
    sa.Column("is_text", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("stored_at", UtcDateTime),
    sa.Column("sha256", sa.Text),
    sa.Column("container", sa.Text),
    sa.Column("codec", sa.Text),
    sa.Column("channel_count", sa.Integer),
    sa.Column("sample_rate_hz", sa.Integer),
    sa.Column("duration_s", sa.Float),
    sa.Column("playback_key", sa.Text),
    # When the sound was deleted because its time was over; the row stays, so that the recording is known.
    sa.Column("removed_at", UtcDateTime),
    sa.UniqueConstraint("bucket", "object_key", "version_id", "etag"),
)

job = sa.Table(
    "job",
    metadata,
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id"), primary_key=True),
    sa.Column("step", sa.Text, nullable=False),
    # calls.pipeline.Lane: 0 live, 1 backfill.
    sa.Column("lane", sa.SmallInteger, nullable=False, server_default="0"),
    # When the work may be taken: a claim and a back-off both move it into the future.
    sa.Column("due_at", UtcDateTime, nullable=False),
    # When a message about it was last sent; NULL until the sweep or a bell has done so.
    sa.Column("rung_at", UtcDateTime),
    # Counted before the work begins, so that a death in mid-work counts too; back to 0 when a step succeeds.
    sa.Column("attempt_count", sa.Integer, nullable=False),
    # The fencing token: it grows with every claim, and a result is written only under the token of its claim.
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("last_code", sa.Text),
    sa.Column("last_detail", sa.Text),
    sa.Index("ix_job_step_lane_due_at", "step", "lane", "due_at"),
    # What waits for a budget, a batch or a person may be a pile that the live work is not to be read through.
    sa.Index(
        "ix_job_last_code_lane_due_at",
        "last_code",
        "lane",
        "due_at",
        sqlite_where=sa.text("last_code IS NOT NULL"),
        postgresql_where=sa.text("last_code IS NOT NULL"),
    ),
)

transcript = sa.Table(
    "transcript",
    metadata,
    _id(),
    _ref("call_id", "call", nullable=False),
    _ref("recording_id", "recording"),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("is_current", sa.Boolean, nullable=False),
    sa.Column("engine", sa.Text, nullable=False),
    sa.Column("is_demo", sa.Boolean, nullable=False),
    sa.Column("language", sa.Text),
    sa.Column("language_probability", sa.Float),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("talk_time_agent_s", sa.Float),
    sa.Column("talk_time_customer_s", sa.Float),
    sa.Column("non_talk_time_s", sa.Float),
    sa.Column("interruption_count", sa.Integer),
    sa.Column("turn_count", sa.Integer, nullable=False),
    sa.Column("skipped", JSON, nullable=False),
    # In English: [[channel, start_s, end_s, text], ...]; NULL where no translation was made.
    sa.Column("translation", sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")),
    # The channel by which speakers were named; NULL where they are unknown, or named by the text that was given.
    sa.Column("agent_channel", sa.SmallInteger),
    sa.Column("conversation_s", sa.Float),
    sa.Column("interruption_time_agent_s", sa.Float),
    sa.Column("interruption_time_customer_s", sa.Float),
    sa.Column("longest_monologue_agent_s", sa.Float),
    sa.Column("longest_monologue_customer_s", sa.Float),
    sa.Column("interruption_agent_count", sa.Integer),
    sa.Column("interruption_customer_count", sa.Integer),
    sa.Column("word_agent_count", sa.Integer),
    sa.Column("word_customer_count", sa.Integer),
    sa.UniqueConstraint("call_id", "revision"),
    sa.Index(
        "uq_transcript_current",
        "call_id",
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    ),
)

utterance = sa.Table(
    "utterance",
    metadata,
    sa.Column("transcript_id", sa.Uuid, sa.ForeignKey("transcript.id"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("speaker", sa.Text, nullable=False),
    sa.Column("channel", sa.Integer, nullable=False),
    sa.Column("start_s", sa.Float, nullable=False),
    sa.Column("end_s", sa.Float, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("avg_confidence", sa.Float),
    # [[text, start_s, end_s, confidence or null], ...]
    sa.Column("words", JSON, nullable=False),
    _one_of("speaker", [*Speaker]),
)

call_analysis = sa.Table(
    "call_analysis",
    metadata,
    _id(),
    _ref("call_id", "call", nullable=False),
    _ref("transcript_id", "transcript"),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("is_current", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("headline", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("summary_kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("reason_code", sa.Text),
    sa.Column("reason_confidence", sa.Float),
    # [code, ...]
    sa.Column("secondary_reason_codes", JSON, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("is_resolved", sa.Boolean),
    # [{"text", "owner", "due_on" (ISO date or null)}, ...]
    sa.Column("next_steps", JSON, nullable=False),
    # [{"field", "turn", "quote"}, ...]
    sa.Column("evidence", JSON, nullable=False),
    # {question code: answer}
    sa.Column("answers", JSON, nullable=False),
    # [{"feature", "code"}, ...]
    sa.Column("skipped", JSON, nullable=False),
    sa.Column("sentiment_customer", sa.Float),
    sa.Column("sentiment_customer_start", sa.Float),
    sa.Column("sentiment_customer_end", sa.Float),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("is_demo", sa.Boolean, nullable=False),
    sa.Column("prompt_version", sa.Text, nullable=False),
    sa.Column("taxonomy_version", sa.Text, sa.ForeignKey("taxonomy.version"), nullable=False),
    # Which engine of several answered, counted from 0, and the doubt for which the one before was not enough.
    sa.Column("tier", sa.SmallInteger),
    sa.Column("escalated_for", sa.Text),
    sa.UniqueConstraint("call_id", "revision"),
    _one_of("outcome", [*Outcome]),
    sa.Index(
        "ix_call_analysis_tier",
        "tier",
        "escalated_for",
        sqlite_where=sa.text("is_current AND tier IS NOT NULL"),
        postgresql_where=sa.text("is_current AND tier IS NOT NULL"),
    ),
    # The condition's column as well: without it SQLite would read every row to look at it again.
    sa.Index(
        "ix_call_analysis_taxonomy_version",
        "taxonomy_version",
        "is_current",
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    ),
    sa.Index(
        "uq_call_analysis_current",
        "call_id",
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    ),
)

heard_piece = sa.Table(
    "heard_piece",
    metadata,
    sa.Column("recording_id", sa.Uuid, sa.ForeignKey("recording.id"), primary_key=True),
    # A hash of the piece's sound and of what was asked for it.
    sa.Column("piece_key", sa.Text, primary_key=True),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
)

paid_request = sa.Table(
    "paid_request",
    metadata,
    _id(),
    _ref("call_id", "call", index=True),
    sa.Column("paid_at", UtcDateTime, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("input_tokens", sa.Integer, nullable=False),
    sa.Column("cached_tokens", sa.Integer, nullable=False),
    sa.Column("output_tokens", sa.Integer, nullable=False),
    sa.Column("audio_s", sa.Float, nullable=False),
    sa.Column("cost_microusd", sa.BigInteger),
    sa.Column("is_batch", sa.Boolean, nullable=False, server_default=sa.false()),
    # What budgets add up before each piece of work: it must not read the rows.
    sa.Index("ix_paid_request_paid_at", "paid_at", "purpose", "cost_microusd"),
)

unreadable_event = sa.Table(
    "unreadable_event",
    metadata,
    _id(),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

telling = sa.Table(
    "telling",
    metadata,
    # What it is about, in the words of ingest.tellings: an object, objects of one base name, a call, a conversation.
    sa.Column("subject", sa.Text, primary_key=True),
    # Who told it: one origin speaks once of a subject, and what it says later replaces what it said before.
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("rank", sa.SmallInteger, nullable=False),
    sa.Column("as_of", UtcDateTime),
    sa.Column("told_at", UtcDateTime, nullable=False),
    # The object that held it, so that reconcile knows it from one that nobody has read.
    sa.Column("etag", sa.Text, nullable=False, server_default=""),
    sa.Column("facts", JSON, nullable=False),
    sa.Index("ix_telling_origin", "origin"),
)

awaited_object = sa.Table(
    "awaited_object",
    metadata,
    # Announced, and not in the store when it was looked for: a store may speak before it shows.
    sa.Column("bucket", sa.Text, primary_key=True),
    sa.Column("object_key", sa.Text, primary_key=True),
    # Every key that the announcement may mean, the likeliest first.
    sa.Column("candidates", JSON, nullable=False),
    sa.Column("announced_at", UtcDateTime, nullable=False),
    sa.Column("look_at", UtcDateTime, nullable=False, index=True),
    sa.Column("look_count", sa.Integer, nullable=False),
)

touched_day = sa.Table(
    "touched_day",
    metadata,
    # One row per change, not per day: a mark committed while the roll-ups run must outlive their taking of the others.
    _id(),
    # The UTC date of call.happened_at; analytics decides which local days that can be.
    sa.Column("utc_day", sa.Date, nullable=False),
)

process_beat = sa.Table(
    "process_beat",
    metadata,
    # "worker@host:pid" and the like.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("beat_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
)

app_user = sa.Table(
    "app_user",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
    # Whose calls an agent's account sees.
    _ref("agent_id", "agent"),
    # Issuer and subject of somebody who signs in elsewhere; such an account's password hash is "".
    sa.Column("oidc_subject", sa.Text, unique=True),
    _one_of("role", ["agent", "lead", "analyst", "reviewer", "admin"]),
)
