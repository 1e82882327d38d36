"""Requests that come while others are answered are answered together, in a thread of their own: many threads at once
take longer to hand Python and the database to each other than to do the work.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Generic, TypeVar

AT_ONCE = 16
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Together(Generic[Asked, Answer]):
    """What is asked for, in order, handed on by up to AT_ONCE. `act` answers them in their order, at least the first:
    those it leaves come first the next time. An error in place of an answer is raised where that was asked for; one
    that it raises, wherever one of these was.
    """

    def __init__(self, act: Callable[[Sequence[Asked]], Sequence[Answer | Exception]]) -> None:
        self._act = act
        self._waiting: deque[tuple[Asked, Future[Answer]]] = deque()
        self._lock = Lock()
        self._is_at_work = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="together")

    def ask(self, asked: Asked) -> Future[Answer]:
        """The answer, as soon as there is one."""
        answer: Future[Answer] = Future()
        with self._lock:
            self._waiting.append((asked, answer))
            is_to_begin, self._is_at_work = not self._is_at_work, True
        if is_to_begin:
            self._thread.submit(self._work)
        return answer

    def _work(self) -> None:
        while True:
            with self._lock:
                self._is_at_work = bool(self._waiting)
                now = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            if not now:
                return
            given: Sequence[Answer | Exception]
            try:
                given = self._act([asked for asked, _ in now])
            except Exception as error:  # noqa: BLE001 - each of those who wait raises it
                given = [error] * len(now)
            with self._lock:
                self._waiting.extendleft(reversed(now[len(given) :]))
            for (_, answer), one in zip(now, given, strict=False):
                if not answer.set_running_or_notify_cancel():
                    continue
                if isinstance(one, Exception):
                    answer.set_exception(one)
                else:
                    answer.set_result(one)
