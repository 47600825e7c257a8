"""Export of corrected outlines, wired for the command line: only a person asks for it."""

from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread

from node.assemble.headers import read_series
from node.bootstrap.auditing import open_trail, tell_export
from node.bootstrap.parts import Parts
from node.domain.errors import SetupFault
from node.domain.feedback import Feedback
from node.feedback.export import Exported, ImageSeries, Material, export_outlines
from node.jobs.job import Job
from node.jobs.open_work import OpenFile
from node.storage.clock import utc_now
from node.storage.instances import ReceivedInstance

ONLY_ROLE = "image"


def export_feedback(parts: Parts, feedback: Sequence[Feedback], out: Path) -> Exported:
    """Write what people have outlined to a folder, and tell the audit trail of it.

    Raises
    ------
    SetupFault
        See ``export_outlines``.
    """
    exported = export_outlines(
        feedback,
        out,
        material_of=lambda job_id: _material(parts, job_id),
        object_path=parts.spool.feedback_path,
        at=utc_now(),
    )
    taken = [
        OpenFile(
            path=each.instance.path,
            study_instance_uid=each.study_instance_uid,
            sop_class_uid=each.instance.sop_class_uid,
        )
        for job_id in exported.job_ids
        for each in _images(parts, parts.ledger.get(job_id))
    ]
    tell_export(open_trail(parts, "cli"), taken, out)
    return exported


def _material(parts: Parts, job_id: str) -> Material | None:
    try:
        job = parts.ledger.get(job_id)
    except KeyError:
        return None
    received = _images(parts, job)
    if {each.series_instance_uid for each in received} != {*job.series_instance_uids}:
        return None
    by_uid = {series.series_instance_uid: series for series in read_series(received).series}
    roles = _roles(parts, job.bundle, len(job.series_instance_uids))
    header = dcmread(
        received[0].instance.path, stop_before_pixels=True, specific_tags=["PatientID"]
    )
    return Material(
        patient_id=str(header.get("PatientID") or "").strip(),
        series=tuple(
            ImageSeries(
                role=role,
                description=by_uid[uid].attributes.get("SeriesDescription", ""),
                modality=by_uid[uid].modality,
                paths=tuple(instance.path for instance in by_uid[uid].instances),
            )
            for role, uid in zip(roles, job.series_instance_uids, strict=True)
        ),
        tracking_uids=tuple(item["tracking_uid"] for item in job.result.get("lesions", ())),
    )


def _images(parts: Parts, job: Job) -> list[ReceivedInstance]:
    return [
        each
        for each in parts.store.received_of(job.study_instance_uid)
        if each.series_instance_uid in job.series_instance_uids
    ]


def _roles(parts: Parts, bundle: str, count: int) -> Sequence[str]:
    """Names of the roles of a bundle; numbers where the bundle is gone or was changed."""
    try:
        names = [role.name for role in parts.models.manifest(bundle).roles] or [ONLY_ROLE]
    except SetupFault:
        names = []
    return names if len(names) == count else [f"role{k + 1}" for k in range(count)]
