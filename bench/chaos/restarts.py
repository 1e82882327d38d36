"""How soon events are taken again after the broker was killed and started: measured, restart by restart."""

import threading
import time
from pathlib import Path
from typing import Any

import amqp
import sqlalchemy as sa

from bench.chaos import messages
from bench.chaos.processes import Kept, Supervisor
from bench.chaos.sites import Servers, Site
from bench.chaos.stories import SPEECH, Put, Send
from crm.tables import recording

TARGET_S = 5.0
GIVE_UP_S = 60.0


def measure(servers: Servers, scratch: Path, count: int) -> dict[str, Any]:
    """Restart the broker `count` times; each time, the seconds from its first answer to the call of a new recording."""
    site = servers.site(scratch)
    listener = Kept("listen", "bench.chaos.listener", environment=site.environment(), logs=site.logs)
    supervisor = Supervisor([listener])
    try:
        _call_of(site, "before.wav")
        found = [_once(site, number) for number in range(count)]
    finally:
        supervisor.close()
        site.close()
    return {
        "broker_restarts": count,
        "consume_again_s": found,
        "consume_again_s_max": max(found),
        "within_target": sum(seconds <= TARGET_S for seconds in found),
        "listener_restarts": len(listener.starts) - 1,
    }


def _once(site: Site, number: int) -> float:
    answer = _FirstAnswer(site.broker_port)
    site.restarts["broker"]()
    answered_at = answer.wait()
    return round(_call_of(site, f"after restart {number}.wav") - answered_at, 2)


def _call_of(site: Site, key: str) -> float:
    """Store and announce a recording; returns the time at which its call was there."""
    site.do(Put(key, SPEECH + key.encode()))
    site.do(Send(messages.s3([key])))
    ends_at = time.monotonic() + GIVE_UP_S
    wanted = sa.select(recording.c.id).where(recording.c.object_key == key)
    while time.monotonic() < ends_at:
        with site.database.read() as connection:
            if connection.execute(wanted).first():
                return time.monotonic()
        time.sleep(0.01)
    raise RuntimeError(f"no call of {key} within {GIVE_UP_S:g} s")


class _FirstAnswer:
    """Notes when a broker that was up, and went down, speaks AMQP again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._at = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> float:
        """The time."""
        self._thread.join(GIVE_UP_S)
        return self._at

    def _run(self) -> None:
        was_down = False
        ends_at = time.monotonic() + GIVE_UP_S
        while time.monotonic() < ends_at:
            try:
                connection = amqp.Connection(f"127.0.0.1:{self._port}", connect_timeout=1)
                connection.connect()
                connection.close()
            except (amqp.exceptions.AMQPError, OSError):
                was_down = True
            else:
                if was_down:
                    self._at = time.monotonic()
                    return
            time.sleep(0.02)
