"""A site in which somebody's call is planted everywhere that a call leaves traces, each with a word of its own."""

import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.recording import OWN_KINDS, own_key
from crm.awaited import Awaited, await_objects
from crm.batch_questions import NewQuestion, put_question
from crm.handover_tables import crm_link
from crm.heard_pieces import keep_answer
from crm.intake import note_unreadable
from crm.kept_answers import kept_answer
from crm.labels import note_taught
from crm.reason_tables import reclassification, reclassified_call, review
from crm.tables import (
    account,
    call,
    call_analysis,
    contact,
    paid_request,
    recording,
    transcript,
    utterance,
)
from crm.vector_tables import call_vector
from engines.objects_folder import FolderStore
from ingest.intake import take_messages
from runtime.learned import learned_key
from runtime.settings import Settings
from runtime.settings_site import DatabaseSettings
from runtime.wiring import Wiring
from tests.integration.listening import make_intake, s3_event
from tests.seeds import NOW, TAXONOMY, seed_taxonomy

NUMBER = "+4915199887766"
OTHER_NUMBER = "+4915133221100"
LATER = NOW + timedelta(days=1)
# Intake goes by the clock of the machine.
MUCH_LATER = datetime.now(UTC) + timedelta(days=1)


class Home:
    """A site with a folder store, in which somebody's call is planted everywhere that a call leaves traces."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.wired = Wiring(Settings(home=folder, database=DatabaseSettings(url=database_url)))
        self.database = self.wired.database
        self.objects = self.wired.objects
        assert isinstance(self.objects, FolderStore)
        self.intake = make_intake(self.database, self.objects)
        with self.database.write() as connection:
            seed_taxonomy(connection)

    def plant(self, number: str, mark: str) -> UUID:
        """A call of this number that came in, was heard and understood, corrected and sent; each trace has a word of
        its own that begins with `mark`.
        """
        digits = number[1:]
        key = f"in/{digits}-{mark}key.wav"
        sidecar = f"in/{digits}-{mark}key.json"
        facts = {
            "from": number,
            "to": "+4930100200",
            "direction": "inbound",
            "customer": f"{mark}first {mark}last",
            "queue": "Sales",
            "agent": "Ana",
            "note": f"{mark}note",
        }
        self.objects.put(sidecar, json.dumps(facts).encode())
        self.objects.put(key, f"RIFF {mark}sound".encode(), metadata={"label": f"{mark}metadata"})
        take_messages(self.intake, "test", [s3_event(key), s3_event(sidecar)])
        with self.database.write() as connection:
            held = connection.execute(sa.select(recording).where(recording.c.object_key == key)).one()
            self._understand(connection, held, number, mark)
            self._beside(connection, held, key, mark)
        for kind in OWN_KINDS:
            self.objects.put(own_key(kind, held.id), f"{mark}{kind}".encode())
        self.objects.put(learned_key(mark), f"{mark}vocabulary".encode())
        return UUID(str(held.call_id))

    def _understand(self, connection: sa.Connection, held: Any, number: str, mark: str) -> None:
        call_id = held.call_id
        account_id, contact_id = uuid4(), uuid4()
        connection.execute(sa.insert(account).values(id=account_id, name=f"{mark}account"))
        person = {"first_name": f"{mark}first", "last_name": f"{mark}last", "email": f"{mark}@example.org"}
        connection.execute(sa.insert(contact).values(id=contact_id, account_id=account_id, phone_e164=number, **person))
        connection.execute(
            sa.update(call)
            .where(call.c.id == call_id)
            .values(
                stage="done",
                contact_id=contact_id,
                account_id=account_id,
                subject=f"{mark}subject",
                disconnect_reason=f"{mark}disconnect",
                failed_detail=f"{mark}failed",
                initial_call_id=f"{mark}initial",
                previous_call_id=f"{mark}previous",
                customer_name=f"{mark}first {mark}last",
                happened_at=NOW,
                started_at=NOW,
                finished_at=NOW,
                duration_s=61.0,
            )
        )
        connection.execute(sa.update(recording).where(recording.c.id == held.id).values(sha256=f"{mark}sha"))
        for revision in (1, 2):
            self._hear(connection, held, revision, f"{mark}{revision}")

    def _hear(self, connection: sa.Connection, held: Any, revision: int, mark: str) -> None:
        transcript_id = uuid4()
        common = {"call_id": held.call_id, "revision": revision, "is_current": revision == 2, "created_at": NOW}
        connection.execute(
            sa.insert(transcript).values(
                id=transcript_id,
                recording_id=held.id,
                engine="e",
                is_demo=False,
                language="en",
                turn_count=1,
                talk_time_agent_s=20.0,
                talk_time_customer_s=30.0,
                agent_channel=0,
                skipped=[],
                translation=[[0, 0.0, 1.0, f"{mark}translated"]],
                **common,
            )
        )
        connection.execute(
            sa.insert(utterance).values(
                transcript_id=transcript_id,
                seq=0,
                speaker="customer",
                channel=1,
                start_s=0.0,
                end_s=2.0,
                # Long enough to lie on pages of its own.
                text=f"{mark}said " + f"and {mark}more " * 400,
                words=[[f"{mark}word", 0.0, 1.0, None]],
            )
        )
        connection.execute(
            sa.insert(call_analysis).values(
                id=uuid4(),
                transcript_id=transcript_id,
                headline=f"{mark}headline",
                summary=f"{mark}summary " * 200,
                summary_kind="written",
                subject=f"{mark}about",
                reason_code="delivery_status",
                reason_confidence=0.9,
                secondary_reason_codes=["repair_booking"],
                outcome="follow_up",
                is_resolved=False,
                next_steps=[{"text": f"{mark}step", "owner": f"{mark}owner", "due_on": None}],
                evidence=[{"field": "reason", "turn": 0, "quote": f"{mark}quote"}],
                answers={"why": f"{mark}answer"},
                skipped=[],
                sentiment_customer=-1.0,
                model="m",
                is_demo=False,
                prompt_version="1",
                taxonomy_version=TAXONOMY.version,
                **common,
            )
        )

    def _beside(self, connection: sa.Connection, held: Any, key: str, mark: str) -> None:
        call_id = held.call_id
        keep_answer(connection, held.id, f"{mark}piece", f"{mark}heard", now=NOW)
        connection.execute(
            sa.insert(review).values(
                id=uuid4(),
                call_id=call_id,
                revision=2,
                field="summary",
                before=f"{mark}before",
                after=f"{mark}after",
                reviewed_by="eve",
                reviewed_at=NOW,
            )
        )
        run_id = uuid4()
        run = {"id": run_id, "taxonomy_version": TAXONOMY.version, "started_at": NOW}
        connection.execute(sa.insert(reclassification).values(**run))
        connection.execute(
            sa.insert(reclassified_call).values(reclassification_id=run_id, call_id=call_id, before_revision=1)
        )
        question = NewQuestion(
            key=f"{mark}question", deployment="d", body="{}", messages=f"{mark}asked", max_output_tokens=9
        )
        put_question(connection, call_id, question, now=NOW)
        connection.execute(
            sa.insert(paid_request).values(
                id=uuid4(),
                call_id=call_id,
                paid_at=NOW,
                provider="p",
                model="m",
                purpose="language",
                request_id="r",
                input_tokens=1,
                cached_tokens=0,
                output_tokens=1,
                audio_s=0.0,
                cost_microusd=7,
            )
        )
        note_unreadable(connection, source="q", code="bad", body=f"{mark}body of {key}", now=NOW)
        await_objects(connection, [Awaited("recordings", (f"{key}.{mark}late.wav",))], now=NOW)
        link = {"entity": "call", "entity_id": call_id, "crm_system": "salesforce", "crm_object_id": f"{mark}task"}
        connection.execute(sa.insert(crm_link).values(**link, payload_sha256="x", linked_at=NOW))
        # Bytes that would be found, in place of numbers.
        vector = f"{mark}vectors".ljust(len(mark) // 4 * 4 + 12).encode()
        made = {"call_id": call_id, "model": "m", "analysis_revision": 2, "dimension": len(vector) // 4}
        connection.execute(sa.insert(call_vector).values(vector=vector, **made))
        answer = {"caller": "c", "key": f"{mark}idem", "request_hash": "h", "claimed_at": NOW, "status": 200}
        connection.execute(sa.insert(kept_answer).values(**answer, body=f'{{"id": "{call_id}", "x": "{mark}kept"}}'))
        note_taught(connection, mark, [call_id])

    def bytes(self) -> Iterator[tuple[str, bytes]]:
        """Every file of the home, its name, and what zips hold."""
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file():
                continue
            name = str(path.relative_to(self.folder))
            content = path.read_bytes()
            # The folder store writes odd keys in hexadecimal digits.
            yield name, name.encode()
            yield name, bytes.fromhex(path.stem) if _is_hex(path.stem) else b""
            yield name, content
            if zipfile.is_zipfile(io.BytesIO(content)):
                with zipfile.ZipFile(io.BytesIO(content)) as parts:
                    for part in parts.namelist():
                        yield f"{name}/{part}", parts.read(part)


def _is_hex(text: str) -> bool:
    try:
        return bool(bytes.fromhex(text))
    except ValueError:
        return False
