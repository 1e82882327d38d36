"""What redaction found is kept with the transcript, and counts only for the very words and rules that it is of."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.redaction import Finding, find_in_turns, find_sensitive
from calls.transcript import take_turns
from crm.access import Role, Viewer
from crm.database import Database
from crm.findings import save_findings
from crm.one_call import call_in_full
from crm.privacy_tables import sensitive_finding
from crm.redacted import rules_of
from crm.results import current_transcript
from tests.seeds import seed_call, seed_taxonomy

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
