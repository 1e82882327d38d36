"""Similar calls over real databases: who sees which, and when a vector is made, replaced and gone."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner, Result

from calls.corrections import Changes
from calls.errors import BudgetSpent
from cli import similar as similar_command
from crm import vector_index
from crm.access import OPERATOR, Role, Viewer
from crm.calls import NoSuchCall, WrongQuery
from crm.corrections import correct, revision_of
from crm.database import Database
from crm.erasing import erase_calls
from crm.expiring import clear_words
from crm.similar import similar_calls
from crm.tables import agent, call_analysis, paid_request
from crm.vector_tables import call_vector
from crm.vectors import due_calls, save_vectors, take_turn, to_bytes
from runtime.erasing import StoreSurroundings
from runtime.settings import Settings
from runtime.settings_models import BudgetSettings, Price, SimilarSettings
from runtime.settings_site import DatabaseSettings
from runtime.similar import TURN, Similar, SomebodyElse, kept_model
from runtime.wiring import Wiring
from tests.access_rules import CARD
from tests.api_callers import call_path, caller
from tests.seeds import NOW, seed_call, seed_taxonomy
from tests.servers.openai_answers import Reply, fails
from tests.servers.openai_embeddings import embeds
from tests.servers.openai_requests import SentRequest
from tests.servers.openai_server import API_KEY, OpenAIServer
from tests.web_client import make_hall

TOPICS = {
    "delivery": "The customer's {} was due on Monday and the delivery has not arrived yet.",
    "password": "The customer forgot the password of the {} and asks for a link to reset it.",
    "repair": "The {} makes a noise and leaks water, and the customer wants a technician to repair it.",
}
THINGS = ("fridge", "oven", "dishwasher", "freezer", "heater", "pump", "boiler", "kettle")
LATER = NOW + timedelta(hours=1)


def wire(database: Database, home: Path, *, budget: float | None = None, **similar: Any) -> Wiring:
    url = database.url.render_as_string(hide_password=False)
    return Wiring(
        Settings(
            home=home,
            database=DatabaseSettings(url=url),
            similar=SimilarSettings(**({"engine": "local"} | similar)),
            budgets=BudgetSettings(language_usd_per_day=budget),
            prices={"text-embedding-3-small": (Price(input=1000),)},
        )
    )


def by_api(database: Database, home: Path, server: OpenAIServer, **more: Any) -> Wiring:
    return wire(database, home, engine="openai", base_url=server.base_url, api_key=API_KEY, dimension=32, **more)


def seed(
    database: Database, *, agents: Sequence[str] = ("Ann",), things: Sequence[str] = THINGS
) -> dict[str, list[UUID]]:
    """Calls of each topic, those of one topic a minute apart, each agent's in turn."""
    found: dict[str, list[UUID]] = {topic: [] for topic in TOPICS}
    with database.write() as connection:
        seed_taxonomy(connection)
        for topic, summary in TOPICS.items():
            for at, thing in enumerate(things):
                words = {"headline": f"{topic} {at}", "summary": summary.format(thing), "subject": ""}
                moment = NOW - timedelta(minutes=at)
                person = agents[at % len(agents)]
                found[topic].append(seed_call(connection, agent=person, said=None, analysis=words, happened_at=moment))
    return found


def build(wired: Wiring, at: datetime = LATER, **how: Any) -> int:
    return Similar(wired, clock=lambda: at).build(**how).vector_count


def near(database: Database, call_id: UUID, viewer: Viewer = OPERATOR, limit: int = 7) -> list[UUID]:
    with database.read() as connection:
        return [one.line.id for one in similar_calls(connection, viewer, call_id, limit=limit).calls]


def vectors(database: Database) -> dict[UUID, tuple[str, int]]:
    with database.read() as connection:
        rows = connection.execute(sa.select(call_vector)).all()
    return {row.call_id: (row.model, row.analysis_revision) for row in rows}


