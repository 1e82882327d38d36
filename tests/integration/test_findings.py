"""What redaction found is kept with the transcript, and counts only for the very words and rules that it is of."""

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import sqlalchemy as sa

from analytics.interchange import told, vcon
from calls.redaction import Finding, find_in_turns, find_sensitive
from calls.transcript import take_turns
from crm import jobs
from crm.access import Role, Viewer
from crm.calls import CallFilter, count_calls, earlier_calls, list_calls
from crm.customers import find_customers
from crm.database import Database
from crm.findings import keep_looked, save_findings
from crm.one_call import call_in_full
from crm.privacy_tables import sensitive_finding, upkeep
from crm.redacted import rules_of
from crm.results import current_transcript
from crm.search import search
from crm.status import status
from crm.tables import call, contact, transcript, utterance
from crm.unlooked import is_looked_through
from runtime.looking import look_through
from runtime.settings import Settings
from runtime.settings_site import DatabaseSettings
from runtime.wiring import Wiring
from tests.api_callers import caller
from tests.seeds import NOW, seed_call, seed_taxonomy
from tests.web_client import make_hall

ANALYST = Viewer("ann", Role.ANALYST)


def _said(name: str) -> list[tuple[int, str, float, float, str]]:
    """A conversation that no other test has: what one process has found it keeps for a while."""
    return [
        (1, "agent", 0.5, 2.8, f"May I have your card number, {name}?"),
        (0, "customer", 4.0, 8.0, "It is 4111 1111 1111 1111."),
    ]


class Counting:
    """The rules, and how often conversations were searched."""

    def __init__(self) -> None:
        self.searched = 0

    def __call__(self, texts: Sequence[str], speakers: Sequence[str] | None = None) -> list[list[Finding]]:
        if speakers is not None:
            self.searched += 1
        return find_sensitive(texts, speakers)


def _wire(database: Database, home: Path) -> Wiring:
    url = database.url.render_as_string(hide_password=False)
    return Wiring(Settings(home=home, database=DatabaseSettings(url=url)))


def _call(database: Database, find: Counting) -> UUID:
    # Without digits, which might be taken for a number.
    name = uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))
    with database.write() as connection:
        seed_taxonomy(connection)
        call_id = seed_call(connection, said=_said(name))
        stored = current_transcript(connection, call_id)
        save_findings(connection, stored.id, find_in_turns(take_turns(stored.utterances), find), find)
    return call_id


def test_a_call_is_read_with_marks_and_nobody_searches_it_again(any_database: Database) -> None:
    find = Counting()
    call_id = _call(any_database, find)
    assert find.searched == 1
    # As another process would: it knows nothing yet.
    fresh = Counting()
    with any_database.read() as connection:
        found = call_in_full(connection, ANALYST, call_id, fresh)
    assert found.transcript is not None
    assert found.transcript.turns[1].text == "It is [CARD]."
    assert fresh.searched == 0


def test_what_other_rules_found_does_not_count(any_database: Database) -> None:
    find = Counting()
    call_id = _call(any_database, find)
    with any_database.write() as connection:
        connection.execute(sa.update(sensitive_finding).values(rules="older", findings=[]))
    with any_database.read() as connection:
        found = call_in_full(connection, ANALYST, call_id, find)
    assert found.transcript is not None
    assert found.transcript.turns[1].text == "It is [CARD]."
    assert find.searched == 2


def test_rules_are_told_apart_by_who_finds_and_by_what_they_are_made_of() -> None:
    assert rules_of(find_sensitive) == rules_of(find_sensitive)
    assert rules_of(find_sensitive) != rules_of(Counting())
    assert rules_of(Counting()) == rules_of(Counting())


def test_no_word_of_the_call_is_kept(any_database: Database) -> None:
    _call(any_database, Counting())
    with any_database.read() as connection:
        row = connection.execute(sa.select(sensitive_finding.c.findings, sensitive_finding.c.turn_count)).one()
    assert row == ([[1, 6, 25, "CARD"]], 2)


def find_kettles(texts: Sequence[str], _speakers: Sequence[str] | None = None) -> list[list[Finding]]:
    """A finder of one's own."""
    return [[Finding(*place.span(), "THING") for place in re.finditer("kettle", text)] for text in texts]


def test_whoever_reads_marks_reads_those_of_the_finder_that_is_configured(database: Database) -> None:
    """In lists, search, a customer's earlier calls and e-mail, and in what single calls are exported as."""
    said = [(0, "customer", 0.0, 2.0, "My kettle is late."), (1, "agent", 3.0, 5.0, "I see.")]
    about = {"headline": "A kettle is late", "summary": "The kettle is late."}
    with database.write() as connection:
        seed_taxonomy(connection)
        older, newer = (
            seed_call(connection, said=said, analysis=about, contact_number="+15550100", happened_at=NOW + timedelta(n))
            for n in range(2)
        )
        connection.execute(sa.update(contact).values(email="kettle@example.org"))
    marked = "A [THING] is late"
    with database.read() as connection:
        listed = list_calls(connection, ANALYST, CallFilter(), find=find_kettles).calls
        assert [line.headline for line in listed] == [marked] * 2
        assert earlier_calls(connection, ANALYST, newer, find=find_kettles)[0].headline == marked
        [first, _] = search(connection, ANALYST, "late", CallFilter(), find=find_kettles).hits
        assert (first.line.headline, first.said[0].excerpt.text) == (marked, "My [THING] is late.")
        assert first.about is not None
        assert first.about.text == "The [THING] is late."
        assert search(connection, ANALYST, "kettle", CallFilter(), find=find_kettles).hits == ()
        assert count_calls(connection, ANALYST, CallFilter(text="kettle"), find=find_kettles) == 0
        assert "kettle" not in str(find_customers(connection, ANALYST, find=find_kettles))
        document = json.dumps(vcon(told(connection, older, personal_data=False, find=find_kettles)))
        assert "kettle" not in document
        assert "My [THING] is late." in document


