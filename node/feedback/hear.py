"""One object and one result: what the object says of it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any

from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from node.assemble.headers import group_headers, read_header
from node.assemble.own import is_own
from node.assemble.prompts import LABEL_MAP_STORAGE
from node.dicom.damage import DAMAGED
from node.dicom.references import references_of
from node.domain.errors import InputRejected, TryLater
from node.domain.feedback import (
    RETENTION_EXPIRED,
    FeedbackKind,
    FeedbackSource,
    Opinion,
    Voice,
)
from node.domain.report import EvidenceKind
from node.domain.study import InstanceRef
from node.feedback.documents import read_assessments, read_rejection
from node.feedback.outlines import OwnOutlines, compare_outlines, read_own_outlines
from node.feedback.own_results import OwnLesion, OwnResult
from node.feedback.regions import DrawnRegion, read_segments, read_structures
from node.feedback.voices import author_of, said_at, voice_of_document


class Outcome(StrEnum):
    """What an object is to a result."""

    OPINION = "opinion"
    OWN = "own"  # made by a node of this kind
    PROMPT = "prompt"  # it was what the analysis began with
    UNRELATED = "unrelated"  # refers to nothing of ours, and lies in another frame of reference
    SILENT = "silent"  # says nothing of a lesion of ours
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was heard.

    Parameters
    ----------
    outcome : Outcome
    opinions : tuple of Opinion
        Some only where the outcome is OPINION.
    fault : str
        Kind of damage of an unreadable object; never text of the object.
    """

    outcome: Outcome
    opinions: tuple[Opinion, ...] = ()
    fault: str = ""


def hear(
    instance: InstanceRef,
    result: OwnResult,
    *,
    device_uids: Collection[str],
    received_at: datetime,
) -> Heard:
    """Read what an object says of a result of the same study.

    Parameters
    ----------
    instance : InstanceRef
        Of one of ``SOURCES``.
    result : OwnResult
    device_uids : collection of str
        Of the models of this node, see ``node.assemble.own.is_own``.
    received_at : datetime
        Aware; the opinion is as old as this where the object does not tell.

    Raises
    ------
    TryLater
        If the file cannot be read for now.
    """
    if instance.sop_instance_uid in result.objects:
        return Heard(outcome=Outcome.OWN)
    try:
        return _read(instance, result, device_uids=device_uids, received_at=received_at)
    except InputRejected as rejected:
        return Heard(outcome=Outcome.UNREADABLE, fault=rejected.problems[0].code)
    except FileNotFoundError:
        return Heard(outcome=Outcome.UNREADABLE, fault="purged")
    except DAMAGED as fault:
        # one without a number comes from pydicom: the machine is well, the object is not
        if isinstance(fault, OSError) and fault.errno is not None:
            raise TryLater(f"{instance.path.name}: {fault.strerror}") from fault
        return Heard(outcome=Outcome.UNREADABLE, fault=type(fault).__name__)


def _read(
    instance: InstanceRef,
    result: OwnResult,
    *,
    device_uids: Collection[str],
    received_at: datetime,
) -> Heard:
    header = read_header(instance)
    (series,) = group_headers([header]).series
    if is_own(series, device_uids):
        return Heard(outcome=Outcome.OWN)
    if header.study_instance_uid != result.study_instance_uid:
        return Heard(outcome=Outcome.UNRELATED)
    dataset = dcmread(instance.path)
    references = references_of(dataset)
    refers = not references.isdisjoint(result.objects)
    if instance.sop_instance_uid in result.prompts and not refers:
        return Heard(outcome=Outcome.PROMPT)
    source, read = SOURCES[instance.sop_class_uid]
    common = partial(
        Opinion,
        source=source,
        study_instance_uid=result.study_instance_uid,
        job_id=result.job_id,
        bundle=result.bundle,
        bundle_digest=result.bundle_digest,
        author=author_of(dataset),
        at=said_at(dataset, otherwise=received_at),
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
    )
    found = read(dataset, result, references, common)
    if found is None:
        return Heard(outcome=Outcome.UNRELATED)
    opinions = tuple(found)
    return Heard(outcome=Outcome.OPINION if opinions else Outcome.SILENT, opinions=opinions)


Common = Callable[..., Opinion]
Said = Iterable[Opinion] | None
"""None where an object has nothing to do with the result."""


