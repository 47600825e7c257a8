"""Removal of what is no longer needed; each removal leaves a row that tells of it.

An object may arrive while its study is being removed. Its sender was told that it is safe, so it
must stay: the folder of the study is set aside while the study's row is locked, and whatever is
found in it that was not among the removed rows goes back to its place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, delete, func, insert, select

from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.spool import OBJECT_SUFFIX, Spool
from node.storage.tables import DeletionRow, InstanceRow, QuarantinedRow, StudyRow


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """Something that the node has removed.

    Parameters
    ----------
    at : datetime
    kind : str
        ``"study"``, ``"results"`` of a job, or ``"quarantined"`` object.
    name : str
        Study Instance UID, job id, or file name in the quarantine.
    reason : str
        ``"keep-days"``, ``"soft-mark"`` or ``"quarantine-limit"``.
    objects : int
        How many files.
    size_bytes : int
    """

    at: datetime
    kind: str
    name: str
    reason: str
    objects: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class RemovedStudy:
    """A study that is gone, as the audit trail tells of it.

    Parameters
    ----------
    instances : dict of str to int
        SOP Class UID -> number of objects.
    sample : Path or None
        One of its files; there until ``Spool.empty_trash`` is called.
    """

    study_instance_uid: str
    instances: dict[str, int]
    sample: Path | None


def remove_study(
    engine: Engine, spool: Spool, study_instance_uid: str, *, before: datetime, reason: str
) -> RemovedStudy | None:
    """Take a study out of the database, and its folder aside; ``Spool.empty_trash`` frees the disk.

    Parameters
    ----------
    engine : Engine
    spool : Spool
    study_instance_uid : str
    before : datetime
        The study stays if an object of it came later, or if it waits to be assembled.
    reason : str
        For the record.

    Returns
    -------
    RemovedStudy or None
        None when it stays.
    """
    with writing(engine) as session:
        study = session.get(StudyRow, study_instance_uid, with_for_update=True)
        if study is None or study.assembled_digest is None or study.last_received_at >= before:
            return None
        rows = session.execute(
            select(InstanceRow.path, InstanceRow.sop_class_uid, InstanceRow.size_bytes).where(
                InstanceRow.study_instance_uid == study_instance_uid
            )
        ).all()
        for table in (InstanceRow, StudyRow):
            session.execute(delete(table).where(table.study_instance_uid == study_instance_uid))
        session.execute(
            insert(DeletionRow).values(
                at=utc_now(),
                kind="study",
                name=study_instance_uid,
                reason=reason,
                objects=len(rows),
                size_bytes=sum(row.size_bytes for row in rows),
            )
        )
        # last, and while the row is locked: until the end of the transaction no object of the
        # study can be recorded, and a crash before it leaves rows whose files are put back
        aside = spool.set_study_aside(study_instance_uid)
    removed = {Path(row.path) for row in rows}
    if aside is not None:
        spool.put_back(aside, lambda place: place not in removed)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.sop_class_uid] = counts.get(row.sop_class_uid, 0) + 1
    sample = next(iter(aside.glob(f"*/*{OBJECT_SUFFIX}")), None) if aside is not None else None
    return RemovedStudy(
        study_instance_uid=study_instance_uid,
        instances=counts,
        sample=sample,
    )


def recover_trash(engine: Engine, spool: Spool) -> int:
    """Put back files that a crash left aside and whose rows are still there; remove the others.

    Returns
    -------
    int
        How many were put back.
    """
    with reading(engine) as session:

        def is_recorded(place: Path) -> bool:
            query = select(InstanceRow.instance_id).where(InstanceRow.path == str(place))
            uid = place.name.removesuffix(OBJECT_SUFFIX)
            return session.scalar(query.where(InstanceRow.sop_instance_uid == uid)) is not None

        count = sum(spool.put_back(aside, is_recorded) for aside in spool.set_aside_folders())
    spool.empty_trash()
    return count


def note_deletion(
    engine: Engine, *, kind: str, name: str, reason: str, objects: int, size_bytes: int
) -> None:
    """Record that something was removed."""
    values = {"kind": kind, "name": name, "reason": reason, "objects": objects}
    with writing(engine) as session:
        session.execute(insert(DeletionRow).values(at=utc_now(), size_bytes=size_bytes, **values))


def forget_quarantined(
    engine: Engine, paths: Sequence[Path], *, sizes: Iterable[int], reason: str
) -> None:
    """Remove the rows of refused objects whose files are gone, and record it."""
    now = utc_now()
    with writing(engine) as session:
        for path, size in zip(paths, sizes, strict=True):
            session.execute(delete(QuarantinedRow).where(QuarantinedRow.path == str(path)))
            session.execute(
                insert(DeletionRow).values(
                    at=now,
                    kind="quarantined",
                    name=path.name,
                    reason=reason,
                    objects=1,
                    size_bytes=size,
                )
            )


def latest_deletions(engine: Engine, limit: int = 100) -> list[Deletion]:
    """Return what was removed, latest first."""
    query = select(DeletionRow).order_by(DeletionRow.deletion_id.desc()).limit(limit)
    with reading(engine) as session:
        return [
            Deletion(
                at=row.at,
                kind=row.kind,
                name=row.name,
                reason=row.reason,
                objects=row.objects,
                size_bytes=row.size_bytes,
            )
            for row in session.scalars(query)
        ]


def count_deletions(engine: Engine) -> dict[tuple[str, str], tuple[int, int]]:
    """Return number and bytes of all removals, by kind and reason."""
    query = select(
        DeletionRow.kind,
        DeletionRow.reason,
        func.count(),
        func.coalesce(func.sum(DeletionRow.size_bytes), 0),
    ).group_by(DeletionRow.kind, DeletionRow.reason)
    with reading(engine) as session:
        return {(kind, reason): (n, int(size)) for kind, reason, n, size in session.execute(query)}
