"""The pages in a real browser: every page on every screen, hear a call, see the trends, mend what failed."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import pytest
import sqlalchemy as sa

from analytics.rollup import recompute_all
from calls.corrections import Changes
from calls.recording import PEAKS, own_key
from crm.access import Role, Viewer
from crm.corrections import correct, revision_of
from crm.tables import contact
from tests.browser import (
    COLOUR_RULES,
    Visit,
    Visitors,
    axe_source,
    axe_violations,
    chromium_path,
    launched,
    served,
    sign_in,
    sound,
)
from tests.seeds import NOW, seed_call, seed_failed_call
from tests.web_client import make_hall
from tests.xss import XSS

playwright_sync = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
if chromium_path() is None:
    pytest.skip("no chromium here: apt install chromium", allow_module_level=True)
expect = playwright_sync.expect


# Every page that has no id in its address.
PAGES = ("/calls", "/customers", "/review", "/trends", "/reasons", "/upload", "/operations", "/users", "/account")
PAGES += ("/audit", "/search?text=dishwasher", "/ask", "/api/reference", "/calls?agent=Priya+N", "/login")
DESKTOP, PHONE = {"width": 1280, "height": 844}, {"width": 390, "height": 844}


@dataclass
class Site:
    """A served site with calls in it, who visits it, the ids of some calls, and the page of a customer."""

    visitors: Visitors
    ids: dict[str, str]
    customer: str


# What of a page's tables, and of what stands in them, goes past what it stands in.
PAST_THEIR_PLACE = """() => {
  const right = (one) => one.getBoundingClientRect().right;
  return [...document.querySelectorAll("main table.calls")].flatMap((table) =>
    [table, ...table.querySelectorAll("td")]
      .filter((one) => right(one) > right(one === table ? table.parentElement : table) + 1)
      .map((one) => one.className));
}"""
# The first channel, the customer's, is loud in the second half; the other one in the first.
OUTLINE = {
    "duration_s": 15.0,
    "channels": [
        {"low": [0] * 50 + [-100] * 50, "high": [0] * 50 + [100] * 50},
        {"low": [-100] * 50 + [0] * 50, "high": [100] * 50 + [0] * 50},
    ],
}
# The share of each quarter of the canvas that is drawn on: above on the left and on the right, then below.
DRAWN = """() => {
  const wave = document.getElementById("wave");
  const [width, height] = [wave.width >> 1, wave.height >> 1];
  const pixels = wave.getContext("2d").getImageData(0, 0, 2 * width, 2 * height).data;
  const drawn = [0, 0, 0, 0];
  for (let at = 0; at < pixels.length / 4; at++) {
    const [x, y] = [at % (2 * width), Math.floor(at / (2 * width))];
    if (pixels[4 * at + 3] > 0) drawn[Number(x >= width) + 2 * Number(y >= height)] += 1 / (width * height);
  }
  return drawn;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Site]:
    hall = make_hall(tmp_path_factory.mktemp("site"))
    hall.wiring.objects.put("call.wav", sound(15))
    outlined = uuid4()
    hall.wiring.objects.put(own_key(PEAKS, outlined), json.dumps(OUTLINE).encode())
    with hall.wiring.database.write() as connection:
        for week in range(8):
            for n, reason in enumerate(("delivery_status", "repair_booking", "new_order")):
                seed_call(
                    connection,
                    said=None,
                    is_sample=True,
                    happened_at=NOW - timedelta(weeks=week + 1, hours=n),
                    analysis={"reason_code": reason, "outcome": "sale" if reason == "new_order" else "resolved"},
                )
        heard = {"recording": {"object_key": "call.wav"}}
        played = seed_call(connection, contact_number="+15550100", recording={"object_key": "call.wav", "id": outlined})
        seed_call(connection, contact_number="+15550100", happened_at=NOW - timedelta(days=1), **heard)
        other = seed_call(connection, agent="Priya N", happened_at=NOW - timedelta(hours=3), **heard)
        failed = seed_failed_call(connection, happened_at=NOW - timedelta(hours=2), **heard)
        demo = seed_call(connection, analysis={"is_demo": True, "summary_kind": "excerpts"}, profile=None, **heard)
        seed_call(connection, said=None, happened_at=NOW - timedelta(days=2), analysis={"reason_confidence": 0.2})
        customer = connection.execute(sa.select(contact.c.id)).scalar_one()
    recompute_all(hall.wiring.database, "UTC", NOW)
    ids = {"played": str(played), "other": str(other), "failed": str(failed), "demo": str(demo)}
    with served(hall.app) as address:
        yield Site(Visitors(browser, address), ids, f"/customers/{customer}")


