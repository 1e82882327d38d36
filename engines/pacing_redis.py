"""The meters of language deployments in Redis, where the broker is one: no database is written to for a request."""

import json
from collections.abc import Callable
from typing import TypeVar

import redis

from calls.errors import TransientError
from calls.pacing import Meter

_PREFIX = "callwise:meter:"
# Somebody else was quicker: a change takes a millisecond, so this many in a row are a server in trouble.
_TRIES = 200

Result = TypeVar("Result")


class RedisMeters:
    """Meters as keys of the Redis at `url`, changed by optimistic locking; times are on Redis' clock."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, socket_timeout=10, socket_connect_timeout=4)

    def change(self, name: str, step: Callable[[Meter, float], tuple[Meter, Result]]) -> Result:
        """See engines.meters.Meters."""
        key = _PREFIX + name
        try:
            with self._redis.pipeline() as pipe:
                for _ in range(_TRIES):
                    try:
                        pipe.watch(key)  # type: ignore[no-untyped-call]
                        changed, result = step(_read(pipe.get(key)), self._now(pipe.time()))
                        pipe.multi()
                        pipe.set(key, json.dumps(changed.document()))
                        pipe.execute()
                    except redis.WatchError:
                        continue
                    return result
        except redis.RedisError as error:
            raise TransientError(f"Redis: {type(error).__name__}", code="meters_unreachable") from error
        raise TransientError("Redis lets nobody change a meter", code="meters_unreachable")

    def read(self, name: str) -> tuple[Meter, float]:
        """See engines.meters.Meters."""
        try:
            return _read(self._redis.get(_PREFIX + name)), self._now(self._redis.time())
        except redis.RedisError as error:
            raise TransientError(f"Redis: {type(error).__name__}", code="meters_unreachable") from error

    @staticmethod
    def _now(time: tuple[int, int]) -> float:
        return time[0] + time[1] / 1e6


def _read(kept: bytes | str | None) -> Meter:
    return Meter.of_document(json.loads(kept)) if kept else Meter()
