"""Which objects were read for what they say of which result: each pair once."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, exists, select, union

from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.instances import ReceivedInstance, received_of_row
from node.storage.tables import HeardObjectRow, InstanceRow, JobRow, StudyRow


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An object that may say something of a result, and when it was received."""

    received: ReceivedInstance
    received_at: datetime


class HeardObjects:
    """The record of what was read.

    Parameters
    ----------
    engine : Engine
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def studies_since(self, moment: datetime, sop_class_uids: Collection[str]) -> tuple[str, ...]:
        """Return the studies of which an object came, or a job changed, since a moment.

        Only those with a received object of some classes: most studies have none.
        """
        classes = sorted(sop_class_uids)
        # Asked study by study: few have changed, and all instances are many.
        query = union(
            *(
                select(row.study_instance_uid).where(
                    changed >= moment,
                    exists().where(
                        InstanceRow.study_instance_uid == row.study_instance_uid,
                        InstanceRow.sop_class_uid.in_(classes),
                    ),
                )
                for row, changed in (
                    (StudyRow, StudyRow.last_received_at),
                    (JobRow, JobRow.updated_at),
                )
            )
        )
        with reading(self._engine) as session:
            return tuple(sorted(session.scalars(query)))

    def candidates(
        self, study_instance_uid: str, sop_class_uids: Collection[str]
    ) -> tuple[Candidate, ...]:
        """Return the received objects of a study of some classes, in the order of receipt."""
        query = (
            select(InstanceRow)
            .where(
                InstanceRow.study_instance_uid == study_instance_uid,
                InstanceRow.sop_class_uid.in_(sorted(sop_class_uids)),
            )
            .order_by(InstanceRow.instance_id)
        )
        with reading(self._engine) as session:
            return tuple(
                Candidate(received=received_of_row(row), received_at=row.received_at)
                for row in session.scalars(query)
            )

    def heard(self, study_instance_uid: str) -> frozenset[tuple[str, str]]:
        """Return the pairs of SOP Instance UID and job that were read."""
        query = select(HeardObjectRow.sop_instance_uid, HeardObjectRow.job_id).where(
            HeardObjectRow.study_instance_uid == study_instance_uid
        )
        with reading(self._engine) as session:
            return frozenset((uid, job_id) for uid, job_id in session.execute(query))

    def note(
        self, *, study_instance_uid: str, sop_instance_uid: str, job_id: str, outcome: str
    ) -> None:
        """Note that a pair was read, and what came of it."""
        row = HeardObjectRow(
            study_instance_uid=study_instance_uid,
            sop_instance_uid=sop_instance_uid,
            job_id=job_id,
            outcome=outcome,
            heard_at=self._now(),
        )
        with writing(self._engine) as session:
            session.merge(row)
