"""What telephony has said of a call so far, put together: for a recording that comes, and for a call that is there."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from calls.recording import TEXT_SUFFIXES, CallFacts, ObjectRef, StoredObject
from calls.telling import (
    Rank,
    Telling,
    believable,
    call_subject,
    merge_tellings,
    object_subject,
    profile_told,
    system_told,
)
from crm.arrivals import Arrival, second_id
from crm.facts import set_facts
from crm.tellings import is_anything_told, tellings_about
from crm.told_calls import ToldCall, calls_of, texts_under, told_calls
from ingest.looking import Heard, Looked
from ingest.profiles import PLAIN, Profiles, Reading, stem_of
from ingest.tellings import conversation_subject, stem_subject


class _Voices(NamedTuple):
    """One recording, what its name says, and the subjects under which more may have been told of its call."""

    key: str
    reading: Reading
    subjects: tuple[str, ...]


class _Came(NamedTuple):
    looked: Looked
    stored: StoredObject
    reading: Reading


class Merging:
    """The tellings of one batch. It remembers what it has merged, so that a second look finds what came in between."""

    def __init__(self, profiles: Profiles, bucket: str, looked: Iterable[Looked], *, now: datetime) -> None:
        """Of what was looked at, `now`. What can be said of the recordings without the database is said here, before
        it is asked: nobody else writes while it is.
        """
        self._profiles = profiles
        self._bucket = bucket
        self._now = now
        self._merged: dict[str, list[Telling]] = {}
        # The keys of those that belong to the call of a text beside them, whatever id they are told.
        self.joined: set[str] = set()
        self._came = [_Came(one, one.stored, one.reading) for one in looked if one.stored and one.reading]
        # The recordings by what their names say alone.
        self.untold: Sequence[Arrival] = [_arrival(came, (), now) for came in self._came]

    def arrivals(self, connection: sa.Connection) -> Sequence[Arrival]:
        """The recordings that come, with all that was told of their calls before, and with them: `untold` itself where
        nothing was.
        """
        self._merged, voices = self._told_of_those_that_came(connection)
        made = self.untold
        if self._merged:
            made = [
                _arrival(came, _of_subjects(self._merged, voice.subjects), self._now)
                for came, voice in zip(self._came, voices, strict=True)
            ]
        return self._beside_texts(connection, made)

    def retell(
        self,
        connection: sa.Connection,
        heard: Iterable[Heard],
        *,
        now: datetime,
        known: Iterable[str] = (),
        but: Collection[str] = (),
    ) -> int:
        """Let the calls that are there hear what was told of them; returns how many changed.

        `known` are the keys of recordings that were announced again, `but` those of recordings that have just come with
        all of it.
        """
        concerned = {one.concerned for one in heard}
        found = calls_of(
            connection,
            keys=[
                *((self._bucket, key) for one in concerned for key in one.keys if key not in but),
                *((self._bucket, key) for key in known),
            ],
            ids=[one.call for one in concerned if one.call],
            conversations=[one.conversation for one in concerned if one.conversation],
        )
        return self._retell(connection, found, now)

    def look_again(self, connection: sa.Connection, heard: Sequence[Heard], *, now: datetime) -> None:
        """After the commit: what was told in the meantime of the recordings that came, and which recordings came in the
        meantime of whose calls something was told.
        """
        kept, voices = self._told_of_those_that_came(connection)
        late = {subject for subject, told in kept.items() if self._merged.get(subject) != told}
        keys = [(self._bucket, voice.key) for voice in voices if late.intersection(voice.subjects)]
        self._retell(connection, calls_of(connection, keys=keys), now)
        self.retell(connection, heard, now=now)

    def _told_of_those_that_came(self, connection: sa.Connection) -> tuple[dict[str, list[Telling]], Sequence[_Voices]]:
        """What is kept of the recordings that came, and who they are; nothing of either where nobody tells anything."""
        if not is_anything_told(connection):
            return {}, ()
        voices = [self._voices_of(seen.ref.key, reading, one.tellings) for one, seen, reading in self._came]
        return tellings_about(connection, {subject for voice in voices for subject in voice.subjects}), voices

    def _retell(self, connection: sa.Connection, call_ids: Collection[UUID], now: datetime) -> int:
        calls = told_calls(connection, call_ids)
        voices = [self._voices_of_call(one) for one in calls]
        asked = {subject for voice in voices for subject in voice.subjects}
        kept = tellings_about(connection, asked)
        voices = [_and_of_call(one, voice, kept) for one, voice in zip(calls, voices, strict=True)]
        kept |= tellings_about(connection, {subject for voice in voices for subject in voice.subjects} - asked)
        changed = 0
        for one, voice in zip(calls, voices, strict=True):
            told = _of_subjects(kept, voice.subjects)
            facts = believable(_merge(voice.reading, told), one.stored_at)
            is_read = one.profile not in {None, PLAIN}
            changed += set_facts(
                connection,
                one.id,
                facts,
                profile=None if is_read else profile_told(told, otherwise=PLAIN),
                # A name with an id says whose id it is; what is told later cannot change which call this is.
                source_system=None if voice.reading.facts.external_call_id else system_told(told),
                spare_id=second_id(facts.external_call_id or "", ObjectRef(one.bucket, one.key)) if one.key else None,
                now=now,
            )
        return changed

    def _voices_of_call(self, one: ToldCall) -> _Voices:
        if not one.key:
            nobody = Reading(None, one.source_system, CallFacts())
            return _Voices("", nobody, (call_subject(one.source_system, one.external_call_id),))
        voice = self._voices_of(one.key, self._profiles.read_name(one.key))
        own = call_subject(one.source_system, one.external_call_id)
        return voice._replace(subjects=tuple(dict.fromkeys([*voice.subjects, own])))

    def _voices_of(self, key: str, reading: Reading, tellings: Sequence[Heard] = ()) -> _Voices:
        told = [one.told.telling for one in tellings]
        system, facts = _system_of(reading, told), _merge(reading, told)
        subjects = [object_subject(self._bucket, key), stem_subject(self._bucket, key)]
        if facts.external_call_id:
            subjects.append(call_subject(system, facts.external_call_id))
        if facts.initial_call_id:
            subjects.append(conversation_subject(system, facts.initial_call_id))
        return _Voices(key, reading, tuple(subjects))

    def _beside_texts(self, connection: sa.Connection, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
        """Sound whose name tells no id, beside a text that is a call already, is that call's."""
        nameless = {
            arrival.ref.key: stem_of(arrival.ref.key)
            for came, arrival in zip(self._came, arrivals, strict=True)
            if not arrival.is_text and not came.reading.facts.external_call_id
        }
        if not nameless:
            return arrivals
        texts = texts_under(
            connection, self._bucket, [stem + suffix for stem in nameless.values() for suffix in TEXT_SUFFIXES]
        )
        if not texts:
            return arrivals
        by_stem = {stem_of(key): found for key, found in texts.items()}
        made = []
        for arrival in arrivals:
            found = by_stem.get(nameless.get(arrival.ref.key, ""))
            if found:
                system, external_id = found
                self.joined.add(arrival.ref.key)
                arrival = arrival._replace(  # noqa: PLW2901
                    source_system=system, facts=replace(arrival.facts, external_call_id=external_id)
                )
            made.append(arrival)
        return made


