"""Laws of what is read of a customer: only of calls that one may see, and repeats as docs/measures.md has them."""

from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crm.access import OPERATOR, Role, Viewer
from crm.calls import WrongQuery
from crm.customers import (
    NoSuchCustomer,
    calls_of_customer,
    customer_in_full,
    find_customers,
    reasons_of_customer,
)
from crm.one_call import call_in_full
from crm.tables import account, agent, call, contact
from tests.seeds import NOW, seed_call, seed_taxonomy

ROSA, BEN = "+15550100", "+15550177"


@pytest.fixture
def shop(any_database):
    """Four calls of Rosa's, two of them Andrew's, and one of Ben's that Priya took."""
    with any_database.write() as connection:
        seed_taxonomy(connection)
        about = [("Andrew K", 0, "delivery_status"), ("Andrew K", 3, "delivery_status")]
        about += [("Priya N", 20, "delivery_status"), ("Priya N", 21, "repair_booking")]
        for name, days, code in about:
            seed_call(
                connection,
                agent=name,
                contact_number=ROSA,
                happened_at=NOW - timedelta(days=days),
                said=None,
                analysis={"reason_code": code},
            )
        seed_call(connection, agent="Priya N", contact_number=BEN, said=None, happened_at=NOW - timedelta(hours=1))
        bought = uuid4()
        connection.execute(sa.insert(account).values(id=bought, name="Diaz & Co", domain="diaz.example"))
        named = {"first_name": "Rosa", "last_name": "Diaz", "account_id": bought}
        connection.execute(sa.update(contact).where(contact.c.phone_e164 == ROSA).values(named))
    return any_database


def id_of(connection, number):
    return connection.execute(sa.select(contact.c.id).where(contact.c.phone_e164 == number)).scalar_one()


def agent_viewer(connection, name):
    found = connection.execute(sa.select(agent.c.id).where(agent.c.display_name == name)).scalar_one()
    return Viewer(name, Role.AGENT, agent_id=found)


def test_a_customer_is_told_with_account_and_the_calls_that_one_may_see(shop):
    with shop.read() as connection:
        rosa = id_of(connection, ROSA)
        whole = customer_in_full(connection, OPERATOR, rosa)
        part = customer_in_full(connection, agent_viewer(connection, "Andrew K"), rosa)
    assert (whole.name, whole.account, whole.account_domain) == ("Rosa Diaz", "Diaz & Co", "diaz.example")
    assert (whole.call_count, part.call_count) == (4, 2)
    assert (whole.first_call_at, part.first_call_at) == (NOW - timedelta(days=21), NOW - timedelta(days=3))
    assert whole.last_call_at == part.last_call_at == NOW


def test_a_customer_of_others_is_as_one_who_does_not_exist(shop):
    with shop.read() as connection:
        andrew = agent_viewer(connection, "Andrew K")
        for one in (id_of(connection, BEN), uuid4()):
            with pytest.raises(NoSuchCustomer):
                customer_in_full(connection, andrew, one)
        assert reasons_of_customer(connection, andrew, id_of(connection, BEN)) == []
        assert calls_of_customer(connection, andrew, id_of(connection, BEN)).calls == ()


def test_a_repeat_is_a_call_about_the_same_within_seven_days(shop):
    with shop.read() as connection:
        found = reasons_of_customer(connection, OPERATOR, id_of(connection, ROSA))
    assert [(one.code, one.label, one.call_count, one.repeat_count) for one in found] == [
        ("delivery_status", "Delivery status", 3, 1),
        ("repair_booking", "Repair booking", 1, 0),
    ]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", [ROSA, BEN]),
        ("diaz", [ROSA]),
        ("DIAZ", [ROSA]),
        ("rosa D", [ROSA]),
        ("co", [ROSA]),
        ("0177", [BEN]),
        ("%", []),
        ("_", []),
    ],
)
def test_customers_are_found_by_name_account_and_number(shop, words, names):
    with shop.read() as connection:
        found = find_customers(connection, OPERATOR, words)
    assert [one.phone_e164 for one in found.customers] == names


def test_nobody_finds_customers_whose_calls_are_not_theirs(shop):
    with shop.read() as connection:
        found = find_customers(connection, agent_viewer(connection, "Andrew K"))
    # An agent is shown the end of the number.
    assert [(one.phone_e164, one.call_count) for one in found.customers] == [(f"…{ROSA[-4:]}", 2)]


