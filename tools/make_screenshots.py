"""Makes docs/images/*.png from a running site, for the README and the guides.

Start a demo, then: `.venv/bin/python -m tools.make_screenshots http://127.0.0.1:8321 --name admin --password ...`
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser import FLAGS, chromium_path

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PAGES = ("calls", "call", "review", "trends", "operations")
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


@dataclass(frozen=True)
class Shoot:
    """Whose pages are shown, to whom, and where the pictures go; `call` are words of the call that is shown."""

    address: str
    name: str
    password: str
    call: str
    into: Path

    def take_all(self) -> list[Path]:
        """Every picture that the README and the guides show; returns the files."""
        self.into.mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
            made = self._take(browser, DESKTOP, PAGES)
            made += self._take(browser, PHONE, ("call",))
            browser.close()
        return made

    def _take(self, browser: Browser, size: ViewportSize, pages: Sequence[str]) -> list[Path]:
        context = browser.new_context(color_scheme="light", viewport=size)
        page = context.new_page()
        self._sign_in(page)
        suffix = "-phone" if size is PHONE else ""
        made = []
        for shown in pages:
            self._open(page, shown)
            page.wait_for_load_state("networkidle")
            made.append(self.into / f"{shown}{suffix}.png")
            page.screenshot(path=made[-1])
        context.close()
        return made

    def _sign_in(self, page: Page) -> None:
        page.goto(f"{self.address}/login")
        page.get_by_label("Name").fill(self.name)
        page.get_by_label("Password").fill(self.password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", name="Calls", exact=True)).to_be_visible()

    def _open(self, page: Page, shown: str) -> None:
        if shown == "call":
            page.goto(f"{self.address}/calls?text={quote(self.call)}&stage=done")
            page.locator("a.headline").first.click()
            expect(page.locator(".turn").first).to_be_visible()
            return
        page.goto(f"{self.address}/{shown}")
        if shown == "trends":
            expect(page.locator(".chart svg")).to_have_count(page.locator(".chart").count())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--name", default="admin")
    parser.add_argument("--password", required=True)
    parser.add_argument("--call", default="dishwasher", help="Words of the call that is shown.")
    parser.add_argument("--into", type=Path, default=IMAGES)
    given = parser.parse_args()
    shoot = Shoot(given.address.rstrip("/"), given.name, given.password, given.call, given.into)
    for picture in shoot.take_all():
        print(f"{picture}: {picture.stat().st_size:,} bytes")