def _and_of_call(one: ToldCall, voice: _Voices, kept: Mapping[str, Sequence[Telling]]) -> _Voices:
    """With what is told of the call by the id that is told of it only now."""
    told = _of_subjects(kept, voice.subjects)
    facts = _merge(voice.reading, told)
    if not facts.external_call_id or voice.reading.facts.external_call_id:
        return voice
    subject = call_subject(system_told(told) or one.source_system, facts.external_call_id)
    return voice._replace(subjects=tuple(dict.fromkeys([*voice.subjects, subject])))


def _arrival(came: _Came, told: Sequence[Telling], now: datetime) -> Arrival:
    looked, stored, reading = came
    facts = believable(_merge(reading, told), stored.last_modified_at or now)
    profile = reading.profile or profile_told(told, otherwise=PLAIN)
    return Arrival(stored, facts, _system_of(reading, told), profile, looked.is_text)


def _of_subjects(kept: Mapping[str, Sequence[Telling]], subjects: Iterable[str]) -> list[Telling]:
    return [telling for subject in subjects for telling in kept.get(subject, ())] if kept else []


def _merge(reading: Reading, told: Sequence[Telling]) -> CallFacts:
    """All of it together. The name alone gives the call its id where it can: it is there from the first moment."""
    if not told:
        return reading.facts
    facts = merge_tellings([Telling("name", Rank.NAME, reading.facts), *told])
    own_id = reading.facts.external_call_id
    return replace(facts, external_call_id=own_id) if own_id else facts


def _system_of(reading: Reading, told: Sequence[Telling]) -> str:
    """Whose ids these are: what a source says of itself counts where the name gives no id."""
    return reading.source_system if reading.facts.external_call_id else system_told(told) or reading.source_system
