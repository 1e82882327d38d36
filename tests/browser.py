"""Chromium for tests, and a site that it can visit: the real app under uvicorn, on a free port."""

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

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


def axe_violations(page: Any, source: str) -> list[str]:
    """What axe-core finds wrong with a page, one line a rule; over CDP, since the page's policy allows no script."""
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": source})
    asked = {
        "expression": "axe.run().then((found) => JSON.stringify(found.violations))",
        "awaitPromise": True,
        "returnByValue": True,
    }
    violations = json.loads(session.send("Runtime.evaluate", asked)["result"]["value"])
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