def viewer_of(database: Database, name: str) -> Viewer:
    with database.read() as connection:
        return Viewer(
            name,
            Role.AGENT,
            agent_id=connection.execute(sa.select(agent.c.id).where(agent.c.display_name == name)).scalar_one(),
        )


def run(arguments: list[str], engine: str = "local") -> Result:
    app = typer.Typer()
    similar_command.register(app)
    return CliRunner().invoke(app, arguments, env={"CALLWISE_SIMILAR__ENGINE": engine, "NO_COLOR": "1"})


def test_the_nearest_calls_are_about_the_same_and_nobody_sees_what_is_not_theirs(any_database, tmp_path) -> None:
    calls = seed(any_database, agents=("Ann", "Bob"))
    wired = wire(any_database, tmp_path)
    assert build(wired) == 24
    first = calls["delivery"][0]
    assert set(near(any_database, first)) == set(calls["delivery"][1:])
    ann = viewer_of(any_database, "Ann")
    theirs = {one for of_topic in calls.values() for one in of_topic[::2]}
    found = near(any_database, first, ann, limit=11)
    # A full list, of Ann's alone, those about the same first.
    assert (len(found), set(found) <= theirs) == (11, True)
    assert set(found[:3]) == set(calls["delivery"][2::2])
    with pytest.raises(NoSuchCall):
        near(any_database, calls["delivery"][1], ann)
    with pytest.raises(WrongQuery):
        near(any_database, first, limit=0)
    with any_database.read() as connection:
        assert similar_calls(connection, OPERATOR, first, limit=3).calls[0].likeness <= 1


def test_equals_come_in_one_order_however_many_there_are(database) -> None:
    with database.write() as connection:
        seed_taxonomy(connection)
        ids = [seed_call(connection, said=None, happened_at=NOW - timedelta(minutes=at)) for at in range(60)]
        same = {"model": "m", "analysis_revision": 1, "dimension": 3, "vector": to_bytes(np.array([0.6, 0.8, 0.0]))}
        connection.execute(sa.insert(call_vector), [{"call_id": one, **same} for one in ids])
        connection.execute(
            sa.update(call_vector).where(call_vector.c.call_id == ids[1]).values(vector=to_bytes(np.array([0, 0, 1.0])))
        )
    expected = sorted(set(ids) - {ids[0], ids[1]}, key=lambda one: one.int, reverse=True)
    assert near(database, ids[0], limit=50) == expected[:50]
    # What has nothing in common is not similar.
    assert near(database, ids[1]) == []


def test_a_vector_follows_its_analysis_and_goes_with_its_words(database, tmp_path) -> None:
    calls = seed(database)
    wired = wire(database, tmp_path)
    build(wired)
    assert build(wired) == 0
    one, other, third = calls["repair"][:3]
    with database.write() as connection:
        words = Changes(headline="password", summary=TOPICS["password"].format("kettle"))
        correct(connection, OPERATOR, one, revision_of(connection, one), words, now=LATER)
        erase_calls(connection, [other], StoreSurroundings("recordings"), cause="request", now=LATER)
        clear_words(connection, [third], StoreSurroundings("recordings"), now=LATER)
    assert not {other, third} & vectors(database).keys()
    assert build(wired, LATER + timedelta(minutes=1)) == 1
    assert vectors(database)[one][1] == 2
    assert set(near(database, one, limit=3)) <= set(calls["password"])
    assert not {other, third} & vectors(database).keys()