@pytest.fixture(params=[("light", DESKTOP), ("dark", PHONE)], ids=["desktop-light", "phone-dark"])
def visit(request: pytest.FixtureRequest, site: Site) -> Iterator[Visit]:
    """A signed-in visit."""
    scheme, size = request.param
    with site.visitors.visit(color_scheme=scheme, viewport=size) as visit:
        yield visit


def test_every_page_fits_its_screen_and_axe_objects_to_nothing_light_or_dark(site):
    source = axe_source()
    found, wider = {}, {}
    # Colours that fade into those of another theme are of neither.
    with site.visitors.visit(reduced_motion="reduce") as visit:
        page = visit.page
        of_calls = [f"/calls/{call_id}" for call_id in site.ids.values()]
        for path in (*PAGES, *of_calls, f"{of_calls[0]}/erasure", site.customer, f"{site.customer}/erasure"):
            page.set_viewport_size(DESKTOP)
            page.emulate_media(color_scheme="light")
            visit.go(path)
            # A page is loaded once: what it draws, it draws anew for another theme.
            for size, schemes in ((DESKTOP, ("light", "dark")), (PHONE, ("dark", "light"))):
                page.set_viewport_size(size)
                wider[path, size["width"]] = page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                page.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true")
                for scheme, rules in zip(schemes, ((), COLOUR_RULES), strict=True) if source else ():
                    page.emulate_media(color_scheme=scheme)
                    if path == "/trends":
                        # Nobody has called again, and there are too few calls to say what moved.
                        expect(page.locator(".chart svg")).to_have_count(7)
                    found[path, size["width"], scheme] = axe_violations(page, source, rules)
    assert [seen for seen, pixels in wider.items() if pixels] == []
    if source is None:
        pytest.skip("no axe-core here: npm install --prefix build axe-core, or set AXE_PATH")
    assert {seen: objections for seen, objections in found.items() if objections} == {}
    assert len(found) == 4 * len(wider) / 2


def test_long_names_stay_in_their_tables(tmp_path, browser):
    hall = make_hall(tmp_path)
    with hall.wiring.database.write() as connection:
        seed_call(
            connection,
            agent="Priyadarshini Nandakumar-Subrahmanyam of the second team of the night",
            queue="Repairs (north and south, weekends included)",
            contact_number="+15550100",
            customer_name="Maximiliane-Charlotte von und zu Hohenstein-Ödenburg-Wallenrodt",
            analysis={"headline": "A long call about a washer whose hose leaks and an engineer who was late twice"},
        )
        customer = connection.execute(sa.select(contact.c.id)).scalar_one()
    with served(hall.app) as address, Visitors(browser, address).visit() as visit:
        for path in ("/calls", f"/customers/{customer}"):
            visit.go(path)
            for width in (1280, 760, 390):
                visit.page.set_viewport_size({"width": width, "height": 844})
                assert visit.page.evaluate(PAST_THEIR_PLACE) == [], (path, width)


def test_a_call_is_heard_from_a_second_a_turn_and_a_quote(visit, site):
    page = visit.page
    visit.go(f"/calls/{site.ids['played']}#t=13.2")
    expect(page.locator("#turn-3")).to_have_attribute("aria-current", "true")
    expect(page.locator("#now")).to_have_text("0:13")
    page.locator("#turn-2 p").click()
    expect(page.locator("#turn-2")).to_have_attribute("aria-current", "true")
    expect(page.locator("#now")).to_have_text(re.compile(r"^0:0[789]$"))
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    page.locator("#play").click()
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    page.locator("blockquote a").first.click()
    expect(page.locator("#turn-1")).to_have_attribute("aria-current", "true")
    expect(page.locator("#turn-1")).to_be_in_viewport()


def test_the_sound_is_drawn_a_lane_for_each_speaker_the_agent_above(site):
    with site.visitors.visit() as visit:
        visit.go(f"/calls/{site.ids['played']}")
        expect(visit.page.locator("#wave")).to_be_visible()
        agent_left, agent_right, customer_left, customer_right = visit.page.evaluate(DRAWN)
        assert min(agent_left, customer_right) > 0.9
        assert max(agent_right, customer_left) < 0.2
        # The same customer's earlier call is one click away, and its recording has no outline.
        with visit.page.expect_response("**/peaks"):
            visit.page.locator("ul.earlier a").first.click()
        expect(visit.page.locator(".trail")).to_contain_text("19 Mar 2026")
        expect(visit.page.locator("#strip")).to_be_visible()
        expect(visit.page.locator("#wave")).to_be_hidden()