def test_calls_in_which_nothing_was_found_are_searched_without_their_turns(database: Database) -> None:
    """Whoever reads marks need not wait for a conversation without any to be read turn by turn."""
    find = Counting()
    with database.write() as connection:
        seed_taxonomy(connection)
        for said in ("My kettle is late.", "My card is 4111 1111 1111 1111, for the kettle."):
            call_id = seed_call(connection, said=[(0, "customer", 0.0, 2.0, said)])
            stored = current_transcript(connection, call_id)
            save_findings(connection, stored.id, find_in_turns(take_turns(stored.utterances), find), find)
    with database.read() as connection:
        sent: list[str] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *given: sent.append(str(given[2:4])))
        fresh = Counting()
        assert count_calls(connection, ANALYST, CallFilter(text="kettle"), find=fresh) == 2
        assert count_calls(connection, ANALYST, CallFilter(text='"is late"'), find=fresh) == 1
        assert fresh.searched == 0
        # Of the first count the one call with a card; the second has none to read.
        assert sum("utterance" in statement for statement in sent) == 1


def test_old_calls_are_looked_through_once_the_newest_first_also_after_other_rules(
    any_database: Database, tmp_path: Path
) -> None:
    wired = _wire(any_database, tmp_path)
    name = uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))
    with any_database.write() as connection:
        seed_taxonomy(connection)
        for day in range(3):
            seed_call(connection, said=_said(name), happened_at=NOW + timedelta(day))
        seed_call(connection, stage="received", said=None, with_analysis=False)
    # Each ends after one portion, as one that is killed then: the next goes on behind it, also in one moment.
    counts = [look_through(wired, within_s=0, at_once=1) for _ in range(6)]
    assert (counts[:2], sum(counts), counts[4:]) == ([1, 1], 3, [0, 0])
    with any_database.write() as connection:
        assert is_looked_through(connection, find_sensitive)
        assert status(connection, NOW)["to_look_through"] == 0
        connection.execute(sa.update(sensitive_finding).values(rules="older", findings=[]))
        older = {"name": f"findings:older:{UUID(int=0).hex}"}
        connection.execute(sa.update(upkeep).where(upkeep.c.name.startswith("findings:")).values(**older))
    assert look_through(wired, within_s=0, at_once=1) == 1
    with any_database.read() as connection:
        newest = sa.select(sa.func.max(call.c.happened_at))
        its_own = sa.select(call.c.happened_at).join_from(sensitive_finding, transcript).join(call)
        assert connection.execute(its_own.where(sensitive_finding.c.rules != "older")).scalars().all() == [
            connection.execute(newest).scalar_one()
        ]
        # The calls from that one on.
        assert status(connection, NOW)["to_look_through"] == 4
    assert look_through(wired) == 2
    with any_database.read() as connection:
        rows = connection.execute(sa.select(sensitive_finding.c.findings, sensitive_finding.c.rules)).all()
        assert [tuple(row) for row in rows] == [([[1, 6, 25, "CARD"]], rules_of(find_sensitive))] * 3
        names = connection.execute(sa.select(upkeep.c.name)).scalars().all()
        assert [name.rpartition(":")[0] for name in names] == [f"findings:{rules_of(find_sensitive)}"]


def test_a_live_call_that_waits_stops_it_after_a_portion(database: Database, tmp_path: Path) -> None:
    with database.write() as connection:
        seed_taxonomy(connection)
        for day in range(3):
            seed_call(connection, said=_said("there"), happened_at=NOW + timedelta(day))
        waits = seed_call(connection, stage="received", said=None, with_analysis=False)
        jobs.start_anew(connection, jobs.first_job(waits, NOW))
    assert look_through(_wire(database, tmp_path), at_once=1) == 1


def test_what_was_erased_while_it_was_looked_through_leaves_nothing(any_database: Database) -> None:
    call_id = _call(any_database, Counting())
    with any_database.write() as connection:
        connection.execute(sa.delete(sensitive_finding))
        found = search(connection, ANALYST, "card", CallFilter())
        assert [(one.call_id, one.found) for one in found.looked] == [(call_id, [[], [Finding(6, 25, "CARD")]])]
        connection.execute(sa.delete(utterance))
        assert keep_looked(connection, found.looked, find_sensitive) == 0


def test_what_a_search_had_to_look_for_is_kept_for_the_next(tmp_path: Path) -> None:
    hall = make_hall(tmp_path)
    with hall.wiring.database.write() as connection:
        seed_call(connection, said=_said("there"))
    kept = sa.select(sensitive_finding.c.findings)
    for program in (caller(hall, "lead"), caller(hall, "analyst")):
        with hall.wiring.database.read() as connection:
            assert connection.execute(kept).all() == []
        assert len(program.get("/api/v1/search", params={"text": "number"}).json()["hits"]) <= 1
    with hall.wiring.database.read() as connection:
        assert connection.execute(kept).scalar_one() == [[1, 6, 25, "CARD"]]