def test_what_was_erased_or_corrected_while_its_vector_was_made_leaves_none(any_database) -> None:
    calls = seed(any_database, things=THINGS[:1])
    with any_database.read() as connection:
        due = due_calls(connection, "m", limit=10)
    assert len(due) == 3
    gone, corrected = calls["delivery"][0], calls["repair"][0]
    with any_database.write() as connection:
        erase_calls(connection, [gone], StoreSurroundings("recordings"), cause="request", now=LATER)
        changes = Changes(summary="It was about something else.")
        correct(connection, OPERATOR, corrected, revision_of(connection, corrected), changes, now=LATER)
    with any_database.write() as connection:
        made = {one.call_id: (one, np.array([1.0, 0.0], dtype=np.float32)) for one in due}
        assert save_vectors(connection, "m", made) == 1
    assert set(vectors(any_database)) == {calls["password"][0]}
    with any_database.read() as connection:
        assert [one.call_id for one in due_calls(connection, "m", limit=10)] == [corrected]


def test_another_model_makes_every_vector_anew_and_two_are_never_compared(database, tmp_path, openai_server) -> None:
    calls = seed(database)
    build(wire(database, tmp_path))
    by = by_api(database, tmp_path, openai_server)
    assert build(by, at_most=1) == 24
    assert {model for model, _ in vectors(database).values()} == {"openai/text-embedding-3-small@32"}
    first = calls["delivery"][0]
    with database.write() as connection:
        connection.execute(sa.update(call_vector).where(call_vector.c.call_id == first).values(model="another"))
    assert near(database, first) == []
    assert first not in near(database, calls["delivery"][1], limit=50)