@pytest.mark.parametrize("words", ["", "0100"])
@pytest.mark.parametrize("agent_name", [None, "Andrew K"])
def test_page_by_page_each_customer_comes_once_by_their_latest_call(shop, words, agent_name):
    """Nine more customers of two calls each, the later ones of three at the same moment."""
    with shop.write() as connection:
        for number in range(9):
            for hours in (number // 3 + 2, 300 + number):
                seed_call(
                    connection,
                    agent=("Andrew K", "Priya N")[number % 2],
                    contact_number=f"+1555{number}0100",
                    said=None,
                    happened_at=NOW - timedelta(hours=hours),
                )
        viewer = agent_viewer(connection, agent_name) if agent_name else OPERATOR
        pages, after = [], ""
        while not pages or after:
            page = find_customers(connection, viewer, words, limit=2, after=after)
            pages.append(page.customers)
            after = page.next_key
        whole = find_customers(connection, viewer, words, limit=100)
    assert whole.next_key is None
    found = [one for customers in pages for one in customers]
    assert tuple(found) == whole.customers
    assert len(found) == len({one.id for one in found}) == (6 if agent_name else 10 if words else 11)
    assert [one.last_call_at for one in found] == sorted((one.last_call_at for one in found), reverse=True)
    assert [len(customers) for customers in pages[:-1]] == [2] * (len(pages) - 1)


def test_nobody_finds_by_looking_what_they_are_not_shown(shop):
    """Digits from the middle of a number would tell the whole number, one by one; an analyst is told no names."""
    with shop.read() as connection:
        agent, analyst = agent_viewer(connection, "Andrew K"), Viewer("ann", Role.ANALYST)

        def found(viewer: Viewer, words: str) -> int:
            return len(find_customers(connection, viewer, words).customers)

        assert [found(agent, words) for words in (ROSA, ROSA[-4:], ROSA[1:6], "diaz")] == [1, 1, 0, 1]
        assert [found(analyst, words) for words in (ROSA, ROSA[1:6], "diaz")] == [1, 0, 0]
        assert {one.name for one in find_customers(connection, analyst).customers} == {""}


def test_a_masked_address_is_not_guessed_by_its_letters(shop):
    with shop.write() as connection:
        rosa = contact.c.phone_e164 == ROSA
        connection.execute(sa.update(contact).where(rosa).values(email="quaxolotl@diaz.example"))
        viewers = (OPERATOR, agent_viewer(connection, "Andrew K"), Viewer("ann", Role.ANALYST))
        found = [len(find_customers(connection, viewer, "quaxo").customers) for viewer in viewers]
    assert found == [1, 0, 0]


def test_a_call_does_not_name_the_one_before_to_whom_may_not_see_it(shop):
    """Of Rosa's calls Andrew had the last two; what Priya had is none of his."""
    with shop.write() as connection:
        rosa = sa.select(call.c.id).where(call.c.contact_id == id_of(connection, ROSA)).order_by(call.c.happened_at)
        ids = list(connection.execute(rosa).scalars())
        for earlier, later in pairwise(ids):
            connection.execute(sa.update(call).where(call.c.id == later).values(earlier_call_id=earlier))
        andrew = agent_viewer(connection, "Andrew K")
        told = [call_in_full(connection, andrew, one).earlier_call_id for one in ids[2:]]
        assert told == [None, ids[2]]
        assert [call_in_full(connection, OPERATOR, one).earlier_call_id for one in ids] == [None, *ids[:3]]


def test_nobody_without_a_role_finds_anybody(shop):
    with shop.read() as connection:
        nobody = find_customers(connection, Viewer("lost", None))
    assert nobody.customers == ()


def test_the_calls_of_a_customer_come_by_key_and_each_once(shop):
    with shop.read() as connection:
        rosa, key, seen = id_of(connection, ROSA), "", []
        while True:
            page = calls_of_customer(connection, OPERATOR, rosa, limit=3, after=key)
            seen += [line.id for line in page.calls]
            if page.next_key is None:
                break
            key = page.next_key
        in_order = connection.execute(
            sa.select(call.c.id).where(call.c.contact_id == rosa).order_by(call.c.happened_at.desc())
        ).scalars()
        assert seen == list(in_order)
        with pytest.raises(WrongQuery):
            calls_of_customer(connection, OPERATOR, rosa, after="nonsense")
