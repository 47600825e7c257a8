"""Headers of past studies, which changed rules can be tried on."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; studies that were assembled before have their files."""
    op.create_table(
        "past_studies",
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("assembled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("series", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("study_instance_uid", name="pk_past_studies"),
    )
    op.create_index("ix_past_studies_assembled_at", "past_studies", ["assembled_at"])
