"""A structured report that a node of this kind made before, read back.

References
----------
PS3.16 TID 1500, 1411 and 1501; what is read is what ``node.report`` writes.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from node.assemble.headers import group_headers, read_header
from node.assemble.own import is_own
from node.assemble.validate import SOP_CLASSES
from node.dicom.damage import DAMAGED
from node.dicom.patient import StudyIdentity, read_identity
from node.domain.errors import InputRejected
from node.domain.geometry import Vector
from node.domain.intake import DocumentRef

SR_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced
        "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive
        "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D
    }
)
MEASUREMENTS, GROUP = "126010", "125007"
TRACKING_ID, TRACKING_UID = "112039", "112040"
VOLUME, LONG_AXIS = "118565006", "103339001"
SEGMENT, SOURCE_SERIES = "121191", "121232"
VERSION, PARAMETERS = "111003", "111002"
PRESENCE = "PRESENCE"
UNDETERMINED = "373068000"
EARLIER_VOLUME, EARLIER_LONG_AXIS = "EARLIER_VOLUME", "EARLIER_LONG_AX"
PREDECESSOR = "PREDECESSOR_UID"
PLACE = ("PLACE_X", "PLACE_Y", "PLACE_Z")
_EVIDENCE = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")


@dataclass(frozen=True, kw_only=True)
class ReportedLesion:
    """A lesion as the report has it; no segment where none is referred to.

    Parameters
    ----------
    tracking_id, tracking_uid : str
    volume_ml, long_axis_mm : float
    segment_number : int or None
    segmentation : DocumentRef or None
        The SEG of that segment.
    series_instance_uid : str
        Of the images of the segment; empty where it does not say.
    predecessors : frozenset of str
        Tracking UIDs of earlier lesions that it is a part of, or that have grown into it.
    place_lps_mm : tuple of float or None
        Where the middle of a lesion outside the images lies in their frame of reference.
    """

    tracking_id: str
    tracking_uid: str
    volume_ml: float
    long_axis_mm: float
    segment_number: int | None
    segmentation: DocumentRef | None
    series_instance_uid: str
    predecessors: frozenset[str]
    place_lps_mm: Vector | None


@dataclass(frozen=True, kw_only=True)
class EarlierReport:
    """What an earlier report says.

    Parameters
    ----------
    identity : StudyIdentity
        Whom it is about.
    study_date : date or None
    document : DocumentRef
    segmentation : DocumentRef or None
        The SEG that its lesions refer to.
    series_instance_uid : str
        Of the images; empty where it does not say.
    bundle, version, digest : str
        Of the model.
    lesions : tuple of ReportedLesion
    vanished : frozenset of str
        Tracking UIDs of lesions that were there before and are no more.
    unseen : tuple of ReportedLesion
        Lesions that were there before and lie outside the images, with their sizes as last seen.
    tracking_ids : frozenset of str
        Of all lesions that it names.
    replaces : frozenset of str
        SOP Instance UIDs of the reports that it takes the place of.
    """

    identity: StudyIdentity
    study_date: date | None
    document: DocumentRef
    segmentation: DocumentRef | None
    series_instance_uid: str
    bundle: str
    version: str
    digest: str
    lesions: tuple[ReportedLesion, ...]
    vanished: frozenset[str]
    unseen: tuple[ReportedLesion, ...]
    tracking_ids: frozenset[str]
    replaces: frozenset[str]


def read_earlier_report(path: Path, device_uids: Collection[str] = ()) -> EarlierReport | None:
    """Read a report; None if no node of this kind made it, or it is damaged.

    Parameters
    ----------
    path : Path
    device_uids : collection of str
        Of the models of this node, see ``node.assemble.own``.
    """
    try:
        header = read_header(path)
        (series,) = group_headers([header]).series
        if header.instance.sop_class_uid not in SR_CLASSES or not is_own(series, device_uids):
            return None
        return _read(dcmread(path), read_identity(path))
    except (*DAMAGED, InputRejected):
        return None


def parse_date(text: str) -> date | None:
    """Read a DICOM date; None if it is none."""
    if not re.fullmatch(r"\d{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _read(dataset: Dataset, identity: StudyIdentity) -> EarlierReport | None:
    groups = [
        group
        for container in _children(dataset, MEASUREMENTS)
        for group in _children(container, GROUP)
    ]
    named = dict(
        str(item.TextValue).split("=", 1)
        for group in groups
        for item in _children(group, PARAMETERS)
        if "=" in str(item.TextValue)
    )
    if "bundle" not in named:
        return None
    evidence = list(_evidence(dataset))
    lesions = _lesions([group for group in groups if not _presence(group)], evidence)
    unseen = [group for group in groups if _presence(group) == UNDETERMINED]
    told = [lesion.series_instance_uid for lesion in lesions if lesion.series_instance_uid]
    images = [each.series_instance_uid for each in evidence if each.sop_class_uid in SOP_CLASSES]
    return EarlierReport(
        identity=identity,
        study_date=parse_date(identity.study_date),
        document=_document(dataset),
        segmentation=next((each.segmentation for each in lesions if each.segmentation), None),
        series_instance_uid=next(iter([*told, *images]), ""),
        bundle=named["bundle"],
        version=next((str(i.TextValue) for g in groups for i in _children(g, VERSION)), ""),
        digest=named.get("sha256", ""),
        lesions=lesions,
        vanished=frozenset(
            str(item.UID)
            for group in groups
            if _presence(group) not in ("", UNDETERMINED)
            for item in _children(group, TRACKING_UID)
        ),
        unseen=tuple(
            lesion
            for lesion in _lesions(unseen, evidence, EARLIER_VOLUME, EARLIER_LONG_AXIS)
            if lesion.place_lps_mm is not None
        ),
        tracking_ids=frozenset(
            str(item.TextValue) for group in groups for item in _children(group, TRACKING_ID)
        ),
        replaces=frozenset(
            str(item.ReferencedSOPInstanceUID)
            for study in dataset.get("PredecessorDocumentsSequence") or ()
            for series in study.ReferencedSeriesSequence
            for item in series.ReferencedSOPSequence
        ),
    )


def _children(item: Dataset, code: str) -> list[Dataset]:
    """Content items directly below one, by the value of their concept name."""
    return [
        child
        for child in item.get("ContentSequence") or ()
        if child.get("ConceptNameCodeSequence")
        and str(child.ConceptNameCodeSequence[0].get("CodeValue")) == code
    ]


def _presence(group: Dataset) -> str:
    """Return the code that says whether a lesion is there; empty for one that was measured."""
    told = _children(group, PRESENCE)
    return str(told[0].ConceptCodeSequence[0].CodeValue) if told else ""


def _lesions(
    groups: Sequence[Dataset],
    evidence: Sequence[DocumentRef],
    volume: str = VOLUME,
    long_axis: str = LONG_AXIS,
) -> tuple[ReportedLesion, ...]:
    """Lesions of groups that have a Tracking UID and both sizes, under these codes."""
    documents = {each.sop_instance_uid: each for each in evidence}
    found = (_lesion(group, documents, volume, long_axis) for group in groups)
    return tuple(lesion for lesion in found if lesion is not None)


def _lesion(
    group: Dataset, documents: Mapping[str, DocumentRef], volume: str, long_axis: str
) -> ReportedLesion | None:
    numbers = {}
    for code in (volume, long_axis, *PLACE):
        for item in _children(group, code)[:1]:
            numbers[code] = float(item.MeasuredValueSequence[0].NumericValue)
    uids = _children(group, TRACKING_UID)
    if not {volume, long_axis} <= set(numbers) or not uids:
        return None
    if (
        not all(map(math.isfinite, numbers.values()))
        or min(numbers[volume], numbers[long_axis]) < 0
    ):
        raise ValueError("a size or a place that is no finite number, or negative")
    names = _children(group, TRACKING_ID)
    segments = _children(group, SEGMENT)
    numbered = segments[0].ReferencedSOPSequence[0] if segments else Dataset()
    number = numbered.get("ReferencedSegmentNumber")
    series = [str(item.UID) for item in _children(group, SOURCE_SERIES)]
    x, y, z = (numbers.get(code) for code in PLACE)
    return ReportedLesion(
        tracking_id=str(names[0].TextValue) if names else "",
        tracking_uid=str(uids[0].UID),
        volume_ml=numbers[volume],
        long_axis_mm=numbers[long_axis],
        segment_number=None if number is None else int(number),
        segmentation=documents.get(str(numbered.get("ReferencedSOPInstanceUID"))),
        series_instance_uid=next(iter(series), ""),
        predecessors=frozenset(str(item.UID) for item in _children(group, PREDECESSOR)),
        place_lps_mm=None if x is None or y is None or z is None else (x, y, z),
    )


def _evidence(dataset: Dataset) -> Iterator[DocumentRef]:
    for keyword in _EVIDENCE:
        for study in dataset.get(keyword) or ():
            for series in study.ReferencedSeriesSequence:
                for item in series.ReferencedSOPSequence:
                    yield DocumentRef(
                        study_instance_uid=str(study.StudyInstanceUID),
                        series_instance_uid=str(series.SeriesInstanceUID),
                        sop_class_uid=str(item.ReferencedSOPClassUID),
                        sop_instance_uid=str(item.ReferencedSOPInstanceUID),
                    )


def _document(dataset: Dataset) -> DocumentRef:
    return DocumentRef(
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
    )
