"""The first schema: what was received, jobs with their history, and the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make all tables; there is nothing before them."""
    op.create_table(
        "studies",
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("last_received_at", TIME, nullable=False),
        sa.Column("assembled_digest", sa.Text),
        _key("studies", "study_instance_uid"),
    )
    op.create_table(
        "instances",
        sa.Column("instance_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        _key("instances", "instance_id"),
        _refers("instances", "study_instance_uid", "studies"),
        sa.UniqueConstraint("sop_instance_uid", name="uq_instances_sop_instance_uid"),
    )
    op.create_table(
        "quarantined_objects",
        sa.Column("quarantined_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("sop_instance_uid", sa.Text, nullable=False),
        sa.Column("problems", sa.JSON, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        _key("quarantined_objects", "quarantined_id"),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("series_instance_uids", sa.JSON, nullable=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("destinations", sa.JSON, nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("content_digest", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("postponements", sa.Integer, nullable=False),
        sa.Column("not_before", TIME, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("lease_owner", sa.Text, nullable=False),
        sa.Column("lease_until", TIME),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("problems", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        _key("jobs", "job_id"),
    )
    op.create_table(
        "job_events",
        sa.Column("event_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        _key("job_events", "event_id"),
        _refers("job_events", "job_id", "jobs"),
    )
    op.create_table(
        "deliveries",
        sa.Column("delivery_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", TIME, nullable=False),
        sa.Column("lease_owner", sa.Text, nullable=False),
        sa.Column("lease_until", TIME),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        _key("deliveries", "delivery_id"),
        _refers("deliveries", "job_id", "jobs"),
        sa.UniqueConstraint(
            "destination", "sop_instance_uid", name="uq_deliveries_destination_sop_instance_uid"
        ),
    )
    op.create_table(
        "job_deliveries",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("delivery_id", COUNTER, nullable=False),
        _key("job_deliveries", "job_id", "delivery_id"),
        _refers("job_deliveries", "job_id", "jobs"),
        _refers("job_deliveries", "delivery_id", "deliveries"),
    )
    for table, *columns in (
        ("studies", "assembled_digest", "last_received_at"),
        ("instances", "study_instance_uid"),
        ("quarantined_objects", "received_at"),
        ("jobs", "study_instance_uid"),
        ("jobs", "state", "not_before"),
        ("job_events", "job_id"),
        ("deliveries", "job_id"),
        ("deliveries", "state", "not_before"),
        ("job_deliveries", "delivery_id"),
    ):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _refers(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{other}"
    return sa.ForeignKeyConstraint([column], [f"{other}.{column}"], name=name)
