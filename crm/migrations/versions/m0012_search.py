"""Search by words, and lists by an index: what calls are found by stands beside them, kept by triggers."""

# ruff: noqa: S608 - statements out of our own words

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_LISTED_BY = ("agent_id", "queue_id", "direction", "stage", "reason_code", "outcome", "mood")
_LISTED_WHERE = {"needs_review": "needs_review", "is_sample": "is_sample", "unfiled": "contact_id IS NULL"}
_OF_UNFILED = ("is_sample", "agent_id", "direction", "from_number_e164", "to_number_e164", "customer_name")
_ON_SQLITE = {"needs_review": "needs_review = 1", "is_sample": "is_sample = 1"}

# What a list is filtered by, of the analysis `a`.
_FACETS = """reason_code = a.reason_code, outcome = a.outcome,
 mood = CASE WHEN a.sentiment_customer <= -1 THEN 'low' WHEN a.sentiment_customer >= 1 THEN 'high'
  WHEN a.sentiment_customer IS NOT NULL THEN 'even' END,
 needs_review = NOT EXISTS (SELECT 1 FROM review WHERE review.call_id = a.call_id)
  AND (coalesce(a.reason_code, 'other') = 'other' OR coalesce(a.reason_confidence, 1) < 0.5
   OR EXISTS (SELECT 1 FROM {doubts} WHERE {code} IN ('unsupported', 'suspicious_instruction')))"""
_DOUBTS = {
    "sqlite": {"doubts": "json_each(a.skipped) AS doubt", "code": "json_extract(doubt.value, '$.code')"},
    "postgresql": {"doubts": "jsonb_array_elements(a.skipped) AS doubt", "code": "doubt->>'code'"},
}
_NO_FACETS = "UPDATE call SET reason_code = NULL, outcome = NULL, mood = NULL, needs_review = NULL WHERE id = {call}"
_SEEN = "UPDATE call SET needs_review = {no} WHERE id = NEW.call_id AND needs_review"
_COLUMNS_OF_ANALYSIS = (
    "is_current, reason_code, reason_confidence, outcome, sentiment_customer, skipped, headline, summary, next_steps"
)

# A call's number, before what tells calls of one millisecond apart.
_BASE_ON_SQLITE = """(CAST(strftime('%s', call.happened_at) AS INTEGER) * 1000
 + CAST(substr(call.happened_at || '.000', 21, 3) AS INTEGER)) * 1048576"""
_BASE_ON_POSTGRESQL = "(floor(extract(epoch FROM call.happened_at) * 1000)::bigint * 1048576)"
_ABOUT_ON_SQLITE = """(SELECT a.headline || char(10) || a.summary || coalesce((SELECT char(10) ||
  group_concat(json_extract(step.value, '$.text'), char(10)) FROM json_each(a.next_steps) AS step), '')
 FROM call_analysis AS a WHERE a.call_id = call.id AND a.is_current)"""
_ABOUT_ON_POSTGRESQL = """(SELECT a.headline || chr(10) || a.summary || coalesce((SELECT chr(10) ||
  string_agg(step->>'text', chr(10)) FROM jsonb_array_elements(a.next_steps) AS step), '')
 FROM call_analysis AS a WHERE a.call_id = call.id AND a.is_current)"""
_SAID_ON_SQLITE = """(SELECT group_concat(text, char(10)) FROM (SELECT u.text FROM transcript AS t
 JOIN utterance AS u ON u.transcript_id = t.id WHERE t.call_id = call.id AND t.is_current ORDER BY u.seq))"""
_SAID_ON_POSTGRESQL = """(SELECT string_agg(u.text, chr(10) ORDER BY u.seq) FROM transcript AS t
 JOIN utterance AS u ON u.transcript_id = t.id WHERE t.call_id = call.id AND t.is_current)"""

