"""A call's page in a real browser: how long until something is seen, and how many bytes that takes.

`python -m bench.first_paint --json [--turns N] [--loads N]`: the app under uvicorn with an SQLite database of its own,
Chromium on the same machine. Each load is the first of its browser's context: nothing is cached. Needs Chromium and
Playwright (the dev dependencies).
"""

import argparse
import json
import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from bench.processor import cpu_s, tree
from tests.browser import Visit, launched, served, sign_in, sound
from tests.seeds import seed_call
from tests.web_client import make_hall

_PAINTED = """() => Object.fromEntries(performance.getEntriesByType("paint").map((one) => [one.name, one.startTime]))"""
_IS_PAINTED = """() => performance.getEntriesByName("first-contentful-paint").length > 0"""
_SENTENCE = "So I waited, and then nobody came to the door, which is why I am calling you again."


def main() -> None:
    """Measure, and print one document."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=60)
    arguments.add_argument("--loads", type=int, default=7)
    arguments.add_argument("--json", action="store_true", help="one JSON document (the default prints the same)")
    given = arguments.parse_args()
    with TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder) / "home", given.turns, given.loads), indent=2))


def measure(home: Path, turns: int, loads: int) -> dict[str, Any]:
    """Medians over the loads: milliseconds to the first paint of contents, by the clock and of the processor, and bytes
    of the page and of all it needs. What Chromium, its driver and the server took together until the page was painted
    is more than the clock of an idle machine would show: they work side by side.
    """
    hall = make_hall(home)
    hall.wiring.objects.put("call.wav", sound(15))
    said = [(n % 2, ("customer", "agent")[n % 2], n * 8.0, n * 8.0 + 6, _SENTENCE) for n in range(turns)]
    with hall.wiring.database.write() as connection:
        held = {"object_key": "long.wav", "playback_key": "call.wav"}
        call_id = seed_call(connection, said=said, recording=held, transcript={"agent_channel": 1})
    painted, worked, sizes = [], [], {}
    with served(hall.app) as address, launched() as chromium:
        for _ in range(loads):
            context = chromium.new_context()
            visit = Visit(context.new_page(), address)
            sign_in(visit)
            session = context.storage_state()
            context.close()
            context = chromium.new_context(storage_state=session)
            visit = Visit(context.new_page(), address)
            answers: list[Any] = []
            visit.page.on("response", lambda answer, answers=answers: answers.append(answer))
            started_s = cpu_s(tree(os.getpid()))
            visit.go(f"/calls/{call_id}")
            visit.page.wait_for_function(_IS_PAINTED, polling=20)
            worked.append((cpu_s(tree(os.getpid())) - started_s) * 1000)
            visit.page.wait_for_load_state("networkidle")
            painted.append(visit.page.evaluate(_PAINTED)["first-contentful-paint"])
            for answer in answers:
                path = urlsplit(answer.url).path
                if not path.endswith("/audio"):
                    sizes[path] = answer.request.sizes()["responseBodySize"]
            context.close()
    return {
        "turns": turns,
        "loads": loads,
        "first_contentful_paint_ms": round(median(painted), 1),
        "slowest_ms": round(max(painted), 1),
        "processor_ms": round(median(worked)),
        "processor_slowest_ms": round(max(worked)),
        "page_bytes": next(size for path, size in sizes.items() if path.startswith("/calls/")),
        "bytes_without_audio": sum(sizes.values()),
        "load_average": round(os.getloadavg()[0], 2),
    }


if __name__ == "__main__":
    main()
