"""Objects that were rejected by a rejection note are never sent again, nor read as a prior.

A note that an archive's retention policy has expired rejects nothing.
"""

from collections.abc import Iterable

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from node.domain.feedback import RETENTION_EXPIRED, FeedbackKind
from node.storage.database import reading
from node.storage.tables import FeedbackRow

REJECTS = (
    FeedbackRow.kind == FeedbackKind.REJECTION.value,
    FeedbackRow.comment != str(RETENTION_EXPIRED),
)


def reason_of_rejection(session: Session, sop_instance_uid: str) -> str:
    """Return why an object was rejected; empty if it was not."""
    query = (
        select(FeedbackRow.comment)
        .where(
            FeedbackRow.result_sop_instance_uid == sop_instance_uid,
            *REJECTS,
        )
        .order_by(FeedbackRow.said_at.desc(), FeedbackRow.feedback_id.desc())
        .limit(1)
    )
    reason = session.scalar(query)
    return "" if reason is None else f"rejected: {reason}"


def rejected_among(engine: Engine, sop_instance_uids: Iterable[str]) -> frozenset[str]:
    """Return which results were rejected."""
    wanted = list(sop_instance_uids)
    found: set[str] = set()
    with reading(engine) as session:
        for start in range(0, len(wanted), 500):  # SQLite bounds the parameters of a statement
            query = select(FeedbackRow.result_sop_instance_uid).where(
                *REJECTS,
                FeedbackRow.result_sop_instance_uid.in_(wanted[start : start + 500]),
            )
            found.update(session.scalars(query))
    return frozenset(found)