_ALL_TEXTS = """INSERT INTO call_text (number, call_id, about, said)
SELECT base + row_number() OVER (PARTITION BY base ORDER BY id) - 1, id, coalesce(about, ''), coalesce(said, '')
FROM (SELECT call.id, {base} AS base, {about} AS about, {said} AS said FROM call) AS words
WHERE about IS NOT NULL OR said IS NOT NULL"""
_REFRESH_ON_SQLITE = f"""
 DELETE FROM call_text WHERE call_id = {{call}}
  AND NOT EXISTS (SELECT 1 FROM transcript AS t WHERE t.call_id = {{call}} AND t.is_current)
  AND NOT EXISTS (SELECT 1 FROM call_analysis AS a WHERE a.call_id = {{call}} AND a.is_current);
 INSERT INTO call_text (number, call_id, about, said)
 SELECT coalesce((SELECT max(number) + 1 FROM call_text WHERE number BETWEEN base AND base + 1048575), base),
  id, coalesce(about, ''), coalesce(said, '')
 FROM (SELECT call.id, {_BASE_ON_SQLITE} AS base, {_ABOUT_ON_SQLITE} AS about, {_SAID_ON_SQLITE} AS said
  FROM call WHERE call.id = {{call}})
 WHERE about IS NOT NULL OR said IS NOT NULL
 ON CONFLICT (call_id) DO UPDATE SET about = excluded.about, said = excluded.said
 WHERE call_text.about <> excluded.about OR call_text.said <> excluded.said;"""
_RENUMBER_ON_SQLITE = f"""
 UPDATE call_text SET number = (SELECT coalesce((SELECT max(number) + 1 FROM call_text
   WHERE number BETWEEN base AND base + 1048575), base) FROM (SELECT {_BASE_ON_SQLITE} AS base FROM call
   WHERE call.id = NEW.id)) WHERE call_id = NEW.id;"""


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    _tables(dialect)
    if dialect == "sqlite":
        _on_sqlite()
    else:
        _on_postgresql()


def _tables(dialect: str) -> None:
    for name, kind in (
        ("reason_code", sa.Text()),
        ("outcome", sa.Text()),
        ("mood", sa.Text()),
        ("needs_review", sa.Boolean()),
    ):
        op.add_column("call", sa.Column(name, kind))
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "call_text",
        sa.Column("number", number, primary_key=True, autoincrement=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_call_text"),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_call_text_call_id_call", ondelete="CASCADE"),
        sa.UniqueConstraint("call_id", name="uq_call_text_call_id"),
    )
    facets = _FACETS.format(**_DOUBTS[dialect])
    op.execute(f"UPDATE call SET {facets} FROM call_analysis AS a WHERE a.call_id = call.id AND a.is_current")
    for column in _LISTED_BY:
        # SQLite takes no partial index for a condition that is true of every row.
        there = sa.text(f"{column} IS NOT NULL") if column != "stage" else None
        columns = [column, "happened_at", "id"]
        op.create_index(f"ix_call_{column}_happened_at_id", "call", columns, sqlite_where=there, postgresql_where=there)
    for name, condition in _LISTED_WHERE.items():
        op.create_index(
            f"ix_call_{name}",
            "call",
            ["happened_at", "id", *(_OF_UNFILED if name == "unfiled" else ())],
            sqlite_where=sa.text(_ON_SQLITE.get(name, condition)),
            postgresql_where=sa.text(condition),
        )


