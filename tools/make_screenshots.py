"""Makes docs/images/*.png from a running site, for the README and the guides.

Start a demo, then: `.venv/bin/python -m tools.make_screenshots http://127.0.0.1:8321 --name admin --password ...`
"""

import argparse
from pathlib import Path
from typing import Any

from playwright.sync_api import expect, sync_playwright

from tests.browser import FLAGS, chromium_path

IMAGES = Path(__file__).parent.parent / "docs" / "images"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}


def make_screenshots(address: str, name: str, password: str, call: str, into: Path) -> list[Path]:
    """One picture for each page; `call` are words of the call that is shown. Returns the files."""
    into.mkdir(parents=True, exist_ok=True)
    made = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        for scheme, size, suffix in (("light", DESKTOP, ""), ("dark", DESKTOP, "-dark"), ("light", PHONE, "-phone")):
            context = browser.new_context(color_scheme=scheme, viewport=size, device_scale_factor=1.5)
            page = context.new_page()
            page.goto(f"{address}/calls")
            page.get_by_label("Name").fill(name)
            page.get_by_label("Password").fill(password)
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()
            made.append(_picture(page, into / f"calls{suffix}.png"))
            page.goto(f"{address}/calls?text={call}&stage=done")
            page.locator("a.headline").first.click()
            expect(page.locator(".turn").first).to_be_visible()
            made.append(_picture(page, into / f"call{suffix}.png"))
            page.goto(f"{address}/trends")
            expect(page.locator(".chart svg")).to_have_count(4)
            page.locator(".tiles").scroll_into_view_if_needed()
            page.evaluate("document.querySelector('.tiles').scrollIntoView({block: 'start'})")
            made.append(_picture(page, into / f"trends{suffix}.png"))
            page.goto(f"{address}/operations")
            made.append(_picture(page, into / f"operations{suffix}.png"))
            context.close()
        browser.close()
    return made


def _picture(page: Any, path: Path) -> Path:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--name", default="admin")
    parser.add_argument("--password", required=True)
    parser.add_argument("--call", default="dishwasher", help="Words of the call that is shown.")
    parser.add_argument("--into", type=Path, default=IMAGES)
    given = parser.parse_args()
    for picture in make_screenshots(given.address.rstrip("/"), given.name, given.password, given.call, given.into):
        print(f"{picture}: {picture.stat().st_size:,} bytes")
