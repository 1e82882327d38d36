"""Programs that call the API, each with a token of its own."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from starlette.testclient import TestClient

from crm.access import PERMISSIONS, Role
from crm.tokens import create_token
from tests.web_client import Hall, make_user


def caller(hall: Hall, role: str = "admin", name: str = "", **belongs: Any) -> TestClient:
    """A client with a token that may do all that the role may; `belongs` are `agent_id` or `team_ids`."""
    now = hall.clock()
    with hall.wiring.database.write() as connection:
        user = make_user(connection, name or f"program-{role}", role, now, **belongs)
        scopes = [permission.value for permission in PERMISSIONS[Role(role)]]
        _, text = create_token(connection, user, "test", scopes, lifetime=timedelta(days=1), now=now)
    headers = {"Authorization": f"Bearer {text}"}
    return TestClient(hall.app, base_url="http://127.0.0.1", headers=headers, raise_server_exceptions=False)


def call_path(call_id: UUID, more: str = "") -> str:
    """The path of a call, or of something of it."""
    return f"/api/v1/calls/{call_id}{more}"