def test_trends_draw_their_charts_beside_their_tables(site):
    with site.visitors.visit() as visit:
        visit.go("/trends")
        expect(visit.page.locator(".chart svg")).to_have_count(7)
        expect(visit.page.locator(".figure table")).to_have_count(7)
        for chart, mark in (("reasons", "bar"), ("handle_time", "point"), ("hours", "rect mark")):
            values = json.loads(visit.page.locator(f"#chart-{chart}").text_content())["data"]["values"]
            counted = {value["link"]: value.get("n", value.get("calls")) for value in values}
            visit.page.locator(f'[data-chart="{chart}"] path[aria-roledescription="{mark}"]').first.click()
            visit.page.wait_for_url("**/calls?*")
            opened = visit.page.url.removeprefix(visit.address)
            words = f"{counted[opened]} call{'' if counted[opened] == 1 else 's'}"
            expect(visit.page.locator(".count [role=status]")).to_contain_text(re.compile(rf"^{words}\b"))
            visit.go("/trends")
        visit.page.get_by_role("link", name="Leave them out").click()
        expect(visit.page.get_by_text("Generated sample history is left out")).to_be_visible()
    with site.visitors.visit(java_script_enabled=False) as visit:
        visit.go("/trends")
        expect(visit.page.locator(".figure table")).to_have_count(7)


def test_operations_gives_a_failed_call_another_attempt(browser, site):
    # Whoever signs out leaves nobody else's session behind.
    visitors = Visitors(browser, site.visitors.address)
    with visitors.visit() as visit:
        visit.page.get_by_role("link", name="Operations").click()
        visit.page.get_by_role("button", name="Try again").click()
        expect(visit.page.get_by_role("status")).to_contain_text("1 call gets another attempt")
        expect(visit.page.get_by_text("No call has failed")).to_be_visible()
        visit.page.get_by_role("button", name="Sign out").click()
        expect(visit.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_call_prints_dark_on_white_without_its_controls(site):
    with site.visitors.visit(color_scheme="dark") as visit:
        visit.go(f"/calls/{site.ids['played']}")
        visit.page.emulate_media(media="print")
        for away in (".player", ".top", ".edit", "#find"):
            expect(visit.page.locator(away).first).to_be_hidden()
        ink, paper = visit.page.evaluate(
            "[getComputedStyle(document.querySelector('h1')).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert (ink, paper) == ("rgb(27, 35, 40)", "rgb(255, 255, 255)")


def test_nothing_that_a_call_says_is_executed(browser, tmp_path):
    hall = make_hall(tmp_path)
    hall.wiring.objects.put("call.wav", sound(15))
    maria = Viewer("maria", Role.ADMIN)
    with hall.wiring.database.write() as connection:
        paths = ["/calls", "/customers", "/review", "/operations", "/trends", "/search?text=owned", "/audit"]
        for n, hostile in enumerate(XSS):
            call_id = seed_call(
                connection,
                agent=f"{hostile}{n}",
                queue=f"{hostile}{n}",
                customer_name=hostile,
                external_call_id=f"{hostile}{n}",
                contact_number=f"+155501{n:02}",
                said=[(0, "customer", 0.0, 1.0, hostile)],
                recording={"object_key": f"{hostile}{n}", "playback_key": "call.wav"},
                analysis={
                    "headline": hostile,
                    "summary": hostile,
                    "reason_confidence": 0.1,
                    "evidence": [{"field": "reason", "turn": 0, "quote": hostile}],
                    "next_steps": [{"text": hostile, "owner": hostile, "due_on": None}],
                },
            )
            said = Changes(headline=f"{hostile} again"[:90], summary=hostile)
            correct(connection, maria, call_id, revision_of(connection, call_id), said, now=NOW)
            # Filters in an address hold no NUL: that is refused, as PostgreSQL would.
            paths.append(f"/calls/{call_id}?find={quote(hostile.replace(chr(0), ''))}")
        connection.execute(sa.update(contact).values(first_name=XSS[0], last_name=XSS[1], email=XSS[2]))
        # They are all called the same, and what their calls say stands in the list, too.
        paths.append(f"/customers/{connection.execute(sa.select(contact.c.id).limit(1)).scalar_one()}")
    recompute_all(hall.wiring.database, "UTC", NOW)
    with served(hall.app) as address:
        visit = Visit(browser.new_context().new_page(), address)
        sign_in(visit)
        for path in paths:
            visit.go(path)
            assert visit.page.title() != "owned"
            assert urlsplit(visit.page.url).path == urlsplit(path).path
        visit.page.context.close()
    assert visit.complaints == []
