"""Laws of asking, over real databases and with a model that answers what it is told to."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from analytics import asked_sql
from analytics.asked_sql import run_query
from analytics.asked_words import RefusedQuery
from analytics.rollup import refresh
from calls.asking import NO_CONTEXT
from calls.money import Charge
from crm.access import OPERATOR, NotAllowed, Role, Viewer
from crm.calls import CallFilter, NoSuchCall, WrongQuery
from crm.database import Database
from crm.tables import paid_request
from crm.users import create_user
from engines.language_requests import Answer
from runtime.ask import Asked, ModelAnswerer, OfflineAnswerer, ask
from runtime.settings import Settings
from runtime.settings_site import DatabaseSettings
from runtime.wiring import Wiring
from tests.seeds import NOW, seed_call, seed_taxonomy
from tests.web_client import Hall, make_hall

SAID = (
    (0, "customer", 0.5, 3.0, "My dishwasher has not arrived, my card is 4111 1111 1111 1111."),
    (1, "agent", 4.0, 7.0, "I am sorry, the delivery comes on Friday."),
)


@dataclass
class TaughtRequests:
    """A model that gives one answer to everything, and keeps what it was asked."""

    reply: dict[str, Any]
    name: str = "taught/model"
    asked: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, system: str, messages: Any, schema: Any, max_output_tokens: int, **_: Any) -> Answer:
        self.asked.append((system, messages[0]["content"]))
        return Answer(json.dumps(self.reply), "whole", "r1", 100, 0, 20)

    def charge(self, answer: Answer) -> Charge:
        return Charge("taught", "model", "analysis", answer.request_id, 100, 0, 20, cost_microusd=7)

    def check(self) -> None:
        """It is there."""


def says(text: str, quote: str, *, call: int = 1, turn: int = 1, sql: str = "") -> TaughtRequests:
    quotes = [{"call": call, "turn": turn, "quote": quote}]
    return TaughtRequests({"statements": [{"text": text, "quotes": quotes}], "sql": sql})


@pytest.fixture
def wiring(any_database: Database, tmp_path: Path) -> Iterator[Wiring]:
    url = any_database.url.render_as_string(hide_password=False)
    made = Wiring(Settings(home=tmp_path / "home", database=DatabaseSettings(url=url)))
    yield made
    made.database.dispose()


@pytest.fixture
def call_id(wiring: Wiring) -> UUID:
    with wiring.database.write() as connection:
        seed_taxonomy(connection)
        return seed_call(connection, said=SAID)


def put(wiring: Wiring, requests: TaughtRequests, question: str, viewer: Viewer = OPERATOR, **more: Any) -> Asked:
    return ask(wiring, viewer, question, now=NOW, answerer=ModelAnswerer(requests), **more)


def test_each_statement_of_an_answer_has_its_call_and_turn_and_is_paid_for(wiring, call_id):
    told = put(wiring, says("It comes on Friday.", "the delivery comes on Friday"), "When is the delivery?")
    [statement] = told.statements
    [quote] = statement.quotes
    assert (quote.call_id, quote.turn, quote.start_s) == (call_id, 1, 4.0)
    assert told.text == ""
    with wiring.database.read() as connection:
        [row] = connection.execute(sa.select(paid_request)).all()
    assert (row.purpose, row.cost_microusd, row.call_id) == ("ask", 7, None)


def test_what_no_call_says_is_not_answered(wiring, call_id):
    for told in (
        put(wiring, says("The refund is 900 euros.", "your refund is 900 euros"), "When is the delivery?"),
        put(wiring, TaughtRequests({"statements": [], "sql": ""}), "When is the delivery?", call_id=call_id),
        put(wiring, says("x", "y"), "What about zeppelins?"),
    ):
        assert (told.text, told.statements, told.counted) == (NO_CONTEXT, (), None)


def test_a_model_is_not_asked_about_nothing(wiring, call_id):
    requests = says("x", "y")
    put(wiring, requests, "What about zeppelins?")
    assert requests.asked == []


def test_nothing_that_must_not_leave_reaches_the_model(wiring, call_id):
    requests = says("x", "y")
    put(wiring, requests, "What about the dishwasher card?", call_id=call_id)
    [(system, user)] = requests.asked
    assert "4111" not in system + user
    assert "dishwasher" in user


def test_one_is_asked_about_calls_that_one_may_see(wiring, call_id):
    stranger = Viewer("s", Role.AGENT, agent_id=uuid4())
    requests = says("It comes on Friday.", "the delivery comes on Friday")
    with pytest.raises(NoSuchCall):
        put(wiring, requests, "When is the delivery?", stranger, call_id=call_id)
    assert put(wiring, requests, "When is the delivery?", stranger).text == NO_CONTEXT
    with pytest.raises(NotAllowed):
        put(wiring, requests, "When is the delivery?", Viewer("n", None))
    assert requests.asked == []
    for question in ("", " ", "x" * 501):
        with pytest.raises(WrongQuery):
            put(wiring, requests, question)


def test_numbers_come_from_the_query_that_is_shown(wiring, call_id):
    with wiring.database.write() as connection:
        for days in range(4):
            seed_call(connection, happened_at=NOW - timedelta(days=days), analysis={"reason_code": "repair_booking"})
    refresh(wiring.database, "UTC")
    requests = TaughtRequests({"statements": [], "sql": "SELECT count(*) AS n FROM asked_call"})
    told = put(wiring, requests, "How many calls?", wanted=CallFilter(reason="repair_booking"))
    assert told.counted is not None
    assert (told.counted.columns, told.counted.rows) == (("n",), ((4,),))
    assert told.counted.parameters == {"reason": "repair_booking"}
    assert "SELECT count(*) AS n FROM asked_call" in told.counted.sql
    by_rule = ask(wiring, OPERATOR, "How many calls by reason?", now=NOW, answerer=OfflineAnswerer())
    assert by_rule.counted is not None
    assert by_rule.counted.rows == (("Repair booking", 4), ("Delivery status", 1))
    of_customer = put(wiring, requests, "How many calls?", wanted=CallFilter(customer="Diaz"))
    assert "customer" in " ".join(of_customer.notes)
    of_chart = put(wiring, requests, "How many calls?", wanted=CallFilter(only=sa.true()))
    assert "the part of a chart" in " ".join(of_chart.notes)


def test_without_a_model_what_no_rule_can_count_is_not_counted_and_that_is_said(wiring, call_id):
    refresh(wiring.database, "UTC")
    told = ask(wiring, OPERATOR, "How many calls about zeppelins?", now=NOW, answerer=OfflineAnswerer())
    assert told.counted is None
    assert told.text == NO_CONTEXT
    assert "Without a language model" in " ".join(told.notes)


def test_who_may_not_see_all_calls_gets_none_counted(wiring, call_id):
    requests = TaughtRequests({"statements": [], "sql": "SELECT count(*) AS n FROM asked_call"})
    with wiring.database.read() as connection:
        agent_id = connection.execute(sa.text("SELECT agent_id FROM call")).scalar_one()
    viewer = Viewer("a", Role.AGENT, agent_id=UUID(str(agent_id)))
    told = put(wiring, requests, "How many deliveries of a dishwasher?", viewer)
    assert told.counted is None
    assert told.notes


def test_a_query_reads_nothing_but_the_star_schema_even_where_the_check_would_let_it(wiring, call_id, request):
    refresh(wiring.database, "UTC")
    if wiring.database.is_sqlite:
        with wiring.database.read() as connection, asked_sql._confined(connection):
            for sql in ("SELECT * FROM app_user", "SELECT * FROM utterance", "SELECT name FROM sqlite_master"):
                with pytest.raises(sa.exc.DatabaseError):
                    connection.exec_driver_sql(sql)
    else:
        for sql in (
            "SELECT * FROM public.app_user",
            "SELECT 1 FROM fact_call, public.utterance",
            "TABLE bi.dim_customer",
        ):
            with (
                wiring.database.read() as connection,
                asked_sql._confined(connection),
                pytest.raises(RefusedQuery, match="may not read"),
            ):
                asked_sql._look_through(connection, sql, {})
    with wiring.database.read() as connection, asked_sql._confined(connection):
        for sql in ("DELETE FROM fact_call", "CREATE TABLE x (y int)"):
            with pytest.raises(sa.exc.DBAPIError), connection.begin_nested():
                connection.exec_driver_sql(sql)
    with wiring.database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM app_user")).scalar_one() == 0


@pytest.mark.parametrize(
    "sql",
    [
        "WITH public AS (SELECT 1 AS app_user, 1 AS password_hash FROM asked_call)"
        " SELECT app_user.password_hash FROM public.app_user",
        "WITH x AS (TABLE public.app_user) SELECT 1 AS table, 1 AS public, 1 AS app_user,"
        " password_hash AS password_hash FROM x",
        "SELECT 1 AS query_to_xml, query_to_xml('select * from public.app_user', true, false, '') FROM asked_call",
        "SELECT 1 AS set_config, set_config('statement_timeout', '0', false) FROM asked_call",
        "SELECT 1 AS public, 1 AS app_user FROM (public.app_user CROSS JOIN asked_call)",
        "SELECT 1 AS e, 1 AS app_user, 1 AS password_hash, e'\\', ' , password_hash FROM public.app_user WHERE '' = '",
    ],
)
def test_no_disguise_of_a_query_reaches_the_users(wiring, call_id, sql):
    with wiring.database.write() as connection:
        create_user(connection, "maria", "a secret of hers", Role.ADMIN, NOW)
    refresh(wiring.database, "UTC")
    with pytest.raises(RefusedQuery, match="a query"):
        run_query(wiring.database, sql, CallFilter())


def test_a_literal_is_text_whatever_stands_in_it(wiring, call_id):
    refresh(wiring.database, "UTC")
    sql = "SELECT count(*) AS n, 'at 10:30 :b 5% ''x' AS said FROM asked_call WHERE stage <> ':reason'"
    counted = run_query(wiring.database, sql, CallFilter(reason="delivery_status"))
    assert counted.rows == ((1, "at 10:30 :b 5% 'x"),)
    assert sql in counted.sql


def test_what_cannot_be_run_is_said(wiring, call_id):
    refresh(wiring.database, "UTC")
    with pytest.raises(RefusedQuery):
        run_query(wiring.database, "select sum(name) from dim_queue group by nothing", CallFilter())
    requests = TaughtRequests({"statements": [], "sql": "SELECT * FROM app_user"})
    told = put(wiring, requests, "How many users?")
    assert told.counted is None
    assert any("app_user" in note for note in told.notes)
    assert told.text == NO_CONTEXT


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    made = make_hall(tmp_path / "home")
    with made.wiring.database.write() as connection:
        seed_call(connection, said=SAID)
    made.sign_in()
    return made


def test_the_pages_search_and_ask_without_a_model_or_javascript(hall):
    page = hall.client.get("/search?text=dishwasher")
    assert page.status_code == 200
    assert "<mark>dishwasher</mark>" in page.text
    asked = hall.post("/ask", question="When is the delivery on Friday?")
    assert asked.status_code == 200
    assert "the delivery comes on Friday." in asked.text
    assert "No language model is configured" in asked.text
    assert NO_CONTEXT in hall.post("/ask", question="What about zeppelins?").text
    assert hall.client.post("/ask", data={"question": "x"}).status_code == 403


def test_the_api_gives_what_the_pages_show(hall):
    found = hall.client.get("/api/v1/search?text=dishwasher").json()
    [hit] = found["hits"]
    [said] = hit["said"]
    assert [said["text"][a:b] for a, b in said["places"]] == ["dishwasher"]
    assert found["next"] is None
    answer = hall.client.post("/api/v1/ask", json={"question": "When is the delivery on Friday?"}).json()
    assert answer["statements"][0]["quotes"][0]["turn"] == 1
    assert answer["is_extractive"] is True
    assert hall.client.get("/api/v1/search?text=x&after=%27").status_code == 400
