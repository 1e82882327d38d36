"""What must not leave is planted in a call, and looked for in everything that is sent, logged, kept and exported."""

import json
import zipfile
from datetime import UTC, datetime

import pyarrow.parquet
import pytest
import sqlalchemy as sa
import structlog

from analytics.exports import export
from calls.pipeline import UNDERSTAND, Lane
from crm import jobs, tables
from crm.reviews import correct_reason
from crm.schema import upgrade
from runtime.logs import show_where_it_broke
from runtime.settings import Settings
from runtime.wiring import Wiring
from tests.seeds import NOW, TAXONOMY, seed_call, seed_taxonomy
from tests.servers.openai_answers import asked_schema, default_answer, example_of, garbles, refuses, says, truncates
from tests.servers.openai_batches import BatchShelf
from tests.servers.openai_server import API_KEY
from workers.app import make_parts
from workers.run import work_until_idle
from workers.sweep import tend_batches

AGENT, CUSTOMER = (1, "agent"), (0, "customer")
SAID = [
    (AGENT, "Thank you for calling, how can I help?"),
    (CUSTOMER, "My dishwasher has not arrived. I paid with my card."),
    (AGENT, "What is the number on the card?"),
    (CUSTOMER, "It is 4539 5787"),
    (AGENT, "4539 5787?"),
    (CUSTOMER, "yes, then six three six two and then one four eight six"),
    (AGENT, "And the code on the back?"),
    (CUSTOMER, "seven oh nine"),
    (CUSTOMER, "My other one is four nine two nine, triple one seven, double two six oh, nine eight four four."),
    (CUSTOMER, "My PIN is seven two nine five and my IBAN is DE89 3704 0044 0532 0130 00."),
    (AGENT, "Your date of birth, please?"),
    (CUSTOMER, "The seventeenth of October nineteen seventy one. My social security number is 536-90-4399."),
    (CUSTOMER, "My Steuer-ID is 86095742719."),
    (CUSTOMER, "Write to rosamund dot quill at example dot org or rq@quillmail.example please."),
    (CUSTOMER, "I live at 1728 Larkspur Street, Fernhollow, and my phone number is 415 555 2671."),
    (AGENT, "Thank you, I will look that up."),
]
# Each must be found where the call itself is kept, and nowhere else; none is so short that an id may hold it.
PLANTED = (
    "4539 5787", "six three six two", "one four eight six", "seven oh nine", "four nine two nine", "double two six oh",
    "seven two nine five", "3704 0044", "nineteen seventy one", "536-90-4399", "86095742719", "rosamund",
    "rq@quillmail", "larkspur", "555 2671",
)  # fmt: skip


def analyses(request):
    """An answer of the asked-for shape that says nothing of its own."""
    schema = asked_schema(request)
    if schema is None:
        return default_answer(request)
    document = example_of(schema)
    for claim in ("reason", "summary", "outcome"):
        document[claim]["quotes"] = [{"turn": 1, "quote": "My dishwasher has not arrived"}]
    document["reason"] |= {"code": TAXONOMY.reasons[0].code, "confidence": 0.9}
    document["summary"] |= {"situation": "A dishwasher has not come."}
    return says(json.dumps(document))(request)


class Centre:
    """One call with what is planted in it, and everything that its analysis touches."""

    def __init__(self, home, server, **language):
        given = {"engine": "openai", "model": "m", "api_key": API_KEY, "base_url": server.base_url} | language
        self.wired = Wiring(Settings(home=home, language=given, speech={"engine": "offline"}))
        self.server = server
        self.seen = []
        upgrade(self.wired.database)
        with self.wired.database.write() as connection:
            seed_taxonomy(connection)
            self.said = [(*who, i * 4.0, i * 4.0 + 3, text) for i, (who, text) in enumerate(SAID)]
            call_id = seed_call(connection, stage=UNDERSTAND.needs, said=self.said, with_analysis=False)
            job = jobs.first_job(call_id, NOW, step=UNDERSTAND, lane=Lane.BACKFILL)
            connection.execute(sa.insert(tables.job).values(job))

    def watched(self, answer):
        """`answer`, after a look at what the database holds in the middle of the work."""

        def watch(request):
            self.seen.append(self.stored())
            return answer(request)

        return watch

    def work(self):
        with structlog.testing.capture_logs() as events:
            work_until_idle(
                make_parts(self.wired, ring=None),
                catch_up=lambda: 0,
                roll=lambda: 0,
                timeout_s=120,
                tend_batches=lambda: tend_batches(self.wired, gather_s=0.0),
                poll_s=0.0,
            )
        self.seen += [str(show_where_it_broke(None, "error", event)) for event in events]
        self.seen += [self.stored(), *self.sent()]

    def stored(self):
        """Every row of every table but the transcript's own words, and what is searched of them."""
        with self.wired.database.read() as connection:
            return "\n".join(
                str(row._mapping)
                for table in tables.metadata.sorted_tables
                if table.name not in {"utterance", "call_text"}
                for row in connection.execute(sa.select(table))
            )

    def sent(self):
        for request in self.server.requests:
            yield f"{request.path} {request.query} {request.headers} {json.dumps(request.body, ensure_ascii=False)}"
            yield from (file.content.decode() for file in request.files.values())

    def exported(self, folder):
        """The text of every exported file."""
        export(
            self.wired.database,
            ("csv", "parquet", "xlsx"),
            folder,
            zone="UTC",
            personal_data=True,
            now=datetime.now(UTC),
        )
        for path in (path for path in folder.rglob("*") if path.is_file()):
            if path.suffix == ".parquet":
                yield str(pyarrow.parquet.read_table(path).to_pylist())
            elif path.suffix == ".xlsx":
                with zipfile.ZipFile(path) as book:
                    yield from (book.read(name).decode() for name in book.namelist())
            else:
                yield path.read_text(encoding="utf-8")


