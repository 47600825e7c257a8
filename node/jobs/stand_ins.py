"""What is sent in the place of an object that its destination does not take."""

from collections.abc import Sequence

import structlog
from sqlalchemy import select

from node.domain.report import Evidence
from node.jobs.delivery_rows import (
    link_delivery,
    linked_jobs,
    lock_delivery,
    release,
)
from node.jobs.delivery_state import DeliveryEvent
from node.jobs.job import DeliveryState
from node.jobs.outbox import Outbox
from node.jobs.rows import locked_job
from node.jobs.state import JobState
from node.storage.database import writing
from node.storage.tables import DeliveryRow

log = structlog.get_logger()


class StandIns(Outbox):
    """Deliveries that take the place of others; see ``Outbox`` for the parameters."""

    def delivery_replaced(
        self, delivery_id: int, owner: str, *, error: str, evidence: Sequence[Evidence]
    ) -> bool:
        """Record that an object is not sent, and what stands in for it.

        Parameters
        ----------
        delivery_id : int
        owner : str
            Nothing happens while another one holds the lease.
        error : str
            Why it is not sent.
        evidence : sequence of Evidence
            May be empty: nothing stands in.

        Returns
        -------
        bool
            Whether it was replaced.
        """
        now = self._now()
        with writing(self._engine) as session:
            jobs = linked_jobs(session, delivery_id)
            row = lock_delivery(session, delivery_id)
            if row.state != DeliveryState.PENDING or row.lease_owner not in ("", owner):
                log.warning("delivery.lease_lost", delivery_id=delivery_id, owner=owner)
                return False
            release(row, DeliveryEvent.REPLACE, error=error, at=now)
            # also a job that was cancelled meanwhile: tried again it makes the same object, finds
            # it replaced, and then what stands in for it must be there
            for job in jobs:
                for item in evidence:
                    link_delivery(session, job, row.destination, item, at=now, stands_for=row)
            self._settle(session, jobs, at=now)
            return True

    def withdraw(self, sop_instance_uids: Sequence[str], *, reason: str) -> int:
        """Send rejected objects no more where they have not been accepted yet.

        Parameters
        ----------
        sop_instance_uids : sequence of str
        reason : str

        Returns
        -------
        int
            Deliveries that were withdrawn.
        """
        now = self._now()
        open_states = (DeliveryState.PENDING.value, DeliveryState.FAILED.value)
        query = select(DeliveryRow.delivery_id).where(
            DeliveryRow.sop_instance_uid.in_(sop_instance_uids), DeliveryRow.state.in_(open_states)
        )
        count = 0
        with writing(self._engine) as session:
            for delivery_id in session.scalars(query.order_by(DeliveryRow.delivery_id)).all():
                count += self._set_aside(session, delivery_id, reason, at=now)
        return count

    def tell_rejection(
        self, job_id: str, *, destinations: Sequence[str], evidence: Sequence[Evidence]
    ) -> bool:
        """Have a report sent that a job was rejected; again changes nothing.

        Returns
        -------
        bool
            Whether the job is a rejected one; of another nothing is sent.
        """
        now = self._now()
        with writing(self._engine) as session:
            job = locked_job(session, job_id)
            if job.state != JobState.REJECTED:
                return False
            for destination in destinations:
                for item in evidence:
                    link_delivery(session, job, destination, item, at=now)
            return True

    def delivery_accompanied(self, delivery_id: int, *, evidence: Sequence[Evidence]) -> None:
        """Have further objects sent beside one, to the same destination and for the same jobs."""
        now = self._now()
        with writing(self._engine) as session:
            jobs = linked_jobs(session, delivery_id)
            row = lock_delivery(session, delivery_id)
            for job in jobs:
                for item in evidence:
                    link_delivery(session, job, row.destination, item, at=now)
