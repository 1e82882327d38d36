"""Recordings' names and what they say of the call: FreePBX's, in odd folders, and some that say nothing."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_FOLDERS = ("2026/03/20/", "2026/03/20/", "", "Büro Süd/", "a+b/50% off/", "зал:7/", "%2F%41/", "deep/er/ and/deeper/")
_ODDITIES = ("call +1 {} 100%", "Anruf {} äöü", "звонок {}", "a:b:{}", "%41%2B{}", "x" * 150 + "{}", "..{}")
_STARTS_AT = 1_774_000_000
_SPREAD_S = 14 * 86_400
AGENTS = {f"Agent {letter}": f"Team {letter in 'ABCD'}" for letter in "ABCDEFGHIJ"}
QUEUES = ("service", "sales", "Störung", "a+b")


@dataclass(frozen=True)
class Named:
    """A key and what it says, by our columns; `call_number` is the part that makes FreePBX's unique id."""

    key: str
    facts: dict[str, object]
    epoch: int = 0
    customer: str = ""


def name_of(dice: random.Random, number: int, count: int, before: Named | None) -> Named:
    """A name of FreePBX. Now and then the call's id is that of the recording before, from another system."""
    epoch = _epoch(number, count)
    customer = f"1415555{dice.randrange(max(2, count // 5)) % 10_000:04}"
    is_twin = before is not None and before.epoch and before.customer != customer and dice.random() < 0.02
    if is_twin and before is not None:
        epoch = before.epoch
    kind = dice.choice(("in", "in", "out", "q"))
    ours = "600" if kind == "q" else "18005550100"
    to, caller = (customer, ours) if kind == "out" else (ours, customer)
    moment = datetime.fromtimestamp(epoch, UTC)
    name = f"{kind}-{to}-{caller}-{moment:%Y%m%d-%H%M%S}-{epoch}.{epoch % 99_991}.wav"
    return Named(
        key=("twins/" if is_twin else dice.choice(_FOLDERS)) + name,
        facts={
            "external_call_id": f"{epoch}.{epoch % 99_991}",
            "profile": "freepbx",
            "direction": "outbound" if kind == "out" else "inbound",
            "from_number_e164": "+18005550100" if kind == "out" else f"+{customer}",
            "to_number_e164": f"+{customer}" if kind == "out" else (None if kind == "q" else "+18005550100"),
            "started_at": moment,
            "queue": "600" if kind == "q" else None,
        },
        epoch=epoch,
        customer=customer,
    )


def odd_name(dice: random.Random, number: int, count: int) -> Named:
    """A name that no profile reads: everything comes from its sidecar."""
    oddity = dice.choice(_ODDITIES)
    key = dice.choice(_FOLDERS) + oddity.format(number) + dice.choice((".wav", ".mp3", ".WAV"))
    return Named(key, {"profile": "plain"}, _epoch(number, count), f"1415556{dice.randrange(10_000):04}")


def sidecar_of(dice: random.Random, named: Named) -> tuple[dict[str, Any], dict[str, object]]:
    """A sidecar's document, and what it says by our columns."""
    agent = dice.choice(list(AGENTS))
    told: dict[str, Any] = {"agent": agent, "team": AGENTS[agent], "queue": dice.choice(QUEUES), "hold_s": 24}
    told["customer"] = f"Customer {named.customer}"
    facts: dict[str, object] = {
        "agent": agent,
        "team": AGENTS[agent],
        "queue": told["queue"],
        "hold_time_s": 24.0,
        "customer_name": told["customer"],
    }
    if "external_call_id" not in named.facts:
        told |= {"call_id": f"odd-{named.epoch}", "from": f"+{named.customer}", "direction": "inbound"}
        facts |= {"external_call_id": f"odd-{named.epoch}", "direction": "inbound"}
        facts |= {"from_number_e164": f"+{named.customer}", "to_number_e164": None}
    if "started_at" not in named.facts or dice.random() < 0.15:
        # Another day than the name says, and never the same moment as another call.
        moment = datetime.fromtimestamp(named.epoch, UTC) + timedelta(days=2, milliseconds=500)
        told["started_at"] = moment.isoformat()
        facts["started_at"] = moment
    return told, facts


def _epoch(number: int, count: int) -> int:
    return _STARTS_AT + number * max(1, _SPREAD_S // count)
