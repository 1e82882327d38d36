"""The whole API under requests made up from its own OpenAPI document: nothing unexplained comes back."""

from datetime import timedelta
from itertools import cycle

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from crm.access import Permission
from crm.tables import contact
from crm.tokens import create_token
from crm.users import user_named
from runtime.settings_web import WebSettings
from tests.seeds import NOW, seed_call, seed_failed_call
from tests.web_client import make_hall

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# A database or a store that cannot be reached is told by 503; here, both are there.
PER_OPERATION = 6
# Tried on its own, at the end: it takes the calls away.
LAST = "DELETE"


@pytest.fixture
def site(tmp_path):
    """A site with calls of every kind, whose one caller may do everything and as often as one likes."""
    web = WebSettings(api_requests_per_minute=0, allowed_hosts=("testserver",))
    hall = make_hall(tmp_path / "home", web=web)
    with hall.wiring.database.write() as connection:
        ids = [seed_call(connection, happened_at=NOW - timedelta(hours=n)) for n in range(4)]
        ids += [seed_failed_call(connection), seed_call(connection, said=None, with_analysis=False, profile=None)]
        ids += [seed_call(connection, contact_number="+15550177", analysis={"reason_code": "other"})]
        admin = user_named(connection, "maria")
        scopes = [permission.value for permission in Permission]
        _, text = create_token(connection, admin, "fuzz", scopes, lifetime=timedelta(days=1), now=NOW)
    return hall.app, hall.wiring.database, {"authorization": f"Bearer {text}"}, ids


def test_every_operation_answers_as_its_document_says_whatever_it_is_asked(site):
    app, database, headers, ids = site
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    with database.read() as connection:
        contacts = list(connection.execute(sa.select(contact.c.id)).scalars())
    there = {"call_id": cycle(ids), "contact_id": cycle(contacts)}
    found = [one.ok() for one in schema.get_all_operations()]
    told: list[str] = []
    seen: dict[str, set[int]] = {}
    for operation in sorted(found, key=lambda one: one.method.upper() == LAST):
        if operation.path.startswith("/api/"):
            name = f"{operation.method.upper()} {operation.path}"
            seen[name] = ask(operation, headers, there, told, name)
    assert not told, "\n".join(sorted(set(told))[:20])
    # What it asked for was there, and what it said was taken: it did not only meet closed doors.
    for name in ("GET /api/v1/calls/{call_id}", "POST /api/v1/calls/{call_id}/retry", "GET /api/v1/customers"):
        assert 200 in seen[name], seen
    assert len(seen) > 30


def ask(operation, headers, there, told, name):
    """Ask one operation PER_OPERATION times; returns the statuses, and adds what was wrong to `told`."""
    statuses = set()
    turn = cycle((True, True, False))

    @settings(
        max_examples=PER_OPERATION,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def once(case):
        for parameter, known in there.items():
            # Made-up ids are nobody's: two of three times a real one is asked for.
            if parameter in (case.path_parameters or {}) and next(turn):
                case.path_parameters[parameter] = str(next(known))
        try:
            answered = case.call(headers=headers)
            statuses.add(answered.status_code)
            case.validate_response(answered, checks=CHECKS)
        except schemathesis.checks.FailureGroup as failures:
            told.extend(f"{name}: {one.title}: {one.message}"[:600] for one in failures.exceptions)
        except Exception as error:  # noqa: BLE001 - a route that raises is what is looked for
            told.append(f"{name}: {case.as_curl_command(headers)}: {error!r}"[:600])

    once()
    return statuses
