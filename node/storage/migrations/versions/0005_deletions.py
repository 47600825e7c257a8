"""What was removed from the disk, and anchors of the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0002"
branch_labels = None
depends_on = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables; what was removed before is not known."""
    op.create_table(
        "deletions",
        sa.Column("deletion_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("objects", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("deletion_id", name="pk_deletions"),
    )
    op.create_table(
        "audit_anchors",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("noted_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_anchors"),
    )
