"""Anchors of the audit trail, kept where the trail's own files are not."""

from sqlalchemy import Engine, select

from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import AuditAnchorRow


def note_anchor(engine: Engine, *, number: int, sha256: str) -> bool:
    """Keep number and digest of the trail's last record; False if it is kept already."""
    with reading(engine) as session:
        if number == 0 or session.get(AuditAnchorRow, number) is not None:
            return False
    with writing(engine) as session:
        session.add(AuditAnchorRow(number=number, sha256=sha256, noted_at=utc_now()))
    return True


def list_anchors(engine: Engine) -> list[tuple[int, str]]:
    """Return number and digest of every anchor, in order."""
    query = select(AuditAnchorRow.number, AuditAnchorRow.sha256).order_by(AuditAnchorRow.number)
    with reading(engine) as session:
        return [(number, sha256) for number, sha256 in session.execute(query)]
