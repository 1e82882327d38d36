"""One suite for everything that calls are handed over to: each call is there once, whatever was lost on the way."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from calls.crm_payloads import hubspot_call, salesforce_task, webhook_call
from calls.errors import EngineMisconfigured, TransientError
from calls.handover import CrmIds, HandedCall, payload_hash
from calls.recording import Direction
from engines.crm_hubspot import HubSpotCrm
from engines.crm_salesforce import SalesforceCrm
from engines.crm_salesforce_key import SigningKey
from engines.handover import Destination, Outgoing, Refused, Sent
from engines.webhook import Webhook, is_public
from tests.servers import hubspot, salesforce, webhook_receiver
from tests.servers.hubspot import HubSpotServer
from tests.servers.salesforce import SalesforceServer
from tests.servers.webhook_receiver import WebhookReceiver

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
PLANTED = "The code of the customer is planted-8841."


def salesforce_of(server: SalesforceServer, **changes: Any) -> SalesforceCrm:
    given = {"client_id": salesforce.CLIENT_ID, "client_secret": salesforce.CLIENT_SECRET, "timeout_s": 5.0}
    return SalesforceCrm(server.url, **given | changes)


def hubspot_of(server: HubSpotServer, **changes: Any) -> HubSpotCrm:
    return HubSpotCrm(**{"token": hubspot.TOKEN, "base_url": server.url, "timeout_s": 5.0} | changes)


def webhook_of(server: WebhookReceiver, **changes: Any) -> Webhook:
    given = {"allow_private": True, "clock": lambda: NOW, "timeout_s": 5.0}
    return Webhook(server.url + "/calls", changes.pop("secret", webhook_receiver.SECRET), **given | changes)


@dataclass
class There:
    """One destination with the server behind it."""

    server: Any
    engine: Destination
    map: Any
    broken: Any

    def keys(self) -> list[str]:
        """Our ids of the calls that are there, each as often as it is there."""
        if isinstance(self.server, SalesforceServer):
            return [task[salesforce.FIELD] for task in self.server.org.tasks.values()]
        if isinstance(self.server, HubSpotServer):
            return [call[hubspot.PROPERTY] for call in self.server.portal.calls.values()]
        return [message["data"]["id"] for message in self.server.taken.values()]

    def outgoing(self, number: int, **changes: Any) -> Outgoing:
        ids = changes.pop("ids", CrmIds())
        call = HandedCall(
            **{
                "id": UUID(int=number),
                "source_system": "plain",
                "external_call_id": f"ext-{number}",
                "revision": 1,
                "happened_at": NOW,
                "headline": "Dishwasher has not arrived",
                "summary": PLANTED,
                "summary_kind": "written",
                "subject": "dishwasher",
                "reason_code": "delivery_status",
                "reason_label": "Delivery status",
                "reason_confidence": 0.9,
                "outcome": "follow_up",
                "is_resolved": False,
                "direction": Direction.INBOUND,
                "from_number_e164": "+15550100",
                "to_number_e164": "+15550199",
                "duration_s": 15.0,
            }
            | changes
        )
        payload = self.map(call, ids)
        told = payload_hash(payload.fields)
        return Outgoing(str(call.id), payload, told, call.revision, contact_id=ids.contact)


@pytest.fixture(params=["salesforce", "hubspot", "webhook"])
def there(request: pytest.FixtureRequest) -> Iterator[There]:
    if request.param == "salesforce":
        with SalesforceServer() as server:
            yield There(server, salesforce_of(server), salesforce_task, salesforce.Trouble)
    elif request.param == "hubspot":
        with HubSpotServer() as portal:
            yield There(portal, hubspot_of(portal), hubspot_call, hubspot.Trouble)
    else:
        with WebhookReceiver(lambda: NOW) as receiver:
            yield There(receiver, webhook_of(receiver), webhook_call, webhook_receiver.Trouble)


def test_what_is_sent_is_there_and_what_is_sent_again_is_there_once(there):
    calls = [there.outgoing(number) for number in range(1, 1 + min(3, there.engine.batch_size))]
    first = there.engine.send(calls)
    assert all(isinstance(result, Sent) and result.object_id for result in first)
    again = there.engine.send(calls)
    assert again == first
    assert sorted(there.keys()) == [one.key for one in calls]


@pytest.fixture(params=["salesforce", "hubspot"])
def crm(request: pytest.FixtureRequest) -> Iterator[There]:
    if request.param == "salesforce":
        with SalesforceServer() as server:
            yield There(server, salesforce_of(server), salesforce_task, salesforce.Trouble)
    else:
        with HubSpotServer() as portal:
            yield There(portal, hubspot_of(portal), hubspot_call, hubspot.Trouble)


def test_an_answer_that_is_lost_makes_no_second_call(crm):
    crm.server.trouble(crm.broken(200, ending="cut", after_work=True))
    with pytest.raises(TransientError) as lost:
        crm.engine.send([crm.outgoing(1)])
    assert lost.value.code in {"unreachable", "invalid_response"}
    assert crm.keys() == [crm.outgoing(1).key]
    assert isinstance(crm.engine.send([crm.outgoing(1)])[0], Sent)
    assert crm.keys() == [crm.outgoing(1).key]


def test_one_call_that_is_refused_keeps_no_other_back(crm):
    calls = [crm.outgoing(number) for number in (1, 2, 3)]
    wrong = {"CallType": "Sideways", "hs_call_direction": "SIDEWAYS"}
    name = "CallType" if crm.map is salesforce_task else "hs_call_direction"
    fields = dict(calls[1].payload.fields) | {name: wrong[name]}
    calls[1] = replace(calls[1], payload=replace(calls[1].payload, fields=fields))
    results = crm.engine.send(calls)
    assert [type(result) for result in results] == [Sent, Refused, Sent]
    assert name in results[1].detail
    assert not results[1].again
    assert "SIDEWAYS" not in str(results[1]).upper().replace(name.upper(), "")
    assert sorted(crm.keys()) == [calls[0].key, calls[2].key]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_in_trouble_is_tried_again_later(crm, status):
    crm.server.trouble(crm.broken(status))
    with pytest.raises(TransientError) as error:
        crm.engine.send([crm.outgoing(1)])
    assert error.value.code == "server_error"
    assert not isinstance(error.value, EngineMisconfigured)


def test_a_limit_that_is_reached_says_how_long_to_wait(crm):
    limit = salesforce.limit_reached() if crm.map is salesforce_task else hubspot.limit_reached(7)
    crm.server.trouble(limit)
    with pytest.raises(TransientError) as error:
        crm.engine.send([crm.outgoing(1)])
    assert error.value.code == "rate_limited"
    assert error.value.retry_after_s == (900 if crm.map is salesforce_task else 7)


@pytest.mark.parametrize("kind", ["salesforce", "hubspot"])
def test_a_wrong_secret_is_said_with_the_setting_and_without_the_secret(kind):
    if kind == "salesforce":
        with SalesforceServer() as server, pytest.raises(EngineMisconfigured) as error:
            salesforce_of(server, client_secret="planted-wrong-secret").check()
    else:
        with HubSpotServer() as portal, pytest.raises(EngineMisconfigured) as error:
            hubspot_of(portal, token="planted-wrong-secret").check()
    assert error.value.code == "wrong_credentials"
    assert "CALLWISE_HANDOVER__" in str(error.value)
    assert "planted" not in str(error.value)


@pytest.mark.parametrize("kind", ["salesforce", "hubspot"])
def test_a_crm_without_the_field_for_our_id_is_found_out_before_and_by_sending(kind):
    if kind == "salesforce":
        with SalesforceServer(external_id_field=None) as server:
            _both_say_no_field(There(server, salesforce_of(server), salesforce_task, None))
    else:
        with HubSpotServer(has_property=False) as portal:
            _both_say_no_field(There(portal, hubspot_of(portal), hubspot_call, None))


def _both_say_no_field(there: There) -> None:
    for ask in (there.engine.check, lambda: there.engine.send([there.outgoing(1)])):
        with pytest.raises(EngineMisconfigured) as error:
            ask()
        assert error.value.code == "no_external_id_field"
        assert PLANTED not in str(error.value)


def test_a_customer_is_found_by_number_only_where_there_is_one(crm):
    if crm.map is salesforce_task:
        crm.server.org.contacts += [("003A", "001A", "5550100"), ("003B", "", "5550177"), ("003C", "", "5550177")]
    else:
        crm.server.portal.contacts += [("11", "+15550100", ""), ("12", "+15550177", ""), ("13", "", "+15550177")]
    found = crm.engine.find_contact("+15550100")
    assert found is not None
    assert found.object_id in {"003A", "11"}
    assert crm.engine.find_contact("+15550177") is None
    assert crm.engine.find_contact("+15550111") is None


def test_an_agent_is_found_by_address(crm):
    (crm.server.org.users if crm.map is salesforce_task else crm.server.portal.owners).append(("77", "a@example.org"))
    assert crm.engine.find_owner("a@example.org") == "77"
    assert crm.engine.find_owner("x' OR Email LIKE '%") is None


def test_a_server_that_is_not_there_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    engines = (
        SalesforceCrm(url, client_id="a", client_secret="b"),
        HubSpotCrm("a", base_url=url),
        Webhook(url, webhook_receiver.SECRET, allow_private=True),
    )
    for engine in engines:
        with pytest.raises(TransientError) as error:
            engine.check()
        assert error.value.code == "unreachable"


# Salesforce


@pytest.fixture
def org() -> Iterator[SalesforceServer]:
    with SalesforceServer() as server:
        yield server


def test_a_session_that_ended_is_begun_again_and_the_call_is_sent_once(org):
    there = There(org, salesforce_of(org), salesforce_task, None)
    there.engine.send([there.outgoing(1)])
    org.end_sessions()
    assert isinstance(there.engine.send([there.outgoing(2)])[0], Sent)
    assert [path for _, path in org.asked].count("/services/oauth2/token") == 2
    assert len(org.batches) == 2


def test_a_refresh_token_gives_access_too(org):
    salesforce_of(org, refresh_token=salesforce.REFRESH_TOKEN).check()
    with pytest.raises(EngineMisconfigured, match="invalid_grant"):
        salesforce_of(org, refresh_token="another").check()


def test_a_private_key_gives_access_in_place_of_a_secret(org, tmp_path):
    path = tmp_path / "app.pem"
    own, other = (generate_private_key(65537, 2048) for _ in range(2))
    org.app_key = own.public_key()

    def check(key: RSAPrivateKey, **changes: str) -> None:
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        who = {
            "issuer": salesforce.CLIENT_ID,
            "subject": salesforce.USERNAME,
            "audience": "https://login.salesforce.com",
        }
        salesforce_of(org, client_secret="", key=SigningKey(path, **who | changes)).check()

    check(own)
    for key, changes in ((other, {}), (own, {"subject": "somebody@example.org"}), (own, {"audience": "elsewhere"})):
        with pytest.raises(EngineMisconfigured) as error:
            check(key, **changes)
        assert error.value.code == "wrong_credentials"
    path.write_text("no key")
    with pytest.raises(EngineMisconfigured, match="private_key_file"):
        SigningKey(path, issuer="a", subject="b", audience="c").assertion()


def test_what_is_taken_only_at_first_is_left_out_of_what_comes_later(org):
    there = There(org, salesforce_of(org), salesforce_task, None)
    first = there.engine.send([there.outgoing(1)])[0]
    # As after a death before the id was noted: nobody knows here that the Task is there.
    later = there.outgoing(1, headline="It came")
    assert there.engine.send([later, there.outgoing(2)]) == [first, Sent("00T000000000000002")]
    assert org.org.tasks[later.key]["Subject"] == "It came"
    assert org.org.tasks[later.key]["TaskSubtype"] == "Call"
    known = replace(there.outgoing(1, headline="It is here"), object_id=first.object_id)
    count = len(org.batches)
    there.engine.send([known])
    assert len(org.batches) == count + 1


def test_an_id_of_somebody_who_is_gone_is_told_apart_from_a_wrong_field(org):
    there = There(org, salesforce_of(org), salesforce_task, None)
    [result] = there.engine.send([there.outgoing(1, ids=CrmIds(contact="003GONE"))])
    assert result == Refused("invalid_cross_reference_key", "WhoId", is_stale=True)


def test_a_record_that_is_locked_is_taken_a_little_later(org):
    there = There(org, salesforce_of(org), salesforce_task, None)
    org.org.locked.add(there.outgoing(1).key)
    results = there.engine.send([there.outgoing(1), there.outgoing(2)])
    assert results[0] == Refused("unable_to_lock_row", again=True)
    assert isinstance(results[1], Sent)
    org.org.locked.clear()
    assert isinstance(there.engine.send([there.outgoing(1)])[0], Sent)


def test_two_hundred_calls_are_one_request(org):
    there = There(org, salesforce_of(org), salesforce_task, None)
    results = there.engine.send([there.outgoing(number) for number in range(1, 201)])
    assert len({result.object_id for result in results}) == 200
    assert len(org.batches) == 1


# HubSpot


def test_calls_of_hubspot_are_put_with_their_contacts():
    with HubSpotServer() as portal:
        portal.portal.contacts.append(("11", "+15550100", ""))
        there = There(portal, hubspot_of(portal), hubspot_call, None)
        results = there.engine.send([there.outgoing(1, ids=CrmIds(contact="11")), there.outgoing(2)])
        assert portal.portal.associations == {(results[0].object_id, "11")}


# Webhooks


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver(lambda: NOW) as server:
        yield server


def test_a_receiver_believes_what_its_secret_signed_and_nothing_else(receiver):
    there = There(receiver, webhook_of(receiver), webhook_call, None)
    there.engine.send([there.outgoing(1)])
    [message] = receiver.taken.values()
    assert message["type"] == "call.completed"
    assert message["data"]["summary"] == PLANTED
    other = webhook_of(receiver, secret="another secret that is long enough")
    assert other.send([there.outgoing(2)]) == [Refused("http_401", again=True)]
    assert len(receiver.taken) == 1


def test_a_message_is_the_same_message_when_it_is_sent_again_and_another_when_the_call_changed(receiver):
    there = There(receiver, webhook_of(receiver), webhook_call, None)
    # The receiver took it, and its answer says that it did not.
    receiver.trouble(webhook_receiver.Trouble(500, after_work=True))
    assert there.engine.send([there.outgoing(1)]) == [Refused("http_500", again=True)]
    [sent] = there.engine.send([there.outgoing(1)])
    changed = replace(there.outgoing(1, summary="Another.", revision=2), object_id=sent.object_id)
    there.engine.send([changed])
    assert receiver.came[0] == receiver.came[1] != receiver.came[2]
    assert [message["type"] for message in receiver.taken.values()] == ["call.completed", "call.updated"]


def test_no_redirect_is_followed(receiver):
    there = There(receiver, webhook_of(receiver), webhook_call, None)
    receiver.trouble(webhook_receiver.Trouble(302, {"location": receiver.url + "/elsewhere"}))
    assert there.engine.send([there.outgoing(1)]) == [Refused("http_302", again=True)]
    assert len(receiver.came) == 1


def test_a_receiver_that_is_gone_is_no_failure_of_the_call(receiver):
    there = There(receiver, webhook_of(receiver), webhook_call, None)
    receiver.trouble(webhook_receiver.Trouble(410), webhook_receiver.Trouble(429, {"retry-after": "17"}))
    with pytest.raises(EngineMisconfigured) as gone:
        there.engine.send([there.outgoing(1)])
    assert gone.value.code == "destination_gone"
    with pytest.raises(TransientError) as limited:
        there.engine.send([there.outgoing(1)])
    assert (limited.value.code, limited.value.retry_after_s) == ("rate_limited", 17)


def test_a_receiver_that_never_answers_is_left(receiver):
    there = There(receiver, webhook_of(receiver, timeout_s=0.3), webhook_call, None)
    receiver.trouble(webhook_receiver.Trouble(200, ending="never"))
    with pytest.raises(TransientError) as error:
        there.engine.send([there.outgoing(1)])
    assert error.value.code == "timed_out"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_a_private_address_is_never_connected_to(receiver, host):
    port = receiver.url.rpartition(":")[2]
    engine = Webhook(f"http://{host}:{port}/", webhook_receiver.SECRET, clock=lambda: NOW)
    there = There(receiver, engine, webhook_call, None)
    with pytest.raises(TransientError) as error:
        there.engine.send([there.outgoing(1)])
    assert error.value.code in {"private_address", "unreachable"}
    assert receiver.came == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:a00:1::", False),
    ],
)
def test_public_is_what_everybody_reaches(address, expected):
    assert is_public(address) is expected
