"""Bad events and fifty kills on each of two set-ups: no call lost, none counted twice, every row as without faults.

The whole proof, on every set-up, is `make soak`; what is proved, and how, stands in docs/reliability.md.
"""

import pytest

from bench.chaos.faults import INTAKE_POINTS, Targets, schedule
from bench.chaos.messages import s3
from bench.chaos.runs import compare
from bench.chaos.servers import SERVERS
from bench.chaos.stories import Delete, Put, Send, make_chaos

RECORDINGS, KILLS = 2000, 50


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("setup", ["rabbitmq", "embedded"])
def test_whatever_is_done_to_it_the_database_equals_that_of_a_run_without_faults(setup, tmp_path):
    servers = SERVERS[setup]()
    try:
        found = compare(servers, tmp_path, recordings=RECORDINGS, kills=KILLS, seed=7, is_warm=True)
    finally:
        servers.close()
    assert found["kills"] == KILLS, found
    assert (found["lost"], found["doubled"], found["unlike_expected"]) == (0, 0, 0), found
    assert found["equal_to_fault_free"], found
    assert found["paid_repeats"] <= found["paid_repeats_bound"], found
    # The kills hurt: most of them found work in flight, and that work was done again by others.
    assert found["idle_kills"] < KILLS / 5, found
    assert found["in_flight_at_kills"] > KILLS / 2, found


def test_the_stream_holds_everything_that_can_be_wrong_with_events():
    chaos = make_chaos(500, 7, is_watched=False)
    there: set[str] = set()
    sent: set[bytes] = set()
    early, again = 0, 0
    for action in chaos.hostile:
        match action:
            case Put(key):
                early += s3([key]) in sent and key not in there
                there.add(key)
            case Delete(key):
                there.discard(key)
            case Send(body):
                again += body in sent
                sent.add(body)
    assert there >= chaos.expected.keys()
    assert early > 5, "events came before their objects"
    assert again > 5, "events came twice"
    assert chaos.garbage_count > 8
    # Some keys end with other content than they began with, some recordings end otherwise than well.
    assert sum(one.version_count > 1 for one in chaos.expected.values()) > 20
    assert {one.stage for one in chaos.expected.values()} == {"done", "skipped", "failed"}


def test_the_same_seed_makes_the_same_stream_and_another_seed_another():
    assert make_chaos(50, 3, is_watched=False) == make_chaos(50, 3, is_watched=False)
    assert make_chaos(50, 3, is_watched=False) != make_chaos(50, 4, is_watched=False)


def test_a_schedule_has_as_many_kills_as_asked_for_and_hits_every_moment():
    targets = Targets(["a", "b"], ["a"], ["listen"], ["broker"], ["broker"])
    faults = schedule(50, targets, 1)
    assert sum(fault.is_kill for fault in faults) == 50
    points = {fault.target for fault in faults if fault.kind == "point"}
    assert points >= {*INTAKE_POINTS, "call.transcribe committed", "call.understand worked", "call.file writing"}
    assert {fault.kind for fault in faults} == {"kill", "kill_child", "point", "stop", "restart", "cut"}
