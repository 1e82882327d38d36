"""Laws of the pages beside a call's own: list and CSV, customers, review, reasons, upload."""

import csv
import io
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from crm.tables import agent, call, contact, team
from tests.seeds import NOW, seed_call
from tests.web_client import Hall, make_hall, make_user
from tests.xss import XSS

NIGHT = UUID(int=7)


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    made = make_hall(tmp_path)
    made.sign_in()
    return made


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes = set(), set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def as_another(hall, name, role, **facts):
    with hall.wiring.database.write() as connection:
        make_user(connection, name, role, NOW, **facts)
    hall.client.cookies.clear()
    hall.sign_in(name=name)


def words(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def headlines(page):
    return re.findall(r'class="headline[^"]*" href="[^"]*">([^<]*)<', page)


def seed_different(connection):
    """Calls that differ in what the list is filtered by; the headline names each."""
    told = {
        "plain": {},
        "outbound": {"direction": "outbound"},
        "angry": {"analysis": {"sentiment_customer": -4.0}},
        "sold": {"analysis": {"outcome": "sale", "reason_code": "new_order"}},
        "unsure": {"analysis": {"reason_confidence": 0.2}},
        "of_priya": {"agent": "Priya N"},
    }
    for n, (name, facts) in enumerate(told.items()):
        analysis = {"headline": name, "sentiment_customer": 0.0} | facts.pop("analysis", {})
        seed_call(connection, happened_at=NOW - timedelta(minutes=n), analysis=analysis, **facts)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("direction=outbound", ["outbound"]),
        ("sentiment=low", ["angry"]),
        ("outcome=sale", ["sold"]),
        ("needs_review=1", ["unsure"]),
        ("team=Night", ["of_priya"]),
        ("agent=Priya+N&sentiment=even", ["of_priya"]),
        ("outcome=sale&direction=outbound", []),
    ],
)
def test_each_filter_of_the_address_leaves_what_it_names_and_stays_filled_in(hall, query, expected):
    with hall.wiring.database.write() as connection:
        seed_different(connection)
        night = sa.insert(team).values(id=NIGHT, name="Night")
        connection.execute(night)
        connection.execute(sa.update(agent).where(agent.c.display_name == "Priya N").values(team_id=NIGHT))
    page = hall.client.get(f"/calls?{query}").text
    assert headlines(page) == expected
    assert f"{len(expected)} call" in words(page)
    assert page.count("Without this filter") == query.count("=")


@pytest.mark.parametrize("query", ["direction=up", "outcome=win", "sentiment=furious"])
def test_a_choice_that_there_is_not_is_said(hall, query):
    assert hall.client.get(f"/calls?{query}").status_code == 400


def test_the_count_ends_where_counting_would_take_long(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection)
        row = dict(connection.execute(sa.select(call)).mappings().one())
        copies = [row | {"id": UUID(int=n + 10), "external_call_id": f"copy-{n}"} for n in range(1004)]
        connection.execute(sa.insert(call), copies)
    assert "more than 1,000 calls" in words(hall.client.get("/calls").text)


def test_the_csv_file_has_every_page_of_the_list_and_no_formula(hall):
    with hall.wiring.database.write() as connection:
        for n in range(60):
            seed_call(connection, happened_at=NOW - timedelta(minutes=n), said=None, customer_name="=1+1")
        seed_call(connection, agent="Priya N", analysis={"headline": "@SUM(A1)"})
    answer = hall.client.get("/calls.csv?agent=Andrew+K")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 60
    assert {row["customer_name"] for row in rows} == {"'=1+1"}
    assert rows[0]["happened_at"] == "2026-03-20T12:00:00+00:00"
    other = list(csv.DictReader(io.StringIO(hall.client.get("/calls.csv?agent=Priya+N").text)))
    assert other[0]["headline"] == "'@SUM(A1)"


def test_who_may_not_export_is_offered_no_file_and_gets_none(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection)
        andrew = connection.execute(sa.select(agent.c.id)).scalar_one()
    as_another(hall, "andrew", "agent", agent_id=andrew)
    page = hall.client.get("/calls").text
    assert len(headlines(page)) == 1
    assert "calls.csv" not in page
    assert hall.client.get("/calls.csv").status_code == 403


def test_the_navigation_offers_what_one_may_do(hall):
    whole = hall.client.get("/calls").text
    as_another(hall, "ana", "analyst")
    less = hall.client.get("/calls").text
    for path in ("/upload", "/operations", "/review"):
        assert f'href="{path}"' in whole
        assert f'href="{path}"' not in less
        assert hall.client.get(path).status_code == 403


def test_a_customer_has_contact_account_timeline_and_repeats(hall):
    with hall.wiring.database.write() as connection:
        for days in (0, 3, 30):
            seed_call(connection, contact_number="+15550100", happened_at=NOW - timedelta(days=days))
        connection.execute(sa.update(contact).values(first_name="Rosa", last_name="Diaz", email="rosa@diaz.example"))
        contact_id = connection.execute(sa.select(contact.c.id)).scalar_one()
    assert f'href="/customers/{contact_id}"' in hall.client.get("/customers?text=rosa").text
    page = hall.client.get(f"/customers/{contact_id}").text
    assert len(headlines(page)) == 3
    for said in ("Rosa Diaz", "rosa@diaz.example", "+15550100", "3 calls", "1 within 7 days of one before"):
        assert said in words(page)
    assert hall.client.get(f"/customers/{NIGHT}").status_code == 404
    assert "Nobody is called that" in hall.client.get("/customers?text=nobody").text