def _read_seg(
    dataset: Dataset, result: OwnResult, references: frozenset[str], common: Common
) -> Said:
    frame_uid = str(dataset.get("FrameOfReferenceUID") or "")
    if frame_uid not in result.frame_of_reference_uids:
        return None
    outlines = read_own_outlines(result)
    known = {lesion.tracking_uid for lesion in result.lesions}
    regions = list(read_segments(dataset, known))
    return _outline_opinions(regions, outlines, result, references, common)


def _read_rtstruct(
    dataset: Dataset, result: OwnResult, references: frozenset[str], common: Common
) -> Said:
    outlines = read_own_outlines(result)
    lattice = None if outlines is None else outlines.lattice
    regions = [
        region
        for region in read_structures(dataset, lattice)
        if region.frame_of_reference_uid in result.frame_of_reference_uids
    ]
    if not regions:
        return None
    return _outline_opinions(regions, outlines, result, references, common)


def _outline_opinions(
    regions: list[DrawnRegion],
    outlines: OwnOutlines | None,
    result: OwnResult,
    references: frozenset[str],
    common: Common,
) -> Iterable[Opinion]:
    for each in compare_outlines(
        regions,
        result,
        outlines,
        refers_to_result=not references.isdisjoint(result.objects),
    ):
        said_by = partial(common, author=each.author) if each.author else common
        yield said_by(
            kind=FeedbackKind.CORRECTED_MASK,
            voice=each.voice,
            tracking_uid=each.lesion.tracking_uid if each.lesion else None,
            malignancy_probability=each.lesion.malignancy_probability if each.lesion else None,
            region=each.region,
            outline=each.agreement,
            result_sop_instance_uid=result.seg_uid,
        )
        if each.lesion is not None and each.assessment:
            yield _assess(said_by, result, each.lesion, each.assessment, each.voice)


def _read_report(
    dataset: Dataset, result: OwnResult, references: frozenset[str], common: Common
) -> Said:
    assessed = read_assessments(dataset, result)
    if not assessed and references.isdisjoint(result.objects):
        return None
    return [
        _assess(common, result, each.lesion, each.assessment, voice_of_document(dataset))
        for each in assessed
    ]


def _assess(
    common: Common, result: OwnResult, lesion: OwnLesion, assessment: str, voice: Voice
) -> Opinion:
    agrees = assessment == lesion.assessment
    return common(
        kind=FeedbackKind.AGREE if agrees else FeedbackKind.CORRECTED_CLASS,
        voice=voice,
        tracking_uid=lesion.tracking_uid,
        class_before=lesion.assessment,
        class_after=assessment,
        malignancy_probability=lesion.malignancy_probability,
        result_sop_instance_uid=next(
            (uid for uid, kind in result.objects.items() if kind == EvidenceKind.SR.value), ""
        ),
    )


def _read_note(
    dataset: Dataset, result: OwnResult, references: frozenset[str], common: Common
) -> Said:
    rejected = sorted(references & set(result.objects))
    if not rejected:
        return None
    reason = read_rejection(dataset)
    if reason is None:
        return ()
    return [
        common(
            kind=FeedbackKind.REJECTION,
            # a policy of the archive is no opinion of a person
            voice=Voice.ALGORITHM if reason is RETENTION_EXPIRED else voice_of_document(dataset),
            comment=str(reason),
            result_sop_instance_uid=each,
        )
        for each in rejected
    ]


SOURCES: Mapping[
    str, tuple[FeedbackSource, Callable[[Dataset, OwnResult, frozenset[str], Any], Said]]
]
SOURCES = MappingProxyType(
    {
        uid.SegmentationStorage: (FeedbackSource.SEG, _read_seg),
        LABEL_MAP_STORAGE: (FeedbackSource.SEG, _read_seg),
        uid.RTStructureSetStorage: (FeedbackSource.RTSTRUCT, _read_rtstruct),
        uid.EnhancedSRStorage: (FeedbackSource.SR, _read_report),
        uid.ComprehensiveSRStorage: (FeedbackSource.SR, _read_report),
        uid.Comprehensive3DSRStorage: (FeedbackSource.SR, _read_report),
        uid.ExtensibleSRStorage: (FeedbackSource.SR, _read_report),
        uid.KeyObjectSelectionDocumentStorage: (FeedbackSource.KOS, _read_note),
    }
)
"""SOP class -> what it is called, and what reads its opinions."""
