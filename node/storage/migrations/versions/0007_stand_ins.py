"""Objects that stand in for those which a destination refuses."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; so far every object was sent as it was made."""
    op.add_column("deliveries", sa.Column("stands_for", sa.String(64), nullable=True))
