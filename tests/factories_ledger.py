"""Studies and jobs in a ledger, brought to any state by the ledger's own ways."""

from pathlib import Path
from typing import Any

from pydicom.uid import CTImageStorage

from node.bootstrap.parts import Parts
from node.domain.errors import Problem
from node.domain.report import Evidence, EvidenceKind
from node.domain.study import InstanceRef
from node.jobs.job import CommitmentState, Job
from node.jobs.ledger import Ledger
from node.storage.clock import utc_now
from node.storage.database import writing
from node.storage.instances import ReceivedInstance
from node.storage.tables import CommitmentRow

OBJECT_BYTES = 1000


def add_object(parts: Parts, study: str, number: int = 1) -> Path:
    path = parts.spool.object_path(
        study_instance_uid=study,
        series_instance_uid=f"{study}.1",
        sop_instance_uid=f"{study}.1.{number}",
    )
    incoming = parts.spool.begin()
    incoming.write(bytes(OBJECT_BYTES))
    parts.spool.keep(incoming, path)
    record_object(parts, study, number, path)
    return path


def record_object(parts: Parts, study: str, number: int, path: Path) -> None:
    parts.store.record(
        ReceivedInstance(
            instance=InstanceRef(
                sop_instance_uid=f"{study}.1.{number}",
                sop_class_uid=CTImageStorage,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                path=path,
                sha256=f"{study}.{number}",
            ),
            study_instance_uid=study,
            series_instance_uid=f"{study}.1",
            modality="CT",
            calling_ae_title="CT1",
            size_bytes=OBJECT_BYTES,
        )
    )


def mark_assembled(parts: Parts, study: str) -> None:
    seen = parts.store.last_received(study)
    assert parts.store.mark_assembled(study, seen_last_received_at=seen, digest="d")


def queue_job(ledger: Ledger, study: str = "1.2", **changes: object) -> Job:
    """A job for one series of a study; ``changes`` are arguments of ``Ledger.add_job``."""
    arguments: dict[str, Any] = {
        "study_instance_uid": study,
        "series_instance_uids": [f"{study}.1"],
        "bundle": "brain",
        "rule": "r",
        "destinations": ["pacs"],
        "calling_ae_title": "MODALITY",
        "content_digest": "d",
    }
    return ledger.add_job(**(arguments | changes))


def add_job(parts: Parts, study: str, state: str) -> Job:
    """A study of one object with a job that is brought to a state by the ledger's own ways."""
    add_object(parts, study)
    if state == "rejected":
        problem = Problem(code="x", found="x", expected="y", remedy="z")
        job = parts.ledger.add_rejected(
            study_instance_uid=study,
            calling_ae_title="CT1",
            content_digest="d",
            problems=[problem],
        )
        mark_assembled(parts, study)
        return job
    job = parts.ledger.add_job(
        study_instance_uid=study,
        series_instance_uids=[f"{study}.1"],
        bundle="b",
        rule="r",
        destinations=["pacs"],
        calling_ae_title="CT1",
        content_digest="d",
    )
    mark_assembled(parts, study)
    if state == "queued":
        return job
    if state == "cancelled":
        return parts.ledger.cancel(job.job_id)
    claimed = parts.ledger.claim("w")
    assert claimed is not None
    assert claimed.job_id == job.job_id
    if state == "failed":
        parts.ledger.fail(job.job_id, "w", error="broken", retry=False)
    elif state != "running":
        finish(parts, job, state)
    return parts.ledger.get(job.job_id)


def finish(parts: Parts, job: Job, state: str) -> None:
    """End a running job with one result, and bring that to a state of its sending."""
    result = parts.spool.results_dir(job.job_id) / "seg.dcm"
    result.write_bytes(bytes(OBJECT_BYTES))
    evidence = Evidence(
        kind=EvidenceKind.SEG,
        path=result,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid=f"{job.study_instance_uid}.9",
    )
    parts.ledger.finish(job.job_id, "w", evidence=[evidence], result={})
    if state == "sending":
        return
    (delivery,) = parts.ledger.claim_deliveries("o")
    if state == "not-sent":
        parts.ledger.delivery_failed(delivery.delivery_id, "o", error="refused", retry=False)
    else:
        parts.ledger.delivery_done(delivery.delivery_id, "o")
    if state == "unproven":
        await_proof(parts, delivery.delivery_id)


def await_proof(parts: Parts, delivery_id: int) -> None:
    now = utc_now()
    with writing(parts.engine) as session:
        session.add(
            CommitmentRow(
                delivery_id=delivery_id,
                destination="pacs",
                state=CommitmentState.OVERDUE.value,
                transaction_uid="2.25.1",
                due_at=now,
                attempts=1,
                losses=0,
                accepted_at=now,
                detail="",
            )
        )
