"""What calls are compared by: one vector a call, made from its current analysis."""

import sqlalchemy as sa

from crm.tables import metadata

call_vector = sa.Table(
    "call_vector",
    metadata,
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id", ondelete="CASCADE"), primary_key=True),
    # Vectors of two models are never compared.
    sa.Column("model", sa.Text, nullable=False),
    # The revision of the analysis that it was made for: another one wants another vector.
    sa.Column("analysis_revision", sa.Integer, nullable=False),
    # 0 where the model can say nothing of the text: it is not asked again.
    sa.Column("dimension", sa.Integer, nullable=False),
    # So many 32-bit floats, little endian, of length 1.
    sa.Column("vector", sa.LargeBinary, nullable=False),
)

# What pgvector adds on PostgreSQL (crm.vector_index), where it is there; indexes of vectors carry their dimension.
NEAR = "near"
NEAR_INDEX = "ix_call_vector_near_"
UNFILLED_INDEX = "ix_call_vector_unfilled"
