"""The web app over a real database in a folder of the test's own, and a visitor to it."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from crm.database import Database
from crm.schema import upgrade
from crm.tables import app_user
from crm.users import User, create_user
from runtime.settings import Settings
from runtime.settings_models import SimilarSettings
from runtime.settings_site import SiteSettings
from runtime.settings_web import WebSettings
from runtime.wiring import Wiring
from tests.seeds import NOW, seed_taxonomy
from web.app import create_app

PASSWORD = "correct horse battery"
# Checked in no time; what create_user keeps takes a quarter of a second of the processor, as it should.
_EASY_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Hall:
    """One site with the user `maria`, and a client that follows no redirects."""

    wiring: Wiring
    app: FastAPI
    clock: Clock
    client: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = TestClient(
            self.app, base_url="http://127.0.0.1", follow_redirects=False, raise_server_exceptions=False
        )

    def sign_in(self, name: str = "maria", password: str = PASSWORD, next_path: str = "") -> Any:
        """Fill in the sign-in form."""
        form = self.client.get("/login").text
        data = {"form_token": self.token_in(form), "name": name, "password": password, "next": next_path}
        return self.client.post("/login", data=data)

    def post(self, path: str, headers: dict[str, str] | None = None, **data: str) -> Any:
        """Send a form of one of our pages."""
        token = self.token_in(self.client.get("/calls").text)
        return self.client.post(path, data={"form_token": token} | data, headers=headers)

    @staticmethod
    def token_in(page: str) -> str:
        """The token of the first form on a page."""
        found = re.search(r'name="form_token" value="([^"]+)"', page)
        assert found, "the page has no form"
        return found[1]

    def doors(self) -> list[tuple[str, str]]:
        """Method and path of every route that is no mounted folder."""
        routes = [route for route in iter_route_contexts(self.app.routes) if route.path and route.methods]
        return [(method, str(route.path)) for route in routes for method in sorted(route.methods or ())]

    def pass_time(self, passed: timedelta) -> None:
        """Move the clock."""
        self.clock.now += passed

    def deactivate(self, name: str) -> None:
        """Let a user in no more."""
        with self.wiring.database.write() as connection:
            connection.execute(sa.update(app_user).where(app_user.c.name == name).values(is_active=False))


def make_hall(
    home: Path,
    *,
    create: bool = True,
    zone: str = "UTC",
    web: WebSettings | None = None,
    similar: SimilarSettings | None = None,
) -> Hall:
    """A site in `home`; with `create`, its database with the taxonomy and the user `maria`."""
    wiring = Wiring(
        Settings(
            home=home,
            site=SiteSettings(time_zone=zone),
            web=web or WebSettings(),
            similar=similar or SimilarSettings(),
        )
    )
    if create:
        home.mkdir(parents=True, exist_ok=True)
        (home / "callwise.db").write_bytes(_new_database())
    clock = Clock()
    return Hall(wiring, create_app(wiring, clock=clock), clock)


def make_user(connection: sa.Connection, name: str, role: str, now: datetime, **belongs: Any) -> User:
    """A user who signs in with PASSWORD; `belongs` are `agent_id` or `team_ids`."""
    made = create_user(connection, name, None, role, now, **belongs)
    connection.execute(sa.update(app_user).where(app_user.c.id == made.id).values(password_hash=_EASY_HASH))
    return made


@cache
def _new_database() -> bytes:
    # Migrations take a second; every test gets a copy of what they made.
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/callwise.db")
        upgrade(database)
        with database.write() as connection:
            seed_taxonomy(connection)
            make_user(connection, "maria", "admin", NOW)
        database.dispose()
        return (Path(folder) / "callwise.db").read_bytes()
