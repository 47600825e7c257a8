"""What was received, and which studies wait to be assembled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from node.domain.errors import Problem
from node.domain.study import InstanceRef
from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import InstanceRow, QuarantinedRow, StudyRow

TICK = timedelta(microseconds=1)
CHUNK = 500
"""UIDs in one query; databases have a limit of parameters."""
RACES = 3
"""How often a record may lose to another: once for the study, once for the UID, one to spare."""

# Every received object passes here: statements are built once, and the ORM is left out.
_INSTANCES = cast("Table", InstanceRow.__table__)
_STUDIES = cast("Table", StudyRow.__table__)
_DIGESTS = select(_INSTANCES.c.sop_instance_uid, _INSTANCES.c.sha256).where(
    _INSTANCES.c.sop_instance_uid.in_(bindparam("uids", expanding=True))
)
_LAST_RECEIVED = (
    select(_STUDIES.c.last_received_at)
    .where(_STUDIES.c.study_instance_uid == bindparam("study"))
    .with_for_update()
)
_MARK_DIRTY = (
    update(_STUDIES)
    .where(_STUDIES.c.study_instance_uid == bindparam("study"))
    .values(last_received_at=bindparam("at"), assembled_digest=None)
)
_ADD_STUDY = insert(_STUDIES)
_ADD_INSTANCE = insert(_INSTANCES)


@dataclass(frozen=True, kw_only=True)
class ReceivedInstance:
    """A stored object with what routing and assembly need to know of it.

    Parameters
    ----------
    instance : InstanceRef
    study_instance_uid, series_instance_uid, modality : str
        From its data set.
    calling_ae_title : str
        AE title of the sender.
    size_bytes : int
        Of the data set as received.
    """

    instance: InstanceRef
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    calling_ae_title: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class QuarantinedObject:
    """A refused object.

    Parameters
    ----------
    path : Path
        Where its bytes are kept.
    calling_ae_title : str
    status : int
        DIMSE status that the sender got.
    problems : tuple of Problem
    sop_instance_uid : str
        As the sender gave it; it may be no valid UID.
    received_at : datetime
    """

    path: Path
    calling_ae_title: str
    status: int
    problems: tuple[Problem, ...]
    sop_instance_uid: str
    received_at: datetime


class Recorded(StrEnum):
    """What became of a record."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same UID and the same bytes
    CONFLICT = "conflict"  # the same UID, other bytes


