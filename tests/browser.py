"""Chromium for tests, and a site that it can visit: the real app under uvicorn, on a free port."""

import io
import json
import os
import shutil
import socket
import threading
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.web_client import PASSWORD

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
STOP_WITHIN_S = 30


def chromium_path() -> str | None:
    """The browser of this machine; None where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    return None


def axe_source() -> str | None:
    """The text of axe-core from AXE_PATH or build/node_modules; None where it is not there."""
    root = Path(__file__).parent.parent
    for path in (os.environ.get("AXE_PATH"), root / "build" / "node_modules" / "axe-core" / "axe.min.js"):
        if path and Path(path).is_file():
            return Path(path).read_text(encoding="utf-8")
    return None


# Of axe-core's rules those that look at colours.
COLOUR_RULES = ("color-contrast", "link-in-text-block")


def axe_violations(page: Any, source: str, rules: Sequence[str] = ()) -> list[str]:
    """What axe-core finds wrong with a page as it is drawn now by these rules, or by all, one line a rule; over CDP,
    since the page's policy allows no script. A page that is looked at again still has axe-core.
    """
    session = page.context.new_cdp_session(page)
    known = session.send("Runtime.evaluate", {"expression": "typeof axe", "returnByValue": True})
    if known["result"]["value"] == "undefined":
        session.send("Runtime.evaluate", {"expression": source})
    options = json.dumps({"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {}))
    asked = {
        "expression": f"axe.run({options}).then((found) => JSON.stringify(found.violations))",
        "awaitPromise": True,
        "returnByValue": True,
    }
    violations = json.loads(session.send("Runtime.evaluate", asked)["result"]["value"])
    session.detach()
    return [f"{found['id']}: {[node['target'] for node in found['nodes']][:3]}" for found in violations]


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve the app in a thread; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    # Whoever connects before the server is up waits in the socket's queue.
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_WITHIN_S)
        listener.close()


@contextmanager
def launched() -> Iterator[Any]:
    """Chromium, for as long as it is needed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=list(FLAGS))
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A page of a signed-in browser; `complaints` collects what no page may do."""

    page: Any
    address: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", self._on_request)

    def go(self, path: str) -> None:
        """Open a page of the site."""
        self.page.goto(self.address + path)

    def _on_console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith(self.address):
            self.complaints.append(f"request to {request.url}")


def sound(seconds: int) -> bytes:
    """A silent two-channel recording."""
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(2)
        written.setsampwidth(2)
        written.setframerate(8000)
        written.writeframes(bytes(seconds * 8000 * 4))
    return file.getvalue()


@dataclass
class Visitors:
    """Browsers of people who are signed in: each signs in once, and their later contexts have the same cookie."""

    browser: Any
    address: str
    _cookies: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def visit(self, name: str = "maria", **options: Any) -> Iterator[Visit]:
        """A page of this user in a context of its own (`options` are Playwright's); in the end nothing may have been
        complained of.
        """
        context = self.browser.new_context(storage_state=self._cookies.get(name), **options)
        visit = Visit(context.new_page(), self.address)
        if name not in self._cookies:
            sign_in(visit, name)
            self._cookies[name] = context.storage_state()
        try:
            yield visit
        finally:
            context.close()
        assert visit.complaints == []


def sign_in(visit: Visit, name: str = "maria") -> None:
    """Sign in as one of the users of a hall."""
    visit.go("/calls")
    visit.page.get_by_label("Name").fill(name)
    visit.page.get_by_label("Password").fill(PASSWORD)
    visit.page.get_by_role("button", name="Sign in", exact=True).click()
    visit.page.get_by_role("heading", name="Calls", exact=True).wait_for()
    # By then the scripts listen to the keys.
    visit.page.wait_for_load_state("load")
