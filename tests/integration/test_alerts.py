"""A reason that has risen and the week's report are told of once, by a signed message, whatever fails on the way."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from analytics.report import render_report, report_document, week_of, week_report
from analytics.rollup import recompute_all
from analytics.trends import local_today
from crm import outgoing
from crm.alert_tables import reason_alert
from crm.alert_tables import week_report as reports
from crm.tables import call
from engines.webhook import Webhook
from runtime.alerts import KIND, Alerts
from runtime.reporting import KIND as REPORT_KIND
from runtime.reporting import send_report_as_set
from runtime.settings import Settings
from runtime.settings_outgoing import AlertSettings, ReportSettings
from samples.history_plan import PLANTED, WEEK_COUNT
from tests.history_fixture import UNTIL, ZONE, fill
from tests.servers.webhook_receiver import SECRET, Trouble, WebhookReceiver
from tests.web_client import Clock, Hall, make_hall

START = UNTIL - timedelta(weeks=WEEK_COUNT)
# The Tuesday after the spike.
AFTER = datetime.combine(START + timedelta(weeks=PLANTED.spike_week + 1, days=1), datetime.min.time(), UTC)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    hall = make_hall(tmp_path_factory.mktemp("hall"))
    fill(hall.wiring.database)
    with hall.wiring.database.write() as connection:
        # Real calls, for alerts.
        connection.execute(sa.update(call).values(is_sample=False))
    recompute_all(hall.wiring.database, ZONE, AFTER)
    return hall


@pytest.fixture
def clock() -> Clock:
    return Clock(AFTER)


@pytest.fixture
def receiver(filled: Hall, clock: Clock) -> Iterator[WebhookReceiver]:
    with filled.wiring.database.write() as connection:
        connection.execute(sa.delete(reason_alert))
        connection.execute(sa.delete(reports))
    with WebhookReceiver(clock) as server:
        yield server


def alerts_of(hall: Hall, receiver: WebhookReceiver, clock: Clock, **chosen: object) -> Alerts:
    given = {"url": receiver.url + "/alerts", "secret": SECRET, "allow_private": True} | chosen
    settings = Settings(home=hall.wiring.settings.home_path, alerts=AlertSettings(**given))
    return Alerts(hall.wiring.database, settings, clock=clock)


def rows(hall: Hall) -> list[sa.Row]:
    with hall.wiring.database.read() as connection:
        return list(connection.execute(sa.select(reason_alert)))


def test_the_spike_is_told_of_once(filled, receiver, clock):
    working = alerts_of(filled, receiver, clock)
    assert working.tend() == 1
    (message,) = receiver.taken.values()
    assert message["type"] == KIND
    told = message["data"]
    assert (told["reason"], told["direction"]) == (PLANTED.spike_reason, "up")
    assert told["starts_on"] == (START + timedelta(weeks=PLANTED.spike_week)).isoformat()
    assert told["now"]["n"] > 100
    assert told["now"]["low"] > told["before"]["high"]
    for _ in range(3):
        clock.now += timedelta(hours=20)
        assert working.tend() == 0
    assert len(receiver.came) == 1


def test_nothing_is_told_of_a_week_in_which_nothing_is_planted(filled, receiver, clock):
    clock.now -= timedelta(weeks=4)
    assert alerts_of(filled, receiver, clock).tend() == 0
    assert rows(filled) == []


def test_nothing_is_told_of_a_reason_that_was_taken_out_of_another(filled, receiver, clock):
    clock.now = datetime.combine(START + timedelta(weeks=PLANTED.taxonomy_week + 1, days=1), time(), UTC)
    working = alerts_of(filled, receiver, clock, false_share=0.05)
    for _ in range(5):
        assert working.tend() == 0
        clock.now += timedelta(weeks=1)


def test_a_week_is_looked_at_once_its_last_calls_had_their_time(filled, receiver, clock):
    clock.now = AFTER - timedelta(days=1) + timedelta(hours=2)
    alerts_of(filled, receiver, clock).notice()
    assert PLANTED.spike_reason not in [row.reason_code for row in rows(filled)]
    clock.now += timedelta(hours=4)
    alerts_of(filled, receiver, clock).notice()
    assert PLANTED.spike_reason in [row.reason_code for row in rows(filled)]


def test_a_receiver_in_trouble_gets_it_later_under_the_same_id(filled, receiver, clock):
    receiver.trouble(Trouble(500), Trouble(503, after_work=True))
    working = alerts_of(filled, receiver, clock)
    assert working.tend() == 0
    assert working.tend() == 0
    assert len(receiver.came) == 1
    clock.now += outgoing.WAITS[0]
    assert working.tend() == 0
    clock.now += outgoing.WAITS[1]
    assert working.tend() == 1
    assert len(receiver.came) == 3
    assert len(set(receiver.came)) == 1


def test_an_alert_that_nobody_takes_is_given_up(filled, receiver, clock):
    working = alerts_of(filled, receiver, clock, secret="another secret that is long enough")
    for wait in (*outgoing.WAITS, timedelta(days=1), timedelta(days=1)):
        assert working.tend() == 0
        clock.now += wait
    assert receiver.disbelieved == len(outgoing.WAITS) + 1
    (row,) = rows(filled)
    assert (row.due_at, row.sent_at, row.failed_code) == (None, None, "http_401")


def test_what_another_worker_has_in_hand_is_left_to_it(filled, receiver, clock):
    working = alerts_of(filled, receiver, clock)
    working.notice()
    with filled.wiring.database.write() as connection:
        assert outgoing.take(connection, reason_alert, now=clock()) is not None
    assert working.tend() == 0
    # It died.
    clock.now += timedelta(minutes=2)
    assert working.tend() == 1


def test_a_few_calls_are_no_alert(filled, receiver, clock):
    assert alerts_of(filled, receiver, clock, min_calls=1_000).tend() == 0


def test_generated_history_raises_no_alert(tmp_path, receiver, clock):
    hall = make_hall(tmp_path)
    fill(hall.wiring.database)
    assert alerts_of(hall, receiver, clock).tend() == 0


def test_nobody_is_told_where_nothing_is_set(tmp_path: Path):
    hall = make_hall(tmp_path)
    assert Alerts(hall.wiring.database, hall.wiring.settings).tend() == 0


def reporting(hall: Hall, receiver: WebhookReceiver, clock: Clock, **chosen: object) -> int:
    given = {"url": receiver.url + "/reports", "secret": SECRET, "allow_private": True} | chosen
    settings = Settings(home=hall.wiring.settings.home_path, reports=ReportSettings(**given))
    return send_report_as_set(hall.wiring.database, settings, clock)


def test_the_weeks_report_is_sent_once_a_day_after_its_end(filled, receiver, clock):
    clock.now = AFTER - timedelta(days=1, hours=4)
    assert reporting(filled, receiver, clock) == 1
    for _ in range(8):
        clock.now += timedelta(days=1)
        reporting(filled, receiver, clock)
    last = START + timedelta(weeks=PLANTED.spike_week)
    weeks = [week_of(last + timedelta(weeks=more)) for more in (-1, 0)]
    assert receiver.came == [f"report.{week}" for week in weeks]
    message = receiver.taken[f"report.{weeks[1]}"]
    told = message["data"]
    assert (message["type"], told["week"], told["starts_on"]) == (REPORT_KIND, weeks[1], last.isoformat())
    assert PLANTED.spike_reason in [one["code"] for one in told["moved"] if one["direction"] == "up"]
    with filled.wiring.database.read() as connection:
        found = week_report(connection, week=weeks[1], today=local_today(connection, clock()))
    assert {name: value for name, value in told.items() if name != "html"} == report_document(found)
    assert told["html"] == render_report(found, title=filled.wiring.settings.site.name)


def test_a_report_whose_sender_died_comes_again_as_the_same_one(filled, receiver, clock):
    receiver.trouble(Trouble(503, after_work=True), Trouble(500))
    assert reporting(filled, receiver, clock) == 0
    sent_first = dict(receiver.taken)
    # What is known by now would read otherwise.
    clock.now += outgoing.WAITS[0]
    assert reporting(filled, receiver, clock, url=receiver.url + "/moved") == 0
    clock.now += outgoing.WAITS[1]
    with filled.wiring.database.write() as connection:
        held = outgoing.take(connection, reports, now=clock())
    assert held is not None
    assert reporting(filled, receiver, clock) == 0
    # It had sent it and died before it could note that.
    Webhook(receiver.url, SECRET, allow_private=True, clock=clock).tell(
        REPORT_KIND, f"report.{held.key[0]}", dict(held.document)
    )
    clock.now += timedelta(minutes=2)
    assert reporting(filled, receiver, clock) == 1
    assert len(receiver.came) == 4
    assert receiver.taken == sent_first


def test_a_report_goes_to_no_private_address_unless_that_is_meant(filled, receiver, clock):
    private = receiver.url.replace("http:", "https:")
    assert reporting(filled, receiver, clock, url=private, allow_private=False) == 0
    with filled.wiring.database.read() as connection:
        assert connection.execute(sa.select(reports.c.failed_code)).scalar_one() == "private_address"
    assert receiver.came == []


@pytest.mark.parametrize("settings_of", [AlertSettings, ReportSettings])
@pytest.mark.parametrize(
    "given",
    [{"url": "https://alerts.example.org"}, {"url": "http://alerts.example.org", "secret": SECRET}, {"url": "no url"}],
)
def test_what_could_be_forged_or_read_is_refused(given, settings_of):
    with pytest.raises(ValueError, match=r"alerts\.|reports\.|address"):
        settings_of(**given)