class InstanceStore:
    """The received objects of a node.

    Parameters
    ----------
    engine : Engine
        From ``open_database``.
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def record(self, received: ReceivedInstance) -> Recorded:
        """Record an object whose file is already safe, and mark its study dirty.

        A duplicate or conflict writes nothing: the first object under a UID stays.
        """
        return self.record_all([received])[0]

    def record_all(self, batch: Sequence[ReceivedInstance]) -> list[Recorded]:
        """Record several objects in one transaction, each as ``record`` does.

        Objects of many associations then share one synchronisation of the disk.
        """
        for _ in range(RACES):
            try:
                return self._record_all(batch)
            except IntegrityError:  # PostgreSQL: another association made the same row first
                continue
        return self._record_all(batch)

    def find(self, sop_instance_uid: str) -> ReceivedInstance | None:
        """Return the object of that UID, None if it was never received."""
        query = select(InstanceRow).where(InstanceRow.sop_instance_uid == sop_instance_uid)
        with reading(self._engine) as session:
            row = session.scalar(query)
            return None if row is None else received_of_row(row)

    def held_classes(self, sop_instance_uids: Sequence[str]) -> dict[str, str]:
        """Return SOP Instance UID -> SOP Class UID of those whose files are there."""
        held = {}
        for start in range(0, len(sop_instance_uids), CHUNK):
            query = select(
                InstanceRow.sop_instance_uid, InstanceRow.sop_class_uid, InstanceRow.path
            ).where(InstanceRow.sop_instance_uid.in_(sop_instance_uids[start : start + CHUNK]))
            with reading(self._engine) as session:
                rows = session.execute(query).all()
            held.update({uid: sop_class for uid, sop_class, path in rows if Path(path).is_file()})
        return held

    def quiet_studies(self, *, before: datetime) -> list[str]:
        """Return the UIDs of dirty studies whose last object came before a moment."""
        query = (
            select(StudyRow.study_instance_uid)
            .where(StudyRow.assembled_digest.is_(None), StudyRow.last_received_at < before)
            .order_by(StudyRow.last_received_at)
        )
        with reading(self._engine) as session:
            return list(session.scalars(query))

    def last_received(self, study_instance_uid: str) -> datetime:
        """Return when the last object of a study came.

        Raises
        ------
        KeyError
            Nothing of that study was received.
        """
        with reading(self._engine) as session:
            study = session.get(StudyRow, study_instance_uid)
            if study is None:
                raise KeyError(study_instance_uid)
            return study.last_received_at

    def last_sender(self, study_instance_uid: str) -> str:
        """Return the AE title that sent the last object of a study; empty if there is none."""
        query = (
            select(InstanceRow.calling_ae_title)
            .where(InstanceRow.study_instance_uid == study_instance_uid)
            .order_by(InstanceRow.instance_id.desc())
            .limit(1)
        )
        with reading(self._engine) as session:
            return session.scalar(query) or ""

    def received_of(self, study_instance_uid: str) -> tuple[ReceivedInstance, ...]:
        """Return the objects of a study in the order of their receipt."""
        query = (
            select(InstanceRow)
            .where(InstanceRow.study_instance_uid == study_instance_uid)
            .order_by(InstanceRow.instance_id)
        )
        with reading(self._engine) as session:
            return tuple(received_of_row(row) for row in session.scalars(query))

    def mark_assembled(
        self, study_instance_uid: str, *, seen_last_received_at: datetime, digest: str
    ) -> bool:
        """Mark a study clean unless something arrived since it was looked at.

        Parameters
        ----------
        study_instance_uid : str
        seen_last_received_at : datetime
            ``last_received`` as it was before the objects were read.
        digest : str
            Of what was assembled.

        Returns
        -------
        bool
            False when something arrived meanwhile: the study stays dirty.
        """
        statement = (
            update(StudyRow)
            .where(
                StudyRow.study_instance_uid == study_instance_uid,
                StudyRow.last_received_at == seen_last_received_at,
            )
            .values(assembled_digest=digest)
            .returning(StudyRow.study_instance_uid)
        )
        with writing(self._engine) as session:
            return session.scalar(statement) is not None

    def forget_study(self, study_instance_uid: str) -> None:
        """Remove the rows of a study whose files were purged; a later sending starts anew."""
        with writing(self._engine) as session:
            for table in (InstanceRow, StudyRow):
                column = table.study_instance_uid
                session.execute(delete(table).where(column == study_instance_uid))

    def quarantine(
        self,
        *,
        path: Path,
        calling_ae_title: str,
        status: int,
        problems: Sequence[Problem],
        sop_instance_uid: str = "",
    ) -> None:
        """Record a refused object whose bytes are kept in quarantine."""
        values = {
            "path": str(path),
            "calling_ae_title": calling_ae_title,
            "status": status,
            "sop_instance_uid": sop_instance_uid,
            "problems": [asdict(problem) for problem in problems],
            "received_at": self._now(),
        }
        with writing(self._engine) as session:
            session.execute(insert(QuarantinedRow).values(values))

    def quarantined(self, limit: int = 100) -> list[QuarantinedObject]:
        """Return the refused objects, latest first."""
        query = select(QuarantinedRow).order_by(QuarantinedRow.quarantined_id.desc()).limit(limit)
        with reading(self._engine) as session:
            return [_quarantined(row) for row in session.scalars(query)]

    def count_quarantined(self, *, since: datetime) -> int:
        """Return how many objects were refused since a moment."""
        query = select(func.count()).where(QuarantinedRow.received_at > since)
        with reading(self._engine) as session:
            return session.scalar(query) or 0

    def _record_all(self, batch: Sequence[ReceivedInstance]) -> list[Recorded]:
        uids = [received.instance.sop_instance_uid for received in batch]
        with writing(self._engine) as session:
            connection = session.connection()
            rows = connection.execute(_DIGESTS, {"uids": uids})
            known = {row.sop_instance_uid: row.sha256 for row in rows}
            new, outcomes = [], []
            for uid, received in zip(uids, batch, strict=True):
                sha256 = received.instance.sha256
                if uid not in known:
                    known[uid] = sha256
                    new.append(received)
                    outcomes.append(Recorded.NEW)
                else:
                    same = known[uid] == sha256
                    outcomes.append(Recorded.DUPLICATE if same else Recorded.CONFLICT)
            # in one order, or two batches could wait for each other
            received_at = {
                study: self._mark_dirty(connection, study)
                for study in sorted({received.study_instance_uid for received in new})
            }
            if new:
                columns = [
                    {**_instance_columns(each), "received_at": received_at[each.study_instance_uid]}
                    for each in new
                ]
                connection.execute(_ADD_INSTANCE, columns)
        return outcomes

    def _mark_dirty(self, connection: Connection, study_instance_uid: str) -> datetime:
        """Note an arrival at a time later than any before, so that equal times mean no change."""
        now = self._now()
        last = connection.scalar(_LAST_RECEIVED, {"study": study_instance_uid})
        if last is None:
            values = {"study_instance_uid": study_instance_uid, "last_received_at": now}
            connection.execute(_ADD_STUDY, values)
            return now
        received_at: datetime = max(now, last + TICK)
        connection.execute(_MARK_DIRTY, {"study": study_instance_uid, "at": received_at})
        return received_at


def _instance_columns(received: ReceivedInstance) -> Mapping[str, Any]:
    columns = {**vars(received), **vars(received.instance), "path": str(received.instance.path)}
    del columns["instance"]
    return columns


def received_of_row(row: InstanceRow) -> ReceivedInstance:
    """Return an object as callers see it."""
    return ReceivedInstance(
        instance=InstanceRef(
            sop_instance_uid=row.sop_instance_uid,
            sop_class_uid=row.sop_class_uid,
            transfer_syntax_uid=row.transfer_syntax_uid,
            path=Path(row.path),
            sha256=row.sha256,
        ),
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        modality=row.modality,
        calling_ae_title=row.calling_ae_title,
        size_bytes=row.size_bytes,
    )


def _quarantined(row: QuarantinedRow) -> QuarantinedObject:
    return QuarantinedObject(
        path=Path(row.path),
        calling_ae_title=row.calling_ae_title,
        status=row.status,
        problems=tuple(Problem(**problem) for problem in row.problems),
        sop_instance_uid=row.sop_instance_uid,
        received_at=row.received_at,
    )
