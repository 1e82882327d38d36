"""Every role at every door, for calls of one's own, of one's team, of others and of nobody: generated from the routes.

Nothing here names a route that somebody adds later: a new one is in the matrix by being served.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from crm.tokens import create_token
from crm.users import user_named
from tests.access_rules import CARD, MAY, ROLE_OF, SEES, Centre, make_centre
from tests.web_client import Hall
from web.auth import Needs

# Doors without a permission: strangers come through the first, everybody who is signed in through the others. Stores,
# telephony and load balancers have doors of their own (test_web_doors.py, test_web_events.py, test_twilio_door.py).
OPEN = {
    *("/login", "/login/oidc", "/login/oidc/callback", "/healthz", "/metrics", "/", "/api/v1/openapi.json"),
    *("/events/objects", "/webhooks/twilio"),
}
EVERYBODYS = {
    *("/logout", "/account", "/account/password", "/account/sign-out", "/account/tokens"),
    *("/account/tokens/{token_id}/revoke", "/api/v1/tokens", "/api/v1/tokens/{token_id}", "/api/reference"),
}
UNKNOWN = UUID("7b0f1d0e-6d0b-4a6f-8a43-1f0a56d3b6a1")
# What these stand for in a path; anything else gets an id that nobody has.
_WORDS = {
    "system": "salesforce",
    "destination": "salesforce",
    "version": "seeds-1",
    "name": "maria",
    "slug": "calls",
    "kind": "calls",
}


@dataclass(frozen=True)
class Door:
    """One method of one route, and the permissions that its guards ask for."""

    method: str
    path: str
    permissions: frozenset[str]
    dependant: Dependant
    is_documented: bool

    @property
    def id(self) -> str:
        """For the reader of a failure."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What came back, as far as it could tell two calls apart."""

    status: int
    told: str


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Centre:
    return make_centre(tmp_path_factory.mktemp("centre"))


def doors_of(app: FastAPI) -> list[Door]:
    found = []
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route.original_route, "dependant", None)
        if dependant is None:
            continue
        permissions = {str(one) for guard in _guards(route.dependant) for one in guard.permissions}
        found += [
            Door(method, str(route.path), frozenset(permissions), route.dependant, bool(route.include_in_schema))
            for method in sorted(route.methods or ())
        ]
    return found


def _guards(dependant: Dependant) -> Iterator[Needs]:
    for needed in dependant.dependencies:
        if isinstance(needed.call, Needs):
            yield needed.call
        yield from _guards(needed)


def test_no_door_is_without_a_permission(centre):
    bare = [door.id for door in doors_of(centre.hall.app) if not door.permissions]
    assert [one for one in bare if one.split()[1] not in OPEN | EVERYBODYS] == []


def test_doors_ask_for_what_is_behind_them(centre):
    asked = {(door.method, door.path): door.permissions for door in doors_of(centre.hall.app)}
    rules = (
        (r"/audio$|/peaks$", "hear_calls"),
        (r"^/operations|/api/v1/(status|operations)", "operate"),
        (r"^/(users|tokens)|^/api/v1/users", "manage_users"),
        (r"^/audit|/api/v1/audit", "read_audit"),
        (r"/trends", "see_trends"),
        (r"/ask$", "ask"),
        (r"/corrections$|/agent-channel$", "correct"),
    )
    for (method, path), permissions in asked.items():
        for pattern, permission in rules:
            if re.search(pattern, path):
                assert permission in permissions, (method, path)
        if method == "DELETE" and re.search(r"/(calls|customers)/", path):
            assert "erase" in permissions, (method, path)


@pytest.mark.parametrize("person", SEES)
def test_nobody_gets_more_than_the_rule_says(centre, person):
    visitor = Visit(centre, person)
    asked = wrong = 0
    for door in doors_of(centre.hall.app):
        if door.path in OPEN | EVERYBODYS:
            continue
        may = door.permissions <= MAY[ROLE_OF[person]]
        if "{" not in door.path:
            answer = visitor.send(door, None)
            asked += 1
            # Trends of nobody's calls are refused, and not empty.
            is_refused = not may or ("/trends" in door.path and not SEES[person])
            wrong += _is_wrong(door, person, None, (answer.status == 403) == is_refused, answer)
            continue
        unknown = visitor.send(door, "")
        for name in centre.calls:
            answer = visitor.send(door, name)
            asked += 1
            if not may:
                is_right = answer.status == 403
            elif not _is_of_calls(door):
                is_right = answer.status not in {401, 403, 500}
            elif name in SEES[person]:
                is_right = answer.status not in {401, 403, 404, 500}
            else:
                is_right = answer == unknown and answer.status in {404, 422}
            wrong += _is_wrong(door, person, name, is_right, answer)
    assert asked >= 10
    assert wrong == 0