def _on_sqlite() -> None:
    for table, first, second, tokenizer in (
        ("call", "about", "said", "unicode61 remove_diacritics 0"),
        ("contact", "name", "phone", "trigram"),
    ):
        if table == "contact":
            op.execute(
                "CREATE TABLE contact_text (number INTEGER PRIMARY KEY, contact_id CHAR(32) NOT NULL UNIQUE"
                " REFERENCES contact (id) ON DELETE CASCADE, name TEXT NOT NULL, phone TEXT NOT NULL)"
            )
        words = f"{table}_words"
        columns = f"{first}, {second}"
        op.execute(
            f"CREATE VIRTUAL TABLE {words} USING fts5({columns}, content='{table}_text', content_rowid='number',"
            f" columnsize=0, tokenize='{tokenizer}')"
        )
        forget = (
            f"INSERT INTO {words} ({words}, rowid, {columns}) VALUES ('delete', OLD.number, OLD.{first}, OLD.{second});"
        )
        learn = f"INSERT INTO {words} (rowid, {columns}) VALUES (NEW.number, NEW.{first}, NEW.{second});"
        _trigger(f"{table}_text_learned", f"INSERT ON {table}_text", learn)
        _trigger(f"{table}_text_changed", f"UPDATE ON {table}_text", forget + learn)
        _trigger(f"{table}_text_forgotten", f"DELETE ON {table}_text", forget)
    listed = (
        f"UPDATE call SET {_FACETS.format(**_DOUBTS['sqlite'])}"
        " FROM call_analysis AS a WHERE a.id = NEW.id AND call.id = a.call_id;"
    )
    refresh_new = _REFRESH_ON_SQLITE.format(call="NEW.call_id")
    refresh_old = _REFRESH_ON_SQLITE.format(call="OLD.call_id")
    none = _NO_FACETS.format(call="OLD.call_id") + ";"
    _trigger("call_analysis_new", "INSERT ON call_analysis", listed + refresh_new, "NEW.is_current")
    _trigger(
        "call_analysis_changed",
        f"UPDATE OF {_COLUMNS_OF_ANALYSIS} ON call_analysis",
        listed + refresh_new,
        "NEW.is_current",
    )
    _trigger(
        "call_analysis_past", "UPDATE OF is_current ON call_analysis", none, "OLD.is_current AND NOT NEW.is_current"
    )
    _trigger("call_analysis_gone", "DELETE ON call_analysis", none + refresh_old, "OLD.is_current")
    _trigger("transcript_gone", "DELETE ON transcript", refresh_old, "OLD.is_current")
    # A step has written what was said before it moves the call on; a call that is heard anew begins without.
    _trigger(
        "call_moved",
        "UPDATE OF stage ON call",
        _REFRESH_ON_SQLITE.format(call="NEW.id"),
        "NEW.stage <> OLD.stage AND NEW.stage IN ('received', 'transcribed')",
    )
    _trigger("call_dated", "UPDATE OF happened_at ON call", _RENUMBER_ON_SQLITE, "NEW.happened_at <> OLD.happened_at")
    _trigger("review_new", "INSERT ON review", _SEEN.format(no="0") + ";")
    name = "trim(coalesce({0}first_name, '') || ' ' || coalesce({0}last_name, ''))"
    new = f"VALUES (NEW.id, {name.format('NEW.')}, coalesce(NEW.phone_e164, ''))"
    take = f"INSERT INTO contact_text (contact_id, name, phone) {new}"
    _trigger("contact_new", "INSERT ON contact", f"{take};")
    _trigger(
        "contact_changed",
        "UPDATE OF first_name, last_name, phone_e164 ON contact",
        f"UPDATE contact_text SET name = {name.format('NEW.')}, phone = coalesce(NEW.phone_e164, '')"
        " WHERE contact_id = NEW.id;",
    )
    op.execute(
        "INSERT INTO contact_text (contact_id, name, phone)"
        f" SELECT id, {name.format('')}, coalesce(phone_e164, '') FROM contact"
    )
    op.execute(_ALL_TEXTS.format(base=_BASE_ON_SQLITE, about=_ABOUT_ON_SQLITE, said=_SAID_ON_SQLITE))


def _trigger(name: str, event: str, body: str, when: str = "") -> None:
    condition = f" WHEN {when}" if when else ""
    # As it is: neither colons nor percent signs mean anything here.
    op.get_bind().exec_driver_sql(f"CREATE TRIGGER {name} AFTER {event}{condition} BEGIN {body} END")


