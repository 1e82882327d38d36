"""What every database takes of the facts of a call."""

import re

from calls.recording import CallFacts
from ingest.told import facts_by_name

_LONGEST = 500


def assert_storable(facts: CallFacts) -> None:
    """Texts without a NUL or half a surrogate pair, and of bounded length; aware times; numbers in E.164."""
    told = facts_by_name(facts)
    texts = [value for value in told.values() if isinstance(value, str)]
    for text in [*texts, *facts.attributes, *facts.attributes.values()]:
        assert text
        assert "\0" not in text
        assert len(text) <= _LONGEST
        text.encode()
    assert len(facts.attributes) <= 50
    for name, value in told.items():
        if name.endswith("_at") and value is not None:
            assert value.tzinfo is not None
        if name.endswith("_e164") and value is not None:
            assert re.fullmatch(r"\+[1-9]\d{4,16}", value)
