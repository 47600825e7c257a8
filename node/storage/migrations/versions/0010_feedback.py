"""What people say of results: agreement, corrections, rejections."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UID = sa.String(64)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "feedback",
        sa.Column("feedback_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content_digest", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("voice", sa.String(16), nullable=False),
        sa.Column("study_instance_uid", UID, nullable=False),
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("bundle_digest", sa.String(64), nullable=False),
        sa.Column("tracking_uid", UID, nullable=True),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("said_at", MOMENT, nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("class_before", sa.Text, nullable=False),
        sa.Column("class_after", sa.Text, nullable=False),
        sa.Column("malignancy_probability", sa.Double, nullable=True),
        sa.Column("outline", sa.JSON, nullable=True),
        sa.Column("result_sop_instance_uid", UID, nullable=False),
        sa.Column("sop_class_uid", UID, nullable=False),
        sa.Column("sop_instance_uid", UID, nullable=False),
        sa.PrimaryKeyConstraint("feedback_id", name="pk_feedback"),
        sa.UniqueConstraint("subject", "version", name="uq_feedback_subject_version"),
    )
    for column in ("study_instance_uid", "job_id", "tracking_uid", "said_at", "sop_instance_uid"):
        op.create_index(f"ix_feedback_{column}", "feedback", [column])
