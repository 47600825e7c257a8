"""Associations that were asked for here, and what peers accepted when the node called them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0003"
branch_labels = None
depends_on = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables; of earlier associations nothing is known."""
    op.create_table(
        "associations",
        sa.Column("association_id", COUNTER, autoincrement=True, nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("listener", sa.Text, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("tls", sa.String(16), nullable=False),
        sa.Column("certificate", sa.Text, nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("called_ae_title", sa.String(16), nullable=False),
        sa.Column("peer", sa.String(64), nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("rejection", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("accepted", sa.JSON, nullable=False),
        sa.Column("refused", sa.JSON, nullable=False),
        sa.Column("objects_stored", sa.Integer, nullable=False),
        sa.Column("objects_refused", sa.Integer, nullable=False),
        sa.Column("bytes_stored", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("association_id", name="pk_associations"),
        sa.UniqueConstraint("token", name="uq_associations_token"),
    )
    op.create_table(
        "peer_syntaxes",
        sa.Column("peer", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("negotiated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint(
            "peer", "sop_class_uid", "transfer_syntax_uid", name="pk_peer_syntaxes"
        ),
    )
