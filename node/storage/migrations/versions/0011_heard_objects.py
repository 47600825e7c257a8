"""Which objects were read for what they say of which result."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; every object that is here is read at the next start."""
    op.create_table(
        "heard_objects",
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sop_instance_uid", "job_id", name="pk_heard_objects"),
    )
    op.create_index("ix_heard_objects_study_instance_uid", "heard_objects", ["study_instance_uid"])
