"""Laws of handing calls over from the pages, the API and the command line."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer
from typer.testing import CliRunner, Result

from calls.crm_payloads import MAPPERS
from cli import handover as commands
from crm.audit import entries
from crm.database import Database
from runtime.handover import Handovers
from runtime.settings import Settings
from runtime.settings_outgoing import HandoverSettings, SalesforceSettings, WebhookSettings
from runtime.wiring import Wiring
from tests.seeds import seed_call
from tests.servers import salesforce, webhook_receiver
from tests.servers.salesforce import SalesforceServer
from tests.servers.webhook_receiver import WebhookReceiver
from tests.web_client import Clock, Hall, make_hall
from tests.xss import XSS
from web.api_handover import CallStandings, CrmPayload, DestinationList
from web.app import create_app
from workers.handover import HandoverWork, tend

CARD = "4111 1111 1111 1111"


class Desk:
    """A site whose calls go to an org of Salesforce and to a webhook."""

    def __init__(
        self, home: Path, org: SalesforceServer, receiver: WebhookReceiver, clock: Clock, **rules: Any
    ) -> None:
        make_hall(home)
        self.org, self.receiver = org, receiver
        self.settings = Settings(
            home=home,
            handover=HandoverSettings(
                salesforce=SalesforceSettings(
                    url=org.url, client_id=salesforce.CLIENT_ID, client_secret=salesforce.CLIENT_SECRET
                ),
                webhooks=(
                    WebhookSettings(name="hook", url=receiver.url, secret=webhook_receiver.SECRET, allow_private=True),
                ),
                **rules,
            ),
        )
        wiring = Wiring(self.settings)
        self.hall = Hall(wiring, create_app(wiring, clock=clock), clock)
        self.hall.sign_in()

    @property
    def database(self) -> Database:
        """The site's."""
        return self.hall.wiring.database

    def seed(self, **facts: Any) -> UUID:
        """A call that is done."""
        with self.database.write() as connection:
            return seed_call(connection, **facts)

    def send(self) -> int:
        """A round of the workers."""
        handovers = Handovers(self.settings, self.hall.wiring.redaction, clock=self.hall.clock)
        return tend(HandoverWork(self.database, handovers))

    def press(self, call_id: UUID, **more: str) -> Any:
        """The button of a call's page."""
        page = self.hall.client.get(f"/calls/{call_id}").text
        assert f'action="/calls/{call_id}/handover"' in page
        revision = page.split('name="revision" value="')[1].split('"')[0]
        return self.hall.post(
            f"/calls/{call_id}/handover", **{"destination": "salesforce", "revision": revision} | more
        )

    def actions(self) -> list[tuple[str, str]]:
        """What the audit log holds, the earliest first."""
        with self.database.read() as connection:
            return [(one.action, one.detail) for one in reversed(entries(connection))]


@pytest.fixture
def servers() -> Iterator[tuple[SalesforceServer, WebhookReceiver, Clock]]:
    clock = Clock()
    with SalesforceServer() as org, WebhookReceiver(clock) as receiver:
        yield org, receiver, clock


@pytest.fixture
def desk(servers: Any, tmp_path: Path) -> Desk:
    return Desk(tmp_path / "home", *servers)


def test_a_call_is_handed_over_by_a_button_and_its_page_says_so(desk):
    call_id = desk.seed()
    page = desk.hall.client.get(f"/calls/{call_id}").text
    assert "Not sent yet" in page
    assert desk.press(call_id).headers["location"] == f"/calls/{call_id}#handover"
    assert "On its way" in desk.hall.client.get(f"/calls/{call_id}").text
    assert desk.send() == 1
    task = desk.org.org.tasks[str(call_id)]
    page = desk.hall.client.get(f"/calls/{call_id}").text
    assert "Sent" in page
    assert task["Id"] in page
    assert "asked for by maria" in page
    assert ("hand_over", "salesforce") in desk.actions()


def test_a_summary_is_approved_and_handed_over_at_once(servers, tmp_path):
    desk = Desk(tmp_path / "home", *servers, needs_approval=True)
    call_id = desk.seed()
    assert desk.press(call_id).status_code == 422
    assert "Approve and hand over" in desk.hall.client.get(f"/calls/{call_id}").text
    assert desk.press(call_id, approves="true").status_code == 303
    assert desk.send() == 1
    assert "Approved by maria" in desk.hall.client.get(f"/calls/{call_id}").text
    actions = [action for action, _ in desk.actions()]
    assert actions.index("approve") < actions.index("hand_over")
    assert actions.count("approve") == 1


def test_who_looked_at_another_revision_approves_nothing(servers, tmp_path):
    desk = Desk(tmp_path / "home", *servers, needs_approval=True)
    call_id = desk.seed()
    assert desk.press(call_id, approves="true", revision="99").status_code == 409
    assert desk.send() == 0
    assert "hand_over" not in [action for action, _ in desk.actions()]


def test_the_api_shows_a_call_as_each_crm_takes_it_and_sends_nothing(desk):
    call_id = desk.seed()
    for system in MAPPERS:
        told = desk.hall.client.get(f"/api/v1/calls/{call_id}/crm/{system}").json()
        CrmPayload.model_validate(told)
        assert told["fields"]
        assert told["object_id"] is None
    assert desk.org.asked == []
    assert desk.hall.client.get(f"/api/v1/calls/{call_id}/crm/none").status_code == 422


