"""How urgent a job is, its place in the queue, and the memory that it needs."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; jobs of before are routine, and stand where they stood."""
    op.add_column("jobs", sa.Column("priority", sa.String(8), nullable=True))
    op.add_column("jobs", sa.Column("queue_place", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("memory_bytes", sa.BigInteger, nullable=True))
    op.execute("UPDATE jobs SET priority = 'routine', queue_place = created_at, memory_bytes = 0")
