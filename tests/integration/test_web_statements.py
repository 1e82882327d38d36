"""Laws of what a request costs: the statements of a call by the API and of its page, whatever the call holds."""

from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi import APIRouter
from starlette.responses import Response

from crm.database import Database
from crm.tables import team
from tests.seeds import seed_call
from tests.statements import statements, tables
from tests.web_client import Hall, make_hall
from web.api_route import ReadOfOne
from web.auth import ApiViewer
from web.serving import app_of_settings
from web.site import OurSite, Site

LONG = [(n % 2, ("customer", "agent")[n % 2], n * 8.0, n * 8.0 + 6, f"sentence {n}") for n in range(60)]


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    made = make_hall(tmp_path)
    made.sign_in()
    return made


@pytest.fixture
def calls(hall: Hall) -> list[UUID]:
    """Three calls of one customer with reasons beside the first, whose labels are asked for; the last is long."""
    with hall.wiring.database.write() as connection:
        customer = {"contact_number": "+15550100"}
        short = [seed_call(connection, **customer) for _ in range(2)]
        return [*short, seed_call(connection, said=LONG, **customer)]


def test_a_call_by_the_api_is_four_statements_and_two_for_the_log_when_it_is_first_read(hall, calls):
    for call_id in calls:
        with statements(hall.wiring.database) as first:
            assert hall.client.get(f"/api/v1/calls/{call_id}").status_code == 200
        assert tables(first) == ["app_user", "call", "utterance", "reason", "audit_entry", "audit_entry"]
        with statements(hall.wiring.database) as again:
            assert hall.client.get(f"/api/v1/calls/{call_id}").status_code == 200
        assert tables(again) == ["app_user", "call", "utterance", "reason"]


def test_the_api_does_not_read_the_words_that_it_does_not_tell(hall, calls):
    with statements(hall.wiring.database) as found:
        hall.client.get(f"/api/v1/calls/{calls[0]}")
    assert not [statement for statement in found if "utterance.words" in statement]


def test_a_page_of_a_call_is_six_statements_however_long_the_call_is(hall, calls):
    for call_id in calls:
        hall.client.get(f"/calls/{call_id}")
        with statements(hall.wiring.database) as found:
            assert hall.client.get(f"/calls/{call_id}").status_code == 200
        assert tables(found) == ["app_user", "call", "utterance", "reason", "call", "taxonomy"]


def test_a_read_of_one_without_a_guard_cannot_be_declared():
    def read(site: OurSite, viewer: ApiViewer, one_id: UUID) -> Response:
        raise AssertionError(site, viewer, one_id)

    router = APIRouter(route_class=ReadOfOne)
    with pytest.raises(ValueError, match="nothing says who may read"):
        router.add_api_route("/things/{one_id}", read)


def test_a_glance_leaves_the_next_a_transaction(any_database: Database):
    named = sa.select(sa.func.count()).select_from(team)
    with any_database.glance() as connection:
        before = connection.execute(named).scalar_one()
    with any_database.engine.connect() as connection:
        connection.execute(sa.insert(team).values(id=UUID(int=1), name="Night"))
        connection.rollback()
    with any_database.glance() as connection:
        assert connection.execute(named).scalar_one() == before


def test_each_process_of_several_has_the_application_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("CALLWISE_HOME", str(tmp_path))
    monkeypatch.setenv("CALLWISE_WEB__HOST", "calls.example.org")
    site: Site = app_of_settings().state.site
    assert site.wiring.settings.home_path == tmp_path
    assert site.wiring.settings.web.host == "calls.example.org"
