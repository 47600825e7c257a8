"""A result of this node, as far as opinions can be about it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.domain.report import EvidenceKind
from node.jobs.job import Delivery, Job

NOT_ASSESSED = "Not assessed"


@dataclass(frozen=True, kw_only=True)
class OwnLesion:
    """A lesion of a result.

    Parameters
    ----------
    number : int
        Segment number in the SEG.
    tracking_uid : str
    assessment : str
        In the words of the SR's code; empty from a bundle without classifier.
    malignancy_probability : float or None
    """

    number: int
    tracking_uid: str
    assessment: str = ""
    malignancy_probability: float | None = None


@dataclass(frozen=True, kw_only=True)
class OwnResult:
    """What one job has made.

    Parameters
    ----------
    job_id, study_instance_uid, bundle, bundle_digest : str
    objects : mapping of str to str
        SOP Instance UID -> kind, of every object made of it, also those that stand in for others.
    seg_uid : str
        SOP Instance UID of the segmentation; empty if nothing was found.
    seg_path : Path or None
        Its file; None if there is none any more.
    frame_of_reference_uids : frozenset of str
        Of the images that were analysed.
    prompts : frozenset of str
        SOP Instance UIDs of the objects that had pointed at the lesions.
    lesions : tuple of OwnLesion
    """

    job_id: str
    study_instance_uid: str
    bundle: str
    objects: Mapping[str, str]
    bundle_digest: str = ""
    seg_uid: str = ""
    seg_path: Path | None = None
    frame_of_reference_uids: frozenset[str] = frozenset()
    prompts: frozenset[str] = frozenset()
    lesions: tuple[OwnLesion, ...] = ()

    def lesion_of(self, *, tracking_uid: str = "", number: int | None = None) -> OwnLesion | None:
        """Return the lesion of a Tracking UID, or else of a segment number."""
        for lesion in self.lesions:
            if lesion.tracking_uid == tracking_uid or (
                not tracking_uid and lesion.number == number
            ):
                return lesion
        return None


def read_own_result(
    job: Job, deliveries: Sequence[Delivery], frame_of_reference_uids: Collection[str]
) -> OwnResult | None:
    """Return the result of a job; None where it has made nothing.

    Parameters
    ----------
    job : Job
    deliveries : sequence of Delivery
        Of the job: they know where its files are, and what stands in for what.
    frame_of_reference_uids : collection of str
        Of the images that were analysed.
    """
    result: Mapping[str, Any] = job.result
    evidence = [item for item in result.get("evidence", ()) if item.get("sop_instance_uid")]
    objects = {item["sop_instance_uid"]: item["kind"] for item in evidence}
    objects |= {each.sop_instance_uid: each.kind for each in deliveries}
    if not objects:
        return None
    paths = {each.sop_instance_uid: each.path for each in deliveries}
    seg_uid = next((uid for uid, kind in objects.items() if kind == EvidenceKind.SEG.value), "")
    seg_path = paths.get(seg_uid)
    return OwnResult(
        job_id=job.job_id,
        study_instance_uid=job.study_instance_uid,
        bundle=job.bundle,
        bundle_digest=result.get("bundle", {}).get("digest", ""),
        objects=objects,
        seg_uid=seg_uid,
        seg_path=seg_path if seg_path is not None and seg_path.is_file() else None,
        frame_of_reference_uids=frozenset(frame_of_reference_uids) - {""},
        prompts=frozenset(item["sop_instance_uid"] for item in result.get("prompts", ())) - {""},
        lesions=tuple(_lesion(item) for item in result.get("lesions", ())),
    )


def _lesion(entry: Mapping[str, Any]) -> OwnLesion:
    assessment = str(entry.get("assessment", ""))
    return OwnLesion(
        number=int(entry["number"]),
        tracking_uid=str(entry["tracking_uid"]),
        assessment="" if assessment == NOT_ASSESSED else assessment,
        malignancy_probability=entry.get("malignancy_probability"),
    )