def test_the_api_hands_over_and_tells_where_it_stands(desk):
    client = desk.hall.client
    call_id = desk.seed()
    asked = client.post(f"/api/v1/calls/{call_id}/handover/salesforce")
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    desk.send()
    told = client.get(f"/api/v1/calls/{call_id}/handover").json()
    CallStandings.model_validate(told)
    [hook, org] = told["destinations"]
    assert (org["state"], org["object_id"]) == ("sent", desk.org.org.tasks[str(call_id)]["Id"])
    assert hook["state"] is None
    told = client.get("/api/v1/handover").json()
    DestinationList.model_validate(told)
    found = {one["name"]: one for one in told["destinations"]}
    assert found["salesforce"]["calls"]["sent"] == 1
    assert client.post(f"/api/v1/calls/{call_id}/handover/elsewhere").json()["code"] == "no_such_destination"
    assert client.post("/api/v1/handover/elsewhere/resume").status_code == 404
    assert client.get(f"/api/v1/calls/{call_id}/crm/salesforce").json()["object_id"] == org["object_id"]


def test_what_is_paused_is_seen_on_the_operations_page_and_goes_on_by_a_button(desk):
    for _ in range(10):
        call_id = desk.seed()
        desk.press(call_id, destination="hook")
    desk.receiver.trouble(*[webhook_receiver.Trouble(500)] * 10)
    desk.send()
    page = desk.hall.client.get("/operations").text
    assert ">paused<" in page
    assert "It answered 500" in page
    assert desk.hall.post("/operations/handover", code="hook").status_code == 303
    assert ">paused<" not in desk.hall.client.get("/operations").text
    # Their next attempts are due in half a minute.
    assert desk.send() == 0
    desk.hall.pass_time(timedelta(seconds=31))
    assert desk.send() == 10


def test_nothing_of_a_call_runs_on_the_way_to_a_crm(desk):
    # PostgreSQL takes no NUL.
    for text in (one.replace("\x00", "") for one in XSS):
        words = {"headline": text, "summary": text}
        call_id = desk.seed(analysis=words, customer_name=text, external_call_id=text, queue=text)
        body = desk.hall.client.get(f"/api/v1/calls/{call_id}/crm/hubspot").json()["fields"]["hs_call_body"]
        assert "<" not in body.replace("<br>", "")
        desk.press(call_id)
        desk.send()
        assert desk.org.org.tasks[str(call_id)]["Subject"] == text


# The command line


def run(desk: Desk, *arguments: str) -> Result:
    app = typer.Typer()
    commands.register(app)
    hook = {"name": "hook", "url": desk.receiver.url, "secret": webhook_receiver.SECRET, "allow_private": True}
    environment = {
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "CALLWISE_HANDOVER__SALESFORCE__URL": desk.org.url,
        "CALLWISE_HANDOVER__SALESFORCE__CLIENT_ID": salesforce.CLIENT_ID,
        "CALLWISE_HANDOVER__SALESFORCE__CLIENT_SECRET": salesforce.CLIENT_SECRET,
        "CALLWISE_HANDOVER__WEBHOOKS": json.dumps([hook]),
    }
    home = str(desk.settings.home_path)
    return CliRunner().invoke(app, ["handover", *arguments, "--home", home], env=environment)


def document(desk: Desk, *arguments: str, code: int = 0) -> Any:
    ended = run(desk, *arguments, "--json")
    assert ended.exit_code == code, ended.output
    return json.loads(ended.stdout)


def test_the_command_line_sends_shows_and_lets_go_on(desk):
    call_id = desk.seed(external_call_id="X 1")
    assert document(desk, "send", "X 1", "salesforce")["state"] == "waiting"
    assert document(desk, "run") == {"sent": 1}
    assert str(call_id) in desk.org.org.tasks
    [hook, org] = document(desk, "status")["destinations"]
    assert org["calls"]["sent"] == 1
    assert hook["calls"]["sent"] == 0
    assert document(desk, "queue", "salesforce", "--since", "2026-01-01")["queued"] == 0
    desk.seed()
    assert document(desk, "queue", "salesforce", "--since", "2026-01-01")["queued"] == 1
    assert document(desk, "resume", "salesforce") == {"name": "salesforce", "retried": 0}
    assert "salesforce" in run(desk, "status").output
    assert run(desk, "queue", "nowhere", "--since", "2026-01-01").exit_code == 2
    assert run(desk, "queue", "salesforce", "--since", "yesterday").exit_code == 2


def test_a_payload_on_the_command_line_is_what_a_crm_would_see(desk):
    call_id = desk.seed(analysis={"summary": f"The card is {CARD}."})
    told = json.loads(run(desk, "payload", str(call_id), "hubspot").stdout)
    assert "[CARD]" in told["fields"]["hs_call_body"]
    assert told["fields"]["hs_call_from_number"] == "+15550100"
    assert run(desk, "payload", str(call_id), "siebel").exit_code == 2


def test_a_check_says_what_is_wrong_without_sending_a_call(desk):
    told = document(desk, "check", code=1)
    # The receiver's clock stands still: it does not believe what is signed now.
    assert [(one["name"], one["code"]) for one in told["destinations"]] == [
        ("salesforce", None),
        ("hook", "refused_request"),
    ]
    assert desk.org.batches == []
