"""What a telling is about, in words: an object, all objects of one base name, a call, or a conversation of several
recordings. One object or one call alone: `calls.telling`.
"""

from dataclasses import dataclass

from calls.recording import TEXT_SUFFIXES
from calls.telling import call_subject
from ingest.profiles import Addressees, stem_of


def stem_subject(bucket: str, key: str) -> str:
    """Every recording with this key's base name: what a document beside it says."""
    return f"object {bucket}/{stem_of(key)}.*"


def conversation_subject(source_system: str, conversation_id: str) -> str:
    """Every recording of one conversation."""
    return f"conversation {source_system} {conversation_id}"


@dataclass(frozen=True)
class Concerned:
    """Which calls a telling may be about: those of recordings under these keys, of this call id, or of this
    conversation; ids come with their source system.
    """

    subject: str
    keys: tuple[str, ...] = ()
    call: tuple[str, str] | None = None
    conversation: tuple[str, str] | None = None


def concerned_by(bucket: str, addressees: Addressees) -> Concerned:
    """The calls that a sidecar is about."""
    if addressees.conversation is not None:
        return Concerned(conversation_subject(*addressees.conversation), conversation=addressees.conversation)
    stem = stem_of(addressees.recordings[0])
    texts = (stem + suffix for suffix in TEXT_SUFFIXES)
    return Concerned(stem_subject(bucket, addressees.recordings[0]), keys=(*addressees.recordings, *texts))


def concerned_call(source_system: str, external_call_id: str) -> Concerned:
    """The calls that telephony's own record is about."""
    return Concerned(call_subject(source_system, external_call_id), call=(source_system, external_call_id))
