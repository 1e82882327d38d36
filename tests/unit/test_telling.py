"""Laws of who wins when several sources speak of one call: the order in which they arrive never matters."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from calls.recording import CallFacts, Direction
from calls.telling import Rank, Telling, merge_tellings

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
ONE = datetime(2026, 11, 27, 13, tzinfo=UTC)

words = st.sampled_from(["Ana", "Ben", "Zoë"])
moments = st.integers(-9999, 9999).map(lambda minutes: NOON + timedelta(minutes=minutes))
facts = st.builds(
    CallFacts,
    agent_name=st.none() | words,
    queue_name=st.none() | words,
    started_at=st.none() | moments,
    hold_time_s=st.none() | st.floats(0, 100),
    is_transferred=st.none() | st.booleans(),
    direction=st.none() | st.sampled_from(Direction),
    attributes=st.dictionaries(st.sampled_from("ab"), words),
)
# One origin speaks once: what it says later replaces what it said before, so no two have the same.
tellings = st.lists(
    st.builds(
        Telling,
        origin=st.text("abcdef", min_size=1, max_size=3),
        rank=st.sampled_from(Rank),
        facts=facts,
        as_of=st.none() | moments,
    ),
    max_size=5,
    unique_by=lambda telling: telling.origin,
)


def one(origin: str, rank: Rank, as_of: datetime | None = None, **told: object) -> Telling:
    return Telling(origin, rank, CallFacts(**told), as_of)  # type: ignore[arg-type]


@given(tellings, st.randoms())
def test_the_order_of_arrival_never_matters(told, random):
    shuffled = list(told)
    random.shuffle(shuffled)
    assert merge_tellings(shuffled) == merge_tellings(told)


@given(tellings)
def test_what_is_told_twice_is_told_once(told):
    assert merge_tellings([*told, *told]) == merge_tellings(told)


@given(tellings)
def test_every_fact_comes_from_somebody_and_none_is_lost(told):
    merged = merge_tellings(told)
    for name in ("agent_name", "queue_name", "started_at", "hold_time_s", "is_transferred", "direction"):
        said = [getattr(telling.facts, name) for telling in told if getattr(telling.facts, name) is not None]
        assert getattr(merged, name) in said if said else getattr(merged, name) is None
    assert set(merged.attributes) == {name for telling in told for name in telling.facts.attributes}


@given(facts)
def test_a_single_source_is_believed_in_everything(told):
    assert merge_tellings([Telling("name", Rank.NAME, told)]) == told


def test_nobody_tells_nothing():
    assert merge_tellings([]) == CallFacts()


def test_the_higher_rank_wins_however_old_it_is():
    told = [
        one("name", Rank.NAME, agent_name="name"),
        one("metadata", Rank.METADATA, ONE, agent_name="metadata"),
        one("a.json", Rank.SIDECAR, ONE, agent_name="sidecar"),
        one("contact_record", Rank.RECORD, NOON, agent_name="record"),
    ]
    for count, winner in enumerate(["name", "metadata", "sidecar", "record"], start=1):
        for order in permutations(told[:count]):
            assert merge_tellings(order).agent_name == winner


def test_within_a_rank_the_later_word_wins_and_a_word_without_a_time_is_the_earliest():
    early = one("z", Rank.RECORD, NOON, queue_name="early")
    late = one("a", Rank.RECORD, ONE, queue_name="late")
    never = one("zz", Rank.RECORD, None, queue_name="never")
    for order in permutations([early, late, never]):
        assert merge_tellings(order).queue_name == "late"
    assert merge_tellings([never, early]).queue_name == "early"


def test_of_two_that_cannot_be_told_apart_the_origin_decides():
    told = [one("b.json", Rank.SIDECAR, agent_name="b"), one("a.json", Rank.SIDECAR, agent_name="a")]
    assert merge_tellings(told).agent_name == merge_tellings(told[::-1]).agent_name == "b"


def test_a_source_that_is_silent_on_a_fact_takes_nothing_away():
    told = [
        one("name", Rank.NAME, agent_name="Ana", is_transferred=True, attributes={"a": "1", "b": "1"}),
        one("contact_record", Rank.RECORD, queue_name="Q", is_transferred=False, attributes={"b": "2"}),
    ]
    assert merge_tellings(told) == CallFacts(
        agent_name="Ana", queue_name="Q", is_transferred=False, attributes={"a": "1", "b": "2"}
    )


def test_a_persons_word_stands_above_a_later_record_and_takes_nothing_else_from_it():
    person = Telling("person", Rank.PERSON, CallFacts(agent_channel=0), NOON)
    record = Telling("record", Rank.RECORD, CallFacts(agent_channel=1, queue_name="Billing"), ONE)
    facts = merge_tellings([person, record])
    assert (facts.agent_channel, facts.queue_name) == (0, "Billing")
