"""Erasure by the API and at the command line: who may, what is asked, what is said."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner, Result

from cli import privacy
from cli.privacy import WrongOptions
from crm.audit import Action, entries, verify
from crm.privacy import WrongNumber
from crm.privacy_tables import erased_call
from crm.tables import call, contact, utterance
from crm.users import create_user
from tests.seeds import NOW, seed_call
from tests.web_client import PASSWORD, Hall, make_hall

NUMBER = "+4915199887766"


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    return make_hall(tmp_path / "home")


@pytest.fixture
def two(hall: Hall) -> list[UUID]:
    """Two calls of one customer."""
    with hall.wiring.database.write() as connection:
        return [
            seed_call(
                connection,
                contact_number=NUMBER,
                from_number_e164=NUMBER,
                external_call_id=f"ext-{number}",
                recording={"object_key": f"in/{number}.wav"},
            )
            for number in (1, 2)
        ]


def run(hall: Hall, *arguments: str, typed: str | None = None) -> Result:
    app = typer.Typer()
    privacy.register(app)
    home = str(hall.wiring.settings.home_path)
    return CliRunner().invoke(app, [*arguments, "--home", home], input=typed)


def erased(hall: Hall) -> set[UUID]:
    with hall.wiring.database.read() as connection:
        return set(connection.execute(sa.select(erased_call.c.call_id)).scalars())


def audited(hall: Hall) -> list[tuple[str, UUID | None, str]]:
    with hall.wiring.database.read() as connection:
        assert verify(connection).broken_at is None
        return [(one.actor, one.call_id, one.detail) for one in entries(connection, action=Action.ERASE)]


def test_an_admin_erases_a_call_by_the_api_and_the_log_says_who(hall: Hall, two: list[UUID]) -> None:
    """A dry run first; a repetition finds nothing."""
    hall.sign_in()
    path = f"/api/v1/calls/{two[0]}"
    assert hall.client.delete(path, params={"dry_run": True}).json() == {
        "dry_run": True,
        "calls": 1,
        "recordings": 1,
        "contacts": 0,
    }
    assert erased(hall) == set()
    first = hall.client.delete(path).json()
    assert (first["calls"], first["contacts"], first["objects_left"]) == (1, 0, 0)
    assert hall.client.delete(path).json()["calls"] == 0
    assert erased(hall) == {two[0]}
    shown = hall.client.get(path).json()
    assert (shown["turns"], shown["customer"], shown["analysis"]["headline"]) == ([], _nobody(), "Erased")
    assert shown["analysis"]["reason"]["code"] == "delivery_status"
    assert hall.client.get(f"/calls/{two[0]}").status_code == 200
    assert hall.client.get(f"{path}/audio").status_code == 404
    assert audited(hall) == [("maria", two[0], "call")]


def _nobody() -> dict[str, Any]:
    return {"id": None, "name": None, "number": None}


def test_a_customer_goes_with_all_calls(hall: Hall, two: list[UUID]) -> None:
    hall.sign_in()
    with hall.wiring.database.read() as connection:
        contact_id = connection.execute(sa.select(contact.c.id)).scalar_one()
    answer = hall.client.delete(f"/api/v1/customers/{contact_id}").json()
    assert (answer["calls"], answer["contacts"]) == (2, 1)
    assert erased(hall) == set(two)
    assert {call_id for _, call_id, _ in audited(hall)} == set(two)
    assert hall.client.delete(f"/api/v1/customers/{UUID(int=1)}").status_code == 404


def test_a_page_says_what_goes_and_erases_what_is_confirmed(hall: Hall, two: list[UUID]) -> None:
    """First one call, then its customer with the other."""
    hall.sign_in()
    path = f"/calls/{two[0]}/erasure"
    assert f'href="{path}"' in hall.client.get(f"/calls/{two[0]}").text
    asked = hall.client.get(path).text
    assert "<li>1 recording in the store" in asked
    # Neither without this session's token nor without the tick.
    assert hall.client.post(path, data={"confirmed": "true"}).status_code == 403
    assert "What goes" in hall.post(path).text
    assert erased(hall) == set()
    assert "<strong>1 call erased.</strong>" in hall.post(path, confirmed="true").text
    assert "is erased already" in hall.client.get(path).text
    assert erased(hall) == {two[0]}
    page = hall.client.get(f"/calls/{two[0]}").text
    assert "<strong>This call was erased.</strong>" in page
    offered = ("Edit", "Correct the reason", "Another customer", "Erase this call", "Nobody speaks")
    assert [words for words in offered if words in page] == []
    with hall.wiring.database.read() as connection:
        contact_id = connection.execute(sa.select(contact.c.id)).scalar_one()
    path = f"/customers/{contact_id}/erasure"
    assert f'href="{path}"' in hall.client.get(f"/customers/{contact_id}").text
    assert "Erase 1 call and the customer" in hall.client.get(path).text
    assert "<strong>1 call and 1 customer erased.</strong>" in hall.post(path, confirmed="true").text
    assert erased(hall) == set(two)
    assert audited(hall) == [("maria", two[1], "person"), ("maria", two[0], "call")]
    assert hall.client.get(f"/calls/{UUID(int=1)}/erasure").status_code == 404


@pytest.mark.parametrize("role", ["agent", "lead", "analyst", "reviewer"])
def test_nobody_else_may_erase(hall: Hall, two: list[UUID], role: str) -> None:
    with hall.wiring.database.write() as connection:
        create_user(connection, "other", PASSWORD, role, NOW)
    hall.sign_in("other")
    assert hall.client.delete(f"/api/v1/calls/{two[0]}").status_code == 403
    assert hall.client.get(f"/calls/{two[0]}/erasure").status_code == 403
    assert hall.post(f"/calls/{two[0]}/erasure", confirmed="true").status_code == 403
    assert "Erase" not in hall.client.get(f"/calls/{two[0]}").text
    assert erased(hall) == set()


def test_the_command_line_asks_first_and_says_what_went(hall: Hall, two: list[UUID]) -> None:
    """By number, as people write it."""
    assert run(hall, "erase", "--phone", "0049 151 99887766", typed="n\n").exit_code == 1
    assert erased(hall) == set()
    dry = run(hall, "erase", "--phone", NUMBER, "--dry-run", "--json")
    assert json.loads(dry.stdout) == {"dry_run": True, "calls": 2, "recordings": 2, "contacts": 1}
    gone = run(hall, "erase", "--phone", NUMBER, "--yes", "--json")
    document = json.loads(gone.stdout)
    assert (gone.exit_code, document["calls"], document["contacts"], document["objects_left"]) == (0, 2, 1, 0)
    assert erased(hall) == set(two)
    assert {one[0] for one in audited(hall)} == {"operator"}


def test_a_call_is_named_as_everywhere_else(hall: Hall, two: list[UUID]) -> None:
    assert run(hall, "erase", "--call", "recordings/in/1.wav", "--yes").exit_code == 0
    assert erased(hall) == {two[0]}
    # Its old names lead nowhere.
    assert run(hall, "erase", "--call", "ext-1", "--yes").exit_code == 1
    with hall.wiring.database.read() as connection:
        held = connection.execute(sa.select(call.c.contact_id, call.c.external_call_id).order_by(call.c.id)).all()
    assert sorted(row.contact_id is None for row in held) == [False, True]


def test_purge_takes_what_is_older_and_the_customers_who_have_no_other(hall: Hall, two: list[UUID]) -> None:
    with hall.wiring.database.write() as connection:
        young = seed_call(connection, happened_at=NOW.replace(year=2099), contact_number="+15550100")
    gone = run(hall, "purge", "--older-than", "2026-12-31", "--yes", "--json")
    document = json.loads(gone.stdout)
    assert (document["calls"], document["contacts"]) == (2, 1)
    assert erased(hall) == set(two)
    with hall.wiring.database.read() as connection:
        kept = connection.execute(sa.select(call.c.customer_name).where(call.c.id == young)).scalar_one()
        assert kept == "Rosa Diaz"
        assert connection.execute(sa.select(sa.func.count()).select_from(utterance)).scalar_one() == 4


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("erase",), WrongOptions),
        (("erase", "--phone", NUMBER, "--call", "x"), WrongOptions),
        (("erase", "--phone", "015199887766"), WrongNumber),
        (("erase", "--contact", "Rosa"), WrongOptions),
        (("purge", "--older-than", "a while"), WrongOptions),
    ],
)
def test_what_is_not_clear_is_not_erased(
    hall: Hall, two: list[UUID], arguments: tuple[str, ...], error: type[Exception]
) -> None:
    """Each is a usage error."""
    ended = run(hall, *arguments, "--yes")
    assert isinstance(ended.exception, error)
    assert ended.exception.code == "wrong_query"
    assert erased(hall) == set()
