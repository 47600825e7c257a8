"""What structured reports say of lesions, and what rejection notes reject.

References
----------
PS3.16 TID 1500, 1411 (measurement groups), TID 2010 (Key Object Selection), CID 7011 (Rejected for
Quality Reasons and others); IHE RAD TF-3 4.66 (Imaging Object Change Management).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.dataset import Dataset

from node.dicom.limits import MAXIMUM_CONTENT_ITEMS
from node.domain.code import Code
from node.domain.feedback import RETENTION_EXPIRED
from node.domain.finding import BENIGN, INDETERMINATE, MALIGNANT
from node.feedback.own_results import OwnLesion, OwnResult
from node.feedback.voices import code_of

MEASUREMENT_GROUP = ("125007", "DCM")
TRACKING_UID = ("112040", "DCM")
ASSESSMENTS: Mapping[tuple[str, str], str] = MappingProxyType(
    {(code.value, code.scheme): code.meaning for code in (MALIGNANT, BENIGN, INDETERMINATE)}
)
"""Code of an assessment -> its meaning, as ``result.json`` has it."""

REJECTIONS: Mapping[tuple[str, str], Code] = MappingProxyType(
    {
        (code.value, code.scheme): code
        for code in (
            Code(value="113001", scheme="DCM", meaning="Rejected for Quality Reasons"),
            Code(value="113037", scheme="DCM", meaning="Rejected for Patient Safety Reasons"),
            Code(value="113038", scheme="DCM", meaning="Incorrect Modality Worklist Entry"),
            RETENTION_EXPIRED,
        )
    }
)
"""Titles of Key Object Selections that take objects back."""


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """What a report says of one lesion of a result."""

    lesion: OwnLesion
    assessment: str


def read_assessments(dataset: Dataset, result: OwnResult) -> tuple[Assessed, ...]:
    """Return what the measurement groups of a report say of the lesions of a result.

    A group is about a lesion by its Tracking UID, else by the segment that it refers to. Of
    several assessments of a lesion the last one counts.

    Raises
    ------
    ValueError
        The report has too many content items.
    """
    found: dict[int, Assessed] = {}
    for group in _groups(dataset):
        lesion = _lesion_of(group, result)
        told = [
            ASSESSMENTS[value]
            for item in group
            for value in (code_of(item.get("ConceptCodeSequence")),)
            if value in ASSESSMENTS
        ]
        if lesion is not None and told:
            found[lesion.number] = Assessed(lesion=lesion, assessment=told[-1])
    return tuple(found.values())


def read_rejection(dataset: Dataset) -> Code | None:
    """Return why a Key Object Selection rejects what it refers to; None if it does not."""
    return REJECTIONS.get(code_of(dataset.get("ConceptNameCodeSequence")))


def _groups(dataset: Dataset) -> Iterator[list[Dataset]]:
    """Yield all items within each measurement group."""
    groups: list[list[Dataset]] = []
    waiting: list[tuple[Dataset, list[Dataset] | None]] = [(dataset, None)]
    for _ in range(MAXIMUM_CONTENT_ITEMS):
        if not waiting:
            break
        item, group = waiting.pop()
        if group is not None:
            group.append(item)
        elif code_of(item.get("ConceptNameCodeSequence")) == MEASUREMENT_GROUP:
            group = []
            groups.append(group)
        waiting += [(child, group) for child in reversed(item.get("ContentSequence") or [])]
    else:
        raise ValueError(f"more than {MAXIMUM_CONTENT_ITEMS} content items")
    yield from groups


def _lesion_of(group: list[Dataset], result: OwnResult) -> OwnLesion | None:
    for item in group:
        if code_of(item.get("ConceptNameCodeSequence")) == TRACKING_UID:
            lesion = result.lesion_of(tracking_uid=str(item.get("UID") or "-"))
            if lesion is not None:
                return lesion
    for item in group:
        for reference in item.get("ReferencedSOPSequence") or ():
            if str(reference.get("ReferencedSOPInstanceUID") or "") != result.seg_uid:
                continue
            number = reference.get("ReferencedSegmentNumber")
            if isinstance(number, int):  # several would be about no single lesion
                return result.lesion_of(number=number)
    return None