def _on_postgresql() -> None:
    op.execute(_ALL_TEXTS.format(base=_BASE_ON_POSTGRESQL, about=_ABOUT_ON_POSTGRESQL, said=_SAID_ON_POSTGRESQL))
    # Words are what the other database takes for words: letters and digits; the parser has nothing left to guess. A
    # tsvector has room for so much text, which is some six hours of it.
    op.execute(
        "ALTER TABLE call_text ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig,"
        " regexp_replace(lower(left(about || ' ' || said, 400000)), '[^[:alnum:]]+', ' ', 'g'))) STORED"
    )
    op.execute("CREATE INDEX ix_call_text_words ON call_text USING gin (words) WITH (fastupdate = off)")
    _trigrams()
    function = "CREATE FUNCTION {name} LANGUAGE plpgsql AS $body$ {body} $body$"
    refresh = f"""DECLARE words record; free bigint; BEGIN
 SELECT {_BASE_ON_POSTGRESQL} AS base, {_ABOUT_ON_POSTGRESQL} AS about, {_SAID_ON_POSTGRESQL} AS said INTO words
  FROM call WHERE call.id = wanted;
 IF words.about IS NULL AND words.said IS NULL THEN DELETE FROM call_text WHERE call_id = wanted; RETURN; END IF;
 words.about := coalesce(words.about, ''); words.said := coalesce(words.said, '');
 PERFORM 1 FROM call_text WHERE call_id = wanted;
 IF FOUND THEN
  UPDATE call_text SET about = words.about, said = words.said
   WHERE call_id = wanted AND (about <> words.about OR said <> words.said);
  RETURN;
 END IF;
 free := words.base + (hashtext(wanted::text) & 524287);
 WHILE EXISTS (SELECT 1 FROM call_text WHERE number = free) LOOP free := free + 1; END LOOP;
 INSERT INTO call_text (number, call_id, about, said) VALUES (free, wanted, words.about, words.said)
  ON CONFLICT (call_id) DO UPDATE SET about = excluded.about, said = excluded.said;
END"""
    renumber = f"""DECLARE free bigint; BEGIN
 SELECT {_BASE_ON_POSTGRESQL} + (hashtext(NEW.id::text) & 524287) INTO free FROM call WHERE call.id = NEW.id;
 WHILE EXISTS (SELECT 1 FROM call_text WHERE number = free) LOOP free := free + 1; END LOOP;
 UPDATE call_text SET number = free WHERE call_id = NEW.id; RETURN NULL; END"""
    listed = f"""BEGIN
 IF NEW.is_current THEN
  UPDATE call SET {_FACETS.format(**_DOUBTS["postgresql"])}
   FROM call_analysis AS a WHERE a.id = NEW.id AND call.id = a.call_id;
  PERFORM refresh_call_text(NEW.call_id);
 ELSIF TG_OP = 'UPDATE' AND OLD.is_current THEN {_NO_FACETS.format(call="OLD.call_id")}; END IF;
 RETURN NULL; END"""
    gone = f"""BEGIN
 IF TG_TABLE_NAME = 'call_analysis' THEN {_NO_FACETS.format(call="OLD.call_id")}; END IF;
 PERFORM refresh_call_text(OLD.call_id); RETURN NULL; END"""
    for name, body in (
        ("refresh_call_text(wanted uuid) RETURNS void", refresh),
        ("call_dated() RETURNS trigger", renumber),
        ("call_analysis_listed() RETURNS trigger", listed),
        ("call_words_gone() RETURNS trigger", gone),
        ("call_moved() RETURNS trigger", "BEGIN PERFORM refresh_call_text(NEW.id); RETURN NULL; END"),
        ("review_new() RETURNS trigger", f"BEGIN {_SEEN.format(no='false')}; RETURN NULL; END"),
    ):
        op.get_bind().exec_driver_sql(function.format(name=name, body=body))
    for name, event, when, does in (
        ("call_analysis_new", "INSERT ON call_analysis", "NEW.is_current", "call_analysis_listed"),
        (
            "call_analysis_changed",
            f"UPDATE OF {_COLUMNS_OF_ANALYSIS} ON call_analysis",
            "NEW.is_current OR OLD.is_current",
            "call_analysis_listed",
        ),
        ("call_analysis_gone", "DELETE ON call_analysis", "OLD.is_current", "call_words_gone"),
        ("transcript_gone", "DELETE ON transcript", "OLD.is_current", "call_words_gone"),
        (
            "call_moved",
            "UPDATE OF stage ON call",
            "NEW.stage <> OLD.stage AND NEW.stage IN ('received', 'transcribed')",
            "call_moved",
        ),
        ("call_dated", "UPDATE OF happened_at ON call", "NEW.happened_at <> OLD.happened_at", "call_dated"),
        ("review_new", "INSERT ON review", "true", "review_new"),
    ):
        op.execute(f"CREATE TRIGGER {name} AFTER {event} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {does}()")


def _trigrams() -> None:
    """Parts of names and numbers by an index, where the extension (of PostgreSQL's own distribution) may be made."""
    try:
        with op.get_bind().begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError:
        return
    name = "lower(coalesce(first_name, '') || ' ' || coalesce(last_name, ''))"
    op.execute(f"CREATE INDEX ix_contact_name_trigrams ON contact USING gin (({name}) gin_trgm_ops)")
    op.execute("CREATE INDEX ix_contact_phone_trigrams ON contact USING gin (phone_e164 gin_trgm_ops)")