def test_a_kill_in_mid_batch_loses_nothing_and_pays_nothing_twice(database, tmp_path, openai_server) -> None:
    class Killed(BaseException):
        pass

    seed(database)
    seen: list[str] = []

    def answer(request: SentRequest) -> Reply:
        seen.extend(request.body["input"])
        return embeds()(request)

    openai_server.reply_always(answer)
    similar = Similar(by_api(database, tmp_path, openai_server), clock=lambda: LATER)
    with database.write() as connection:
        for number, call_id in enumerate(connection.execute(sa.select(call_analysis.c.call_id)).scalars().all()):
            connection.execute(
                sa.update(call_analysis)
                .where(call_analysis.c.call_id == call_id)
                .values(summary=f"Call {number}. My card number is {CARD}.")
            )

    def kill(count: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        similar.build(told=kill, at_once=10)
    assert (len(vectors(database)), len(seen)) == (10, 10)
    assert similar.build(at_once=10).vector_count == 14
    assert (len(vectors(database)), len(seen), len(set(seen))) == (24, 24, 24)
    # Nothing leaves that must not.
    assert not any(CARD[:9] in text for text in seen)
    with database.read() as connection:
        paid = connection.execute(sa.select(paid_request.c.purpose, paid_request.c.cost_microusd)).all()
    assert ([row.purpose for row in paid], min(row.cost_microusd for row in paid) > 0) == (["embedding"] * 3, True)


def test_only_one_makes_vectors_at_a_time_and_the_dead_are_followed(database, tmp_path) -> None:
    seed(database)
    similar = Similar(wire(database, tmp_path), clock=lambda: LATER)
    with database.write() as connection:
        assert take_turn(connection, now=LATER, lease=TURN)
    with pytest.raises(SomebodyElse):
        similar.build()
    assert similar.tend() == 0
    assert build(wire(database, tmp_path), LATER + timedelta(minutes=11)) == 24


def test_a_budget_that_is_spent_stops_it_and_a_text_that_is_refused_stops_nobody_else(
    database, tmp_path, openai_server
) -> None:
    seed(database)

    def refusing(request: SentRequest) -> Reply:
        is_refused = any("oven" in text and "noise" in text for text in request.body["input"])
        return (fails(400, "content_filter") if is_refused else embeds())(request)

    openai_server.reply_always(refusing)
    wired = by_api(database, tmp_path, openai_server)
    assert build(wired) == 24
    asked = len(openai_server.requests)
    with database.read() as connection:
        refused = (
            connection.execute(sa.select(call_vector.c.call_id).where(call_vector.c.dimension == 0)).scalars().all()
        )
    assert len(refused) == 1
    with database.read() as connection:
        assert similar_calls(connection, OPERATOR, refused[0]).model is None
    # It is not asked about again.
    assert (build(wired), len(openai_server.requests)) == (0, asked)
    poor = by_api(database, tmp_path, openai_server, budget=0.0, model="text-embedding-3-small")
    with database.write() as connection:
        connection.execute(sa.delete(call_vector))
    with pytest.raises(BudgetSpent):
        Similar(poor).build(pause=lambda _: None)
    assert Similar(poor).tend() == 0
    assert vectors(database) == {}


def test_a_centre_that_outgrows_its_model_gets_another(database, tmp_path) -> None:
    wired = wire(database, tmp_path)
    seed(database, things=THINGS[:2])
    # Too few to fit one on.
    assert build(wired) == 0
    assert kept_model(wired.objects) is None
    seed(database)
    assert build(wired) == 30
    before = kept_model(wired.objects)
    assert before is not None
    for _ in range(4):
        seed(database)
    assert build(wired, LATER + timedelta(minutes=1), pause=lambda _: None) == 126
    assert (before.text_count, kept_model(wired.objects).text_count) == (30, 126)
    assert {model for model, _ in vectors(database).values()} == {kept_model(wired.objects).name}


def test_pgvector_finds_what_comparing_one_by_one_finds(postgres_database, tmp_path) -> None:
    with postgres_database.read() as connection:
        offered = connection.execute(sa.text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"))
        if not offered.scalar_one():
            pytest.skip("this PostgreSQL has no pgvector: calls are compared one by one")
    calls = seed(postgres_database)
    wired = wire(postgres_database, tmp_path)
    # What the workers make is not indexed before somebody has said that pgvector may be used.
    assert Similar(wired, clock=lambda: LATER).build().is_indexed is False
    assert Similar(wired, clock=lambda: LATER).build(pause=lambda _: None).is_indexed is True
    later = seed(postgres_database, things=THINGS[:2])
    assert build(wired, LATER + timedelta(minutes=1), pause=lambda _: None) == 6
    first = calls["delivery"][0]
    with postgres_database.read() as connection:
        assert vector_index.is_ready(connection, 128)
        both = [similar_calls(connection, OPERATOR, first, limit=9, with_index=way) for way in (True, False)]
        assert both[0] == both[1]
        assert {one.line.id for one in both[0].calls} == {*calls["delivery"][1:], *later["delivery"]}


def test_pages_api_and_command_line_show_them_where_they_are_wanted(tmp_path) -> None:
    hall = make_hall(tmp_path / "home", similar=SimilarSettings(engine="local"))
    calls = seed(hall.wiring.database)
    build(hall.wiring)
    first, others = calls["password"][0], set(map(str, calls["password"][1:]))
    program = caller(hall)
    told = program.get(call_path(first, "/similar?limit=7")).json()
    assert ({one["call"]["id"] for one in told["calls"]}, told["model"][:10]) == (others, "local/lsa-")
    hall.sign_in()
    assert f'href="/calls/{first}/similar"' in hall.client.get(f"/calls/{first}").text
    page = hall.client.get(f"/calls/{first}/similar").text
    assert all(f"/calls/{one}" in page for one in others)
    for arguments, code in ((["build"], 0), ([str(first), "--limit", "7"], 0), (["00000000"], 1)):
        said = run([*arguments, "--json", "--home", str(tmp_path / "home")])
        assert said.exit_code == code, said.output
        if arguments[0] == str(first):
            assert {one["call"]["id"] for one in json.loads(said.stdout)["calls"]} == others
    assert run([str(first), "--home", str(tmp_path / "home")], engine="none").exit_code == 1
    off = make_hall(tmp_path / "home", create=False)
    off.sign_in()
    assert "Similar calls" not in off.client.get(f"/calls/{first}").text
    assert "similar.engine" in off.client.get(f"/calls/{first}/similar").text
    assert caller(off, name="second").get(call_path(first, "/similar")).json()["model"] is None
