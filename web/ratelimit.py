"""How much one caller may ask of the API: a bucket of requests that fills up again evenly."""

from collections import OrderedDict
from threading import Lock


class RateLimit:
    """At most `per_minute` requests at once and in each minute after, by caller, in this process's memory; 0: no limit.

    Of too many callers, those who asked longest ago are forgotten.
    """

    def __init__(self, per_minute: int, *, max_callers: int = 10_000) -> None:
        self._per_minute = per_minute
        self._max_callers = max_callers
        # What is left of each caller's bucket, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def take(self, caller: str, now_s: float) -> float:
        """One request of this caller at `now_s`, in seconds of any clock: 0 where it is allowed, else the seconds until
        one is.
        """
        if not self._per_minute:
            return 0.0
        per_s = self._per_minute / 60
        with self._lock:
            left, at_s = self._left.pop(caller, (float(self._per_minute), now_s))
            left = min(float(self._per_minute), left + max(0.0, now_s - at_s) * per_s)
            is_allowed = left >= 1
            self._left[caller] = (left - 1 if is_allowed else left, max(now_s, at_s))
            if len(self._left) > self._max_callers:
                self._left.popitem(last=False)
        return 0.0 if is_allowed else (1 - left) / per_s
