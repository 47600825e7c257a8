"""What assembling found out of a study: completeness, parts of series, predecessor."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of earlier jobs nothing is known."""
    op.add_column("jobs", sa.Column("intake", sa.JSON, nullable=True))