def leaked(texts):
    """What of the planted stands in any of the texts, whatever its case."""
    return sorted({token for text in texts for token in PLANTED if token in text.lower()})


@pytest.fixture
def make(tmp_path, openai_server):
    return lambda **language: Centre(tmp_path, openai_server, **language)


def test_what_is_planted_is_found_in_the_transcript_itself(make):
    centre = make()
    with centre.wired.database.read() as connection:
        said = [row.text for row in connection.execute(sa.select(tables.utterance))]
    assert leaked(said) == sorted(PLANTED)
    assert leaked([centre.stored()]) == []


@pytest.mark.parametrize("tiers", [False, True])
def test_a_question_to_a_model_holds_nothing_of_it(make, tmp_path, openai_server, tiers):
    reached = {"base_url": openai_server.base_url, "api_key": API_KEY}
    both = [{"name": "a", "model": "a"} | reached, {"name": "b", "model": "b", "tier": "strong"} | reached]
    centre = make(deployments=both if tiers else [])
    openai_server.reply_always(centre.watched(analyses))
    centre.work()
    asked = [request for request in openai_server.requests if request.operation == "/responses"]
    assert asked
    assert all(mark in json.dumps(asked[0].body) for mark in ("[CARD]", "[CVV]", "[ADDRESS]", "[BIRTH_DATE]"))
    assert leaked(centre.seen) == []
    assert leaked(centre.exported(tmp_path / "out")) == []


def test_a_reviewed_call_is_an_example_in_the_next_prompt_without_any_of_it(make, openai_server):
    centre = make()
    with centre.wired.database.write() as connection:
        reviewed = seed_call(connection, said=centre.said)
        correct_reason(connection, reviewed, TAXONOMY.reasons[1].code, by="Ann", now=NOW)
    openai_server.reply_always(centre.watched(analyses))
    centre.work()
    asked = json.dumps([request.body for request in openai_server.requests if request.operation == "/responses"])
    assert "reviewed_calls" in asked
    assert asked.count("My dishwasher has not arrived") == 2
    assert leaked(centre.seen) == []


def test_a_batch_and_what_is_kept_for_it_hold_nothing_of_it(make, tmp_path, openai_server):
    centre = make(batch=True)
    shelf = BatchShelf(openai_server, centre.watched(analyses), is_quick=True)
    openai_server.reply_always(centre.watched(shelf))
    centre.work()
    assert len(shelf.batches) == 1
    assert any("[CARD]" in text for text in centre.seen)
    assert leaked(centre.seen) == []
    assert leaked(centre.exported(tmp_path / "out")) == []


@pytest.mark.parametrize("answer", [garbles(), refuses(), truncates('{"reason": {'), says("no document")])
def test_an_answer_that_cannot_be_used_brings_nothing_of_it_into_logs_or_rows(make, openai_server, answer):
    centre = make()
    openai_server.reply_always(centre.watched(answer))
    centre.work()
    assert openai_server.requests
    assert leaked(centre.seen) == []


def test_the_offline_engines_summary_and_quotes_hold_nothing_of_it(make, tmp_path):
    centre = make(engine="offline")
    centre.work()
    with centre.wired.database.read() as connection:
        assert connection.execute(sa.select(tables.call_analysis.c.summary)).scalar_one()
    assert leaked(centre.seen) == []
    assert leaked(centre.exported(tmp_path / "out")) == []
