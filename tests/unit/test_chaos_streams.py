"""The chaos itself: what its streams of events and its schedules of faults hold."""

from bench.chaos.faults import INTAKE_POINTS, Targets, schedule
from bench.chaos.messages import s3
from bench.chaos.stories import Delete, Put, Send, make_chaos


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
