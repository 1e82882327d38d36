"""What the API gives of similar calls, for its OpenAPI document."""

from uuid import UUID

from pydantic import Field

from web.api_models import CALL_ID, LINE, CallOfList, Model, example

_OTHER_ID = "0b9a6f7e-2c11-4a53-8f0d-7f1c6f3a9d21"


class SimilarCall(Model):
    """A call that is about the same."""

    call: CallOfList
    likeness: float = Field(description="Cosine of the two vectors, above 0 and at most 1; comparable within a model.")


class SimilarCalls(Model):
    """Calls that are about the same as this one, the nearest first."""

    model_config = example(
        {
            "id": CALL_ID,
            "model": "local/lsa-4f1d09c2ab",
            "calls": [{"call": LINE | {"id": _OTHER_ID}, "likeness": 0.873214}],
        }
    )

    id: UUID
    model: str | None = Field(
        description="What compared them; null where the call has no vector: similar.engine is none, it says too little,"
        " or it ended less than a minute ago."
    )
    calls: list[SimilarCall]