@pytest.mark.parametrize("scope", ["read_calls", "hear_calls", "operate"])
def test_a_token_opens_what_its_scopes_say_and_nothing_else(centre, scope):
    hall = centre.hall
    hall.client.cookies.clear()
    with hall.wiring.database.write() as connection:
        maria = user_named(connection, "maria")
        lifetime = timedelta(days=1)
        _, text = create_token(connection, maria, scope, [scope], lifetime=lifetime, now=hall.clock())
    bearer = {"Authorization": f"Bearer {text}"}
    asked = 0
    for door in doors_of(hall.app):
        if door.method != "GET" or not door.path.startswith("/api/v1/") or door.path in OPEN | EVERYBODYS:
            continue
        path = re.sub(r"\{call_id\}", str(centre.calls["own"]), door.path)
        answer = hall.client.get(re.sub(r"\{\w+\}", str(UNKNOWN), path), headers=bearer)
        assert (answer.status_code != 403) == (door.permissions <= {scope}), door.id
        if scope != "read_calls":
            assert not any(mark.encode() in answer.content for mark in centre.marks.values()), door.id
        asked += 1
    assert asked >= 5
    # A page is for people: a token opens none.
    assert hall.client.get("/calls", headers=bearer).status_code == 303


class Visit:
    """One person's requests; the database is as before after each of them."""

    def __init__(self, centre: Centre, person: str) -> None:
        self._centre = centre
        self._hall: Hall = centre.hall
        self._hidden = [mark for name, mark in centre.marks.items() if name not in SEES[person]]
        if "read_unredacted" not in MAY[ROLE_OF[person]]:
            self._hidden += [CARD, CARD.replace(" ", "")]
        self._hall.client.cookies.clear()
        assert self._hall.sign_in(person).status_code == 303
        page = self._hall.client.get("/calls").text
        self._form_token = Hall.token_in(page)
        self._file = self._hall.wiring.settings.home_path / "callwise.db"
        self._before = self._read_file()

    def send(self, door: Door, name: str | None) -> Answer:
        """The answer at this door for the call of that name; "" is a call that nobody has."""
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: self._fill(found[1], name), door.path)
        sent: dict[str, Any] = {}
        if door.method in {"POST", "PUT", "PATCH", "DELETE"}:
            sent = self._body(door)
        answer = self._hall.client.request(door.method, path, **sent)
        leaked = [mark for mark in self._hidden if mark.encode() in answer.content]
        assert not leaked, (door.id, name, "shows what is not theirs", leaked)
        if door.method != "GET" and door.method != "HEAD":
            self._put_back()
        told = re.sub(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", "ID", answer.text) if answer.content else ""
        return Answer(answer.status_code, re.sub(r'name="form_token" value="\w+"', "", told))

    def _fill(self, parameter: str, name: str | None) -> str:
        if parameter == "call_id":
            return str(self._centre.calls[name] if name else UNKNOWN)
        if parameter in {"contact_id", "customer_id"}:
            return str(self._centre.contacts[name] if name else UNKNOWN)
        return _WORDS.get(parameter, str(uuid4()))

    def _body(self, door: Door) -> dict[str, Any]:
        if door.path.startswith("/api/"):
            schema = self._hall.app.openapi()
            operation = schema["paths"].get(door.path, {}).get(door.method.lower(), {})
            content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
            headers = {"Idempotency-Key": uuid4().hex}
            if "application/json" in content:
                return {"json": _instance(content["application/json"]["schema"], schema), "headers": headers}
            return {"headers": headers}
        fields = {field.alias: "1" for field in _form_fields(door.dependant) if field.field_info.is_required()}
        return {"data": fields | {"form_token": self._form_token}}

    def _read_file(self) -> bytes:
        self._hall.wiring.database.dispose()
        return self._file.read_bytes()

    def _put_back(self) -> None:
        self._hall.wiring.database.dispose()
        for left in self._file.parent.glob("callwise.db-*"):
            left.unlink()
        self._file.write_bytes(self._before)


def _form_fields(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.body_params
    for needed in dependant.dependencies:
        yield from _form_fields(needed)


def _instance(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Any:
    """The least document that fits a schema, nearly: what else is wrong with it must not matter."""
    if "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return _instance(schema[word][0], whole)
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: _instance(schema["properties"][name], whole) for name in schema.get("required", ())}
    simple = {"string": "x", "integer": schema.get("minimum", 1), "number": 1.0, "boolean": False, "array": []}
    if kind == "string" and schema.get("format") == "uuid":
        return str(UNKNOWN)
    return simple.get(kind)


def _is_of_calls(door: Door) -> bool:
    return any(parameter in door.path for parameter in ("{call_id}", "{contact_id}", "{customer_id}"))


def _is_wrong(
    door: Door, person: str, name: str | None, is_right: bool, answer: Answer, unknown: Answer | None = None
) -> int:
    if is_right:
        return 0
    print(f"{person} at {door.id} for {name}: {answer.status} {answer.told[:200]}; for an unknown one: {unknown}")
    return 1
