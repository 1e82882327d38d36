"""Recordings that a person or a program sends by hand: into the object store, and from there like any other."""

import re
import unicodedata
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from uuid import UUID

import structlog

from calls.recording import ObjectRef
from crm.announced import call_of_recording
from ingest.events import Announced
from ingest.intake import Intake

_log = structlog.get_logger()

FOLDER = "uploads"
# A key has at most 1,024 bytes, a file of a folder store's 255.
_MAX_NAME_BYTES = 180
_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class Uploaded:
    """What became of one file: `call_id` of the call that it is, also where it was known; None where it is no call, and
    `why_not` says why (`sidecar`, `not_audio`, `folder_marker`, ...).
    """

    key: str
    call_id: UUID | None
    is_new: bool
    why_not: str | None


def take_upload(intake: Intake, name: str, file: Path) -> Uploaded:
    """Store the file and make its call; when this returns, both are durable.

    The key is made of the content and of `name`, which profiles read facts from: the same file under the same name is
    one recording, sent as often as one likes. Raises TransientError.
    """
    with file.open("rb") as opened:
        digest = file_digest(opened, "sha256").hexdigest()[:_DIGEST_LENGTH]
    key = f"{FOLDER}/{digest}/{clean_name(name)}"
    stored = intake.objects.put(key, file)
    taken = intake.take([Announced((stored.ref,))])
    with intake.database.read() as connection:
        call_id = call_of_recording(connection, ObjectRef(intake.objects.bucket, key))
    why_not = next(iter(taken.ignored), None) if call_id is None else None
    _log.info("file_uploaded", call_id=str(call_id) if call_id else None, size_bytes=stored.ref.size_bytes)
    return Uploaded(key, call_id, is_new=bool(taken.new), why_not=why_not)


def clean_name(given: str) -> str:
    """A file's name as the last part of a key: without folders, blanks at the ends and what no name can have."""
    name = unicodedata.normalize("NFC", given).replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in name if letter.isprintable())
    name = re.sub(r"\s+", " ", name).strip(" .")
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        stem, suffix = name, ""
    suffix = suffix.encode()[:20].decode(errors="ignore")
    stem = stem.encode()[: _MAX_NAME_BYTES - len(suffix.encode()) - 1].decode(errors="ignore").strip()
    return f"{stem or 'recording'}{dot}{suffix}"
