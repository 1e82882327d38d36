"""The meters of language deployments in Redis, where the broker is one: no database is written to for a request."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

import redis

from calls.errors import TransientError
from calls.meter import Meter

_PREFIX = "callwise:meter:"
# Written only if nobody else has since it was read.
_SWAP = """
if (redis.call('GET', KEYS[1]) or '') == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end
return 0
"""
# Somebody else was quicker: a change takes a millisecond, so this many in a row are a server in trouble.
_TRIES = 200

Result = TypeVar("Result")


class RedisMeters:
    """Meters as keys of the Redis at `url`, changed by compare and swap; times are on Redis' clock."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=4)
        self._swap = self._redis.register_script(_SWAP)
        # Threads of one process wait for each other, not in turns with the server.
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def change(self, name: str, step: Callable[[Meter, float], tuple[Meter, Result]]) -> Result:
        """See engines.meters.Meters."""
        with self._locks[name]:
            for _ in range(_TRIES):
                kept, now = self._read(name)
                changed, result = step(_meter(kept), now)
                if self._write(name, kept, json.dumps(changed.document(), separators=(",", ":"))):
                    return result
        raise TransientError("Redis lets nobody change a meter", code="meters_unreachable")

    def read(self, name: str) -> tuple[Meter, float]:
        """See engines.meters.Meters."""
        kept, now = self._read(name)
        return _meter(kept), now

    def _read(self, name: str) -> tuple[bytes, float]:
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.get(_PREFIX + name)
                pipe.time()
                kept, (seconds, micros) = pipe.execute()
        except redis.RedisError as error:
            raise TransientError(f"Redis: {type(error).__name__}", code="meters_unreachable") from error
        return kept or b"", seconds + micros / 1e6

    def _write(self, name: str, kept: bytes, changed: str) -> bool:
        try:
            return bool(self._swap(keys=[_PREFIX + name], args=[kept, changed]))
        except redis.RedisError as error:
            raise TransientError(f"Redis: {type(error).__name__}", code="meters_unreachable") from error


def _meter(kept: bytes) -> Meter:
    return Meter.of_document(json.loads(kept)) if kept else Meter()
