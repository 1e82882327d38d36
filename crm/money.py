"""The ledger: one row per paid request; their sum is the bill."""

from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.money import Charge
from crm import jobs
from crm.tables import call, paid_request


def note_charge(connection: sa.Connection, call_id: UUID | None, charge: Charge, *, now: datetime) -> None:
    """Write the ledger row of one paid request, and mark its call's day: it may come after the call has ended."""
    connection.execute(
        sa.insert(paid_request).values(
            id=uuid4(),
            call_id=call_id,
            paid_at=now,
            provider=charge.provider,
            model=charge.model,
            purpose=charge.purpose,
            request_id=charge.request_id,
            input_tokens=charge.input_tokens,
            cached_tokens=charge.cached_tokens,
            output_tokens=charge.output_tokens,
            audio_s=charge.audio_s,
            cost_microusd=charge.cost_microusd,
        )
    )
    happened_at = connection.execute(sa.select(call.c.happened_at).where(call.c.id == call_id)).scalar_one_or_none()
    if happened_at is not None:
        jobs.touch(connection, happened_at)
