"""What peers accepted, with what they said before."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ANSWER = "peer, sop_class_uid, transfer_syntax_uid, accepted, negotiated_at"


def upgrade() -> None:
    """Take the last answers over into the new table; the old one goes."""
    op.create_table(
        "negotiations",
        sa.Column("negotiation_id", COUNTER, nullable=False, autoincrement=True),
        sa.Column("peer", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("negotiated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("negotiation_id", name="pk_negotiations"),
    )
    op.create_index("ix_negotiations_peer", "negotiations", ["peer"])
    op.execute(
        f"INSERT INTO negotiations ({ANSWER}) "  # noqa: S608 - no value comes from elsewhere
        f"SELECT {ANSWER} FROM peer_syntaxes ORDER BY negotiated_at"
    )
    op.drop_table("peer_syntaxes")
