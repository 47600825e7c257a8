"""Proof of delivery: commitment of what was sent, and requests of peers for ours."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables; nothing is asked about objects that were accepted before."""
    op.create_table(
        "commitments",
        sa.Column("delivery_id", COUNTER, autoincrement=False, nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("losses", sa.Integer, nullable=False),
        sa.Column("accepted_at", TIME, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_commitments"),
        _refers("commitments", "delivery_id", "deliveries"),
    )
    op.create_table(
        "commitment_transactions",
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("answered_at", TIME),
        sa.PrimaryKeyConstraint("transaction_uid", name="pk_commitment_transactions"),
    )
    op.create_table(
        "commitment_items",
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("delivery_id", COUNTER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("transaction_uid", "delivery_id", name="pk_commitment_items"),
        _refers("commitment_items", "transaction_uid", "commitment_transactions"),
        _refers("commitment_items", "delivery_id", "deliveries"),
    )
    op.create_table(
        "commitment_requests",
        sa.Column("request_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("objects", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", TIME, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_commitment_requests"),
        sa.UniqueConstraint(
            "calling_ae_title",
            "transaction_uid",
            name="uq_commitment_requests_calling_ae_title_transaction_uid",
        ),
    )
    for table, *columns in (
        ("commitments", "state", "due_at"),
        ("commitment_items", "delivery_id"),
        ("commitment_requests", "state", "not_before"),
    ):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def _refers(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{other}"
    return sa.ForeignKeyConstraint([column], [f"{other}.{column}"], name=name)
