"""What a store and telephony do to us, made up from a seed: recordings with all that can be wrong about their events.

Pure: the same seed gives the same stream, and with it how the database has to look in the end.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import md5

from bench.chaos import messages
from bench.chaos.names import Named, name_of, odd_name, sidecar_of

# What a recording's bytes say of it, to the engines of bench.chaos.engines.
SPEECH, SILENCE, BROKEN = b"speech ", b"silence ", b"broken "
_CONTENTS = {SPEECH: "done", SILENCE: "skipped", BROKEN: "failed", b"": "failed"}
# An event may lag this many recordings behind its object, and run this many ahead of it.
LATE, EARLY = 150, 40


@dataclass(frozen=True)
class Put:
    """Telephony stores these bytes; `by_hand` as a program does that knows of files only."""

    key: str
    content: bytes
    by_hand: bool = False


@dataclass(frozen=True)
class Delete:
    """Somebody removes the object."""

    key: str


@dataclass(frozen=True)
class Touch:
    """Somebody rewrites the file as it was: a watched folder's way to say the same thing twice."""

    key: str


@dataclass(frozen=True)
class Send:
    """The store's message, as it is published."""

    body: bytes


Action = Put | Delete | Touch | Send


@dataclass(frozen=True)
class Expected:
    """How one recording has to end: its stage, its content, and what telephony said of the call, by our columns."""

    key: str
    stage: str
    content: bytes
    facts: dict[str, object]
    # How often content has been put under the key: each of these may be worked on, and paid, once.
    version_count: int = 1

    @property
    def etag(self) -> str:
        """The eTag that a folder gives this content."""
        return md5(self.content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Chaos:
    """A whole stream: what happens, in order; what it comes to; the same as it would be if nothing went wrong."""

    hostile: list[Action]
    clean: list[Action]
    expected: dict[str, Expected]
    garbage_count: int
    # Content (its MD5) -> how often it was put anew: as often may it be paid for.
    put_counts: dict[str, int]

    @property
    def event_count(self) -> int:
        """Messages of the store or, in a watched folder, changes of files."""
        sent = sum(isinstance(action, Send) for action in self.hostile)
        return sent or len(self.hostile)


@dataclass
class _Stream:
    random: random.Random
    is_watched: bool
    placed: list[tuple[float, int, Action]] = field(default_factory=list)

    def add(self, at: float, action: Action) -> None:
        """An action at the place `at`, counted in recordings."""
        self.placed.append((at, len(self.placed), action))

    def put(self, at: float, key: str, content: bytes) -> None:
        self.add(at, Put(key, content, by_hand=self.is_watched and self.random.random() < 0.2))

    def announce(self, at: float, key: str) -> None:
        """Say that the key has an object; a watched folder says so by itself."""
        if not self.is_watched:
            self.add(at, Send(messages.created(self.random, key)))

    def again(self, at: float, key: str) -> None:
        """Say it once more."""
        self.add(at, Touch(key) if self.is_watched else Send(messages.created(self.random, key)))

    def soon(self) -> float:
        return self.random.uniform(0.5, 30)

    def late(self) -> float:
        return self.random.uniform(30, LATE)


def make_chaos(count: int, seed: int, *, is_watched: bool) -> Chaos:
    """`count` recordings. `is_watched`: for a watched folder, whose events nobody can forge, delay or lose."""
    dice = random.Random(f"chaos {seed}")
    stream = _Stream(dice, is_watched)
    expected: dict[str, Expected] = {}
    clean: list[Action] = []
    puts: dict[str, int] = {}
    before: Named | None = None
    for number in range(count):
        is_odd = dice.random() < 0.08
        named = odd_name(dice, number, count) if is_odd else name_of(dice, number, count, before)
        versions, is_there = _life(stream, number, named.key)
        for content in versions:
            mark = md5(content, usedforsecurity=False).hexdigest()
            puts[mark] = puts.get(mark, 0) + 1
        before = named
        if not is_there:
            continue
        sidecar = _sidecar(stream, number, named) if is_odd or dice.random() < 0.3 else None
        facts = named.facts | (sidecar.facts if sidecar else {})
        kind = next(kind for kind in _CONTENTS if versions[-1].startswith(kind))
        expected[named.key] = Expected(named.key, _CONTENTS[kind], versions[-1], facts, len(versions))
        if sidecar:
            clean.append(Put(sidecar.key, sidecar.content))
        clean.append(Put(named.key, versions[-1]))
        if not is_watched:
            clean.append(Send(messages.s3([named.key])))
    garbage_count = 0 if is_watched else _litter(stream, count)
    hostile = [action for _, _, action in sorted(stream.placed, key=lambda placed: placed[:2])]
    return Chaos(list(messages_joined(dice, hostile)), clean, expected, garbage_count, puts)


def _content(dice: random.Random, number: int, version: int) -> bytes:
    kind = dice.choices(list(_CONTENTS), [94, 3, 2, 1])[0]
    return kind and kind + f"{number}.{version} {dice.getrandbits(64):016x}".encode()


def _life(stream: _Stream, number: int, key: str) -> tuple[list[bytes], bool]:
    """What becomes of one key: the contents put under it in turn, and whether one is there in the end."""
    dice = stream.random
    first = _content(dice, number, 1)
    kinds = {"plain": 44, "twice": 18, "thrice": 6, "late": 8, "early": 8, "put again": 7, "back": 1}
    kinds |= {} if stream.is_watched else {"deleted": 5, "deleted and put again": 3}
    if stream.is_watched:
        kinds |= {"early": 0, "late": 0}
    kind = dice.choices(list(kinds), list(kinds.values()))[0]
    if kind == "early":
        stream.announce(number, key)
        stream.put(number + dice.uniform(2, EARLY), key, first)
        return [first], True
    stream.put(number, key, first)
    if kind in {"plain", "twice", "thrice"}:
        stream.announce(number + dice.uniform(0.01, 3), key)
        for _ in range({"plain": 0, "twice": 1, "thrice": 2}[kind]):
            stream.again(number + stream.soon(), key)
    elif kind == "late":
        stream.announce(number + stream.late(), key)
    elif kind in {"deleted", "deleted and put again"}:
        stream.add(number + 0.1, Delete(key))
        stream.announce(number + dice.uniform(0.2, 3), key)
        if kind == "deleted":
            stream.add(number + 3.5, Send(messages.removed(key)))
            return [first], False
        return [first, *_put_again(stream, number, key, 1)], True
    else:
        stream.announce(number + dice.uniform(0.01, 3), key)
        again = _put_again(stream, number, key, 2 if kind == "back" else 1)
        if kind == "back":
            again[-1] = first
            stream.put(number + 2 * LATE, key, first)
            stream.announce(number + 2 * LATE + 0.1, key)
        return [first, *again], True
    return [first], True


def _put_again(stream: _Stream, number: int, key: str, count: int) -> list[bytes]:
    """Put other content under the key; its event may come before that of the content before, or twice."""
    at = number + stream.soon() + 4
    content = _content(stream.random, number, 2)
    stream.put(at, key, content)
    stream.announce(at + stream.random.uniform(0.01, 3), key)
    stream.again(at + stream.late(), key)
    return [content] * count


@dataclass(frozen=True)
class _Sidecar:
    key: str
    content: bytes
    facts: dict[str, object]


def _sidecar(stream: _Stream, number: int, named: Named) -> _Sidecar:
    """A document of facts that comes before, with, or long after its recording, and perhaps again, corrected."""
    dice = stream.random
    key = named.key.rpartition(".")[0] + ".json"
    told, facts = sidecar_of(dice, named)
    at = number + dice.choice((-dice.uniform(0, 20), dice.uniform(0, 0.02), stream.soon(), stream.late()))
    if dice.random() < 0.2:
        stale, _ = sidecar_of(dice, named)
        stream.put(at, key, json.dumps(told | {name: stale[name] for name in ("agent", "team", "queue")}).encode())
        stream.announce(at + 0.01, key)
        at += stream.soon()
    content = json.dumps(told).encode()
    stream.put(at, key, content)
    stream.announce(at + 0.01, key)
    if dice.random() < 0.3:
        stream.again(at + stream.soon(), key)
    return _Sidecar(key, content, facts)


def _litter(stream: _Stream, count: int) -> int:
    """Messages that mean nothing, or nothing to us; returns how many of them nobody can read."""
    dice = stream.random
    garbage = messages.garbage(dice, max(8, count // 40))
    for body in garbage:
        stream.add(dice.uniform(0, count), Send(body))
    for number in range(max(4, count // 100)):
        at = dice.uniform(0, count)
        stream.add(at, Send(messages.s3([f"2026/folder {number}/"])))
        stream.put(at, f"2026/notes {number}.txt", b"no recording")
        stream.add(at + 0.1, Send(messages.s3([f"2026/notes {number}.txt"])))
        stream.add(at, Send(messages.s3([f"foreign {number}.wav"], bucket="somebody-elses")))
    return len(garbage)


def messages_joined(dice: random.Random, actions: Sequence[Action]) -> Iterator[Action]:
    """Now and then two messages that follow each other come as one of two records."""
    waiting: Action | None = None
    for action in actions:
        joined = None
        if isinstance(action, Send) and isinstance(waiting, Send) and dice.random() < 0.3:
            joined = messages.join(waiting.body, action.body)
        if joined is not None:
            yield Send(joined)
            waiting = None
            continue
        if waiting is not None:
            yield waiting
        waiting = action
    if waiting is not None:
        yield waiting
