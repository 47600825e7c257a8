"""Studies in a node's own storage, with results, as the page finds them."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from factories_labels import write_seg
from factories_report import SeriesOnDisk
from numpy.typing import NDArray
from pydicom import dcmread

from node.bootstrap.parts import Parts
from node.domain.report import Evidence, EvidenceKind
from node.domain.study import InstanceRef
from node.jobs.job import Job
from node.storage.instances import ReceivedInstance


def take_in(parts: Parts, paths: Sequence[Path], *, sender: str = "MR1") -> str:
    """Put files where the listener would have put them; return their Study Instance UID."""
    study = ""
    for path in paths:
        header = dcmread(path, stop_before_pixels=True)
        study = str(header.StudyInstanceUID)
        place = parts.spool.object_path(
            study_instance_uid=study,
            series_instance_uid=str(header.SeriesInstanceUID),
            sop_instance_uid=str(header.SOPInstanceUID),
        )
        content = path.read_bytes()
        incoming = parts.spool.begin()
        incoming.write(content)
        parts.spool.keep(incoming, place)
        parts.store.record(
            ReceivedInstance(
                instance=InstanceRef(
                    sop_instance_uid=str(header.SOPInstanceUID),
                    sop_class_uid=str(header.SOPClassUID),
                    transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
                    path=place,
                    sha256=sha256(content).hexdigest(),
                ),
                study_instance_uid=study,
                series_instance_uid=str(header.SeriesInstanceUID),
                modality=str(header.Modality),
                calling_ae_title=sender,
                size_bytes=len(content),
            )
        )
    return study


def finish_study(
    parts: Parts,
    series: SeriesOnDisk,
    masks: Mapping[str, NDArray[Any]],
    *,
    result: Mapping[str, Any] | None = None,
    sender: str = "MR1",
) -> Job:
    """A study that is here with its segmentation, its job being sent."""
    study = take_in(parts, series.paths, sender=sender)
    job = parts.ledger.add_job(
        study_instance_uid=study,
        series_instance_uids=[series.volume.series_instance_uid],
        bundle="brain-t1ce",
        rule="brain",
        destinations=["pacs"],
        calling_ae_title=sender,
        content_digest=series.volume.series_instance_uid,
    )
    claimed = parts.ledger.claim("w/1")
    assert claimed is not None
    folder = parts.spool.results_dir(job.job_id) / "1"
    folder.mkdir()
    evidence, listed = [], []
    if masks:
        dataset = write_seg(folder / "seg.dcm", series, masks)
        evidence = [
            Evidence(
                kind=EvidenceKind.SEG,
                path=folder / "seg.dcm",
                sop_class_uid=str(dataset.SOPClassUID),
                sop_instance_uid=str(dataset.SOPInstanceUID),
            )
        ]
        listed = [{"kind": "seg", "file": "seg.dcm"}]
    told = {"evidence": listed, "lesions": [], **(result or {})}
    parts.ledger.finish(job.job_id, "w/1", evidence=evidence, result=told)
    return parts.ledger.get(job.job_id)


def compared_with(prior: Job, *, sr_sop_instance_uid: str) -> dict[str, Any]:
    """``comparison`` of a result: lesion 1 has grown by half, another one is gone."""
    change = {
        "lesion": 1,
        "status": "matched",
        "tracking_id": "Lesion 1",
        "prior_tracking_uid": "2.25.76",
        "volume_before_ml": 1.0,
        "volume_after_ml": 1.5,
        "volume_change": 0.5,
        "doubling_time_days": 150.2,
    }
    gone = {**change, "lesion": None, "status": "vanished", "tracking_id": "Lesion 9"}
    return {
        "prior": {
            "study_instance_uid": prior.study_instance_uid,
            "sr_sop_instance_uid": sr_sop_instance_uid,
            "study_date": "2025-11-02",
        },
        "interval_days": 88,
        "changes": [change, gone],
        "total_volume_before_ml": 1.0,
        "total_volume_after_ml": 1.5,
        "total_volume_change": 0.5,
        "recist": {"category": "progressive disease", "rule": "sum grew by 20 % or more"},
        "registration": {"is_trusted": True, "reason": ""},
        "remarks": ["Compared by rigid registration."],
    }
