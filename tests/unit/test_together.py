"""Laws of answering together: everybody gets their own answer, in order, and nobody's error but their own."""

from collections.abc import Sequence
from threading import Event

import pytest

from web.together import AT_ONCE, Together

SOON_S = 30.0


class Clerk:
    """Answers with the double, at most so many at once, and an error for what is negative; waits where it shall."""

    def __init__(self, *, at_once: int = AT_ONCE) -> None:
        self.at_once = at_once
        self.given: list[list[int]] = []
        self.may_go_on, self.is_asked = Event(), Event()

    def __call__(self, asked: Sequence[int]) -> list[int | Exception]:
        self.given.append(list(asked))
        self.is_asked.set()
        assert self.may_go_on.wait(SOON_S)
        if 0 in asked:
            raise LookupError("all of these")
        return [ValueError(one) if one < 0 else one * 2 for one in asked[: self.at_once]]


def test_those_who_come_meanwhile_are_answered_together_in_their_order():
    clerk = Clerk()
    together = Together(clerk)
    first = together.ask(1)
    assert clerk.is_asked.wait(SOON_S)
    others = [together.ask(one) for one in range(2, AT_ONCE + 4)]
    clerk.may_go_on.set()
    assert [one.result(SOON_S) for one in [first, *others]] == [one * 2 for one in range(1, AT_ONCE + 4)]
    assert [len(batch) for batch in clerk.given] == [1, AT_ONCE, 2]
    assert together.ask(9).result(SOON_S) == 18


def test_who_is_left_comes_first_the_next_time():
    clerk = Clerk(at_once=2)
    together = Together(clerk)
    first = together.ask(1)
    assert clerk.is_asked.wait(SOON_S)
    others = [together.ask(one) for one in (2, 3, 4, 5)]
    clerk.may_go_on.set()
    assert [one.result(SOON_S) for one in [first, *others]] == [2, 4, 6, 8, 10]
    assert clerk.given == [[1], [2, 3, 4, 5], [4, 5]]


def test_an_error_is_theirs_who_asked_and_one_of_all_everybodys():
    clerk = Clerk()
    together = Together(clerk)
    first = together.ask(1)
    assert clerk.is_asked.wait(SOON_S)
    others = [together.ask(one) for one in (-2, 3)]
    gone = together.ask(4)
    gone.cancel()
    clerk.may_go_on.set()
    assert (first.result(SOON_S), others[1].result(SOON_S)) == (2, 6)
    with pytest.raises(ValueError, match="-2"):
        others[0].result(SOON_S)
    with pytest.raises(LookupError, match="all of these"):
        together.ask(0).result(SOON_S)
    assert together.ask(7).result(SOON_S) == 14