def test_the_review_queue_shows_one_call_with_why_and_goes_on_to_the_next(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection, analysis={"headline": "First", "reason_confidence": 0.2})
        earlier = NOW - timedelta(hours=1)
        seed_call(connection, happened_at=earlier, analysis={"headline": "Second", "reason_code": "other"})
        seed_call(connection, analysis={"headline": "Fine"})
    page = hall.client.get("/review").text
    assert "All (2)" in words(page)
    assert "First" in page
    assert "Unsure of the reason" in words(page.split("</nav>")[-1])
    skip = re.search(r'href="(/review[^"]*)" data-key="j"', page)
    assert skip is not None
    assert "Second" in hall.client.get(skip[1].replace("&amp;", "&")).text
    form = dict(re.findall(r'name="(revision|to)" value="([^"]*)"', page))
    address = re.search(r'action="(/calls/[^"]*/corrections)"', page)
    assert address is not None
    answer = hall.post(address[1], reason="new_order", **form)
    assert answer.headers["location"] == "/review"
    page = hall.client.get("/review").text
    assert "Second" in page
    assert "All (1)" in words(page)
    assert "Nothing to review" in hall.client.get("/review?cause=suspicious").text


def test_the_reasons_are_shown_with_their_versions(hall):
    page = hall.client.get("/reasons").text
    for said in ("Delivery status", "Where is my order?", "seeds-1", "sales"):
        assert said in words(page)
    assert hall.client.get("/reasons?version=nothing").status_code == 404


CHANGED = """
reasons:
  - code: delivery
    label: Delivery
    definition: Where is it?
    replaces: [delivery_status]
  - code: new_order
    label: New order
    definition: The customer wants to buy.
    sales: true
"""


def test_what_other_reasons_would_change_is_told_before_they_are_loaded(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection, analysis={"reason_code": "repair_booking"})
    page = words(hall.post("/reasons", text=CHANGED, do="plan").text)
    for said in (
        "Nothing is changed yet",
        "New: delivery",
        "Gone: repair_booking",
        "delivery_status goes on as delivery",
    ):
        assert said in page
    assert "1 call was classified under other reasons; for 1 of them theirs is gone" in page
    assert "seeds-1" in hall.client.get("/reasons").text.split("</h1>")[1][:200]
    answer = hall.post("/reasons", text=CHANGED, do="load")
    assert answer.status_code == 303
    page = words(hall.client.get(answer.headers["location"]).text)
    assert "from now on" in page
    assert "Where is it?" in page


def test_a_file_of_reasons_that_cannot_be_read_comes_back_with_the_line(hall):
    answer = hall.post("/reasons", text="reasons:\n  - {code: 1 2, label: x, definition: y}", do="load")
    assert answer.status_code == 422
    assert "line 2" in answer.text
    assert "code: 1 2" in answer.text


def test_a_reviewer_may_change_reasons_and_an_analyst_only_reads_them(hall):
    as_another(hall, "ana", "analyst")
    assert "Change the reasons" not in hall.client.get("/reasons").text
    assert hall.post("/reasons", text=CHANGED, do="load").status_code == 403


def upload(hall, *files):
    token = hall.token_in(hall.client.get("/calls").text)
    return hall.client.post("/upload", data={"form_token": token}, files=[("file", one) for one in files])


def test_a_file_that_is_uploaded_becomes_a_call_once(hall):
    for said in ("a new call", "a call that was known already"):
        page = upload(hall, ("../../2026 call.wav", b"RIFF....WAVE")).text
        assert said in words(page)
    with hall.wiring.database.read() as connection:
        [stage] = connection.execute(sa.select(call.c.stage)).scalars()
    assert stage == "received"
    [ref] = hall.wiring.objects.list("uploads/")
    assert ref.key.endswith("/2026 call.wav")


def test_an_upload_leads_to_no_call_that_one_does_not_see(hall):
    as_another(hall, "lea", "lead")
    page = upload(hall, ("2026 call.wav", b"RIFF....WAVE")).text
    assert "a new call (you do not see it" in words(page)
    assert 'href="/calls/' not in page


def test_what_is_no_recording_is_said_and_makes_no_call(hall):
    page = words(upload(hall, ("notes.pdf", b"%PDF"), ("facts.json", b'{"agent": "Kim"}')).text)
    assert "notes.pdf no recording" in page
    assert "facts.json kept: it tells of a call" in page
    with hall.wiring.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(call)).scalar_one() == 0


def test_an_upload_needs_its_form_and_the_right_to_it(hall):
    assert (
        hall.client.post("/upload", data={"form_token": "stolen"}, files=[("file", ("a.wav", b"x"))]).status_code == 403
    )
    as_another(hall, "ana", "analyst")
    assert upload(hall, ("a.wav", b"x")).status_code == 403
    assert not list(hall.wiring.objects.list())


@pytest.mark.parametrize("hostile", XSS)
def test_text_on_these_pages_is_only_ever_text(hall, hostile):
    with hall.wiring.database.write() as connection:
        seed_call(
            connection,
            contact_number="+15550100",
            customer_name=hostile,
            agent=hostile,
            analysis={"headline": hostile, "summary": hostile, "reason_confidence": 0.1},
        )
        named = {"first_name": hostile, "last_name": hostile, "email": hostile}
        connection.execute(sa.update(contact).values(named))
        contact_id = connection.execute(sa.select(contact.c.id)).scalar_one()
    pages = ["/customers", f"/customers/{contact_id}", "/review", "/reasons"]
    texts = [hall.client.get(path).text for path in pages]
    texts += [hall.client.get("/customers", params={"text": hostile}).text]
    texts += [upload(hall, (hostile, b"RIFF....WAVE")).text, hall.post("/reasons", text=hostile).text]
    for page in texts:
        tags = Tags(page)
        assert not tags.names & {"iframe", "object", "embed", "base", "style"}, page
        assert not {name for name in tags.attributes if name.startswith("on") or name == "style"}, page
        assert "<script>" not in page
