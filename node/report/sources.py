"""Headers of the source series, made fit for the objects that are derived from them."""

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from node.report.fault import ReportFault
from node.report.uids import derive_uid

IDENTITY_KEYWORDS = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)

# Type 2 in the source's modules, but senders leave them out, and highdicom reads them blindly.
NEEDED_KEYWORDS = (*IDENTITY_KEYWORDS, "SliceThickness")

# Values that are not of the form which the standard asks for stop highdicom; the original is put
# back into the result by ``copy_identity``, since results must say what their source says.
VALUE_PATTERNS = {
    "PatientBirthDate": r"\d{8}",
    "PatientSex": r"[MFO]",
    "StudyDate": r"\d{8}",
    "StudyTime": r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?",
}


def read_sources(paths: Sequence[Path], source_uids: Sequence[str]) -> tuple[Dataset, ...]:
    """Read the headers of the instances that a volume was made from.

    Parameters
    ----------
    paths : sequence of Path
        Files of the series, in any order; more than needed is fine.
    source_uids : sequence of str
        SOP Instance UID of the source of each slice.

    Returns
    -------
    tuple of Dataset
        One for each distinct UID, in the order in which the slices name them, without pixels.

    Raises
    ------
    ReportFault
        If a file of a slice is missing.
    """
    wanted = dict.fromkeys(source_uids)
    found: dict[str, Dataset] = {}
    for path in paths:
        header = dcmread(path, stop_before_pixels=True)
        uid = str(header.SOPInstanceUID)
        if uid in wanted:
            found[uid] = header
    missing = [uid for uid in wanted if uid not in found]
    if missing:
        raise ReportFault(f"no file holds the source of {len(missing)} slices, e.g. {missing[0]}")
    return tuple(found[uid] for uid in wanted)


METHOD_NOT_TOLD = "Not told by the source images"


def complete_headers(sources: Sequence[Dataset]) -> tuple[Dataset, ...]:
    """Return headers that have every attribute which a derived object needs.

    Empty values stand for missing type 2 attributes. Series without a frame of reference get one
    that is derived from their UID: SEG demands it, and no other series can claim it by chance.
    """
    # Identity is read from the first header only; the others are copied where they need a change.
    return (_complete(sources[0]), *(_place(source) for source in sources[1:]))


def is_multi_frame(source: Dataset) -> bool:
    """Tell whether the object is an Enhanced one, with functional groups for each frame."""
    return "PerFrameFunctionalGroupsSequence" in source


def copy_identity(derived: Dataset, source: Dataset) -> None:
    """Copy who, where and in which character set, exactly as the source has it.

    Parameters
    ----------
    derived : Dataset
        Changed in place.
    source : Dataset
        Header as it was read; body part and laterality are copied where it has them, so that
        viewers and ``dcentvfy`` find one story in all series of the study.
    """
    if source.get("SpecificCharacterSet"):
        derived["SpecificCharacterSet"] = source["SpecificCharacterSet"]
    for keyword in IDENTITY_KEYWORDS:
        if keyword in source:
            derived[keyword] = source[keyword]
    for keyword in ("BodyPartExamined", "Laterality"):
        if source.get(keyword):
            derived[keyword] = source[keyword]


def content_moment(source: Dataset) -> tuple[str, str]:
    """Date and time that stand for the content of every result of this source.

    The moment of the run would give two runs of one study different bytes under one UID, and the
    archive keeps whichever came first. So results carry the moment of the images that they speak
    about; when the node computed them is kept in its ledger, not in the objects.

    Returns
    -------
    tuple of str
        DICOM date and time. A source without any date gives the first day of 1900: DICOM asks
        for a date here, and one that nobody can believe is better than one that is invented.
    """
    for event in ("Acquisition", "Content", "Series", "Study"):
        date = str(source.get(f"{event}Date") or "")
        if re.fullmatch(VALUE_PATTERNS["StudyDate"], date):
            time = str(source.get(f"{event}Time") or "")
            known = re.fullmatch(VALUE_PATTERNS["StudyTime"], time)
            return date, time if known else "000000"
    return "19000101", "000000"


def _complete(source: Dataset) -> Dataset:
    completed = copy.deepcopy(_place(source))
    for keyword in NEEDED_KEYWORDS:
        if keyword not in completed:
            setattr(completed, keyword, None)
    for keyword, pattern in VALUE_PATTERNS.items():
        if not _matches(completed.get(keyword), pattern):
            setattr(completed, keyword, None)
    # DICOM asks for the method where identity was removed; public sets often leave it out.
    told = ("DeidentificationMethod", "DeidentificationMethodCodeSequence")
    if completed.get("PatientIdentityRemoved") == "YES" and not any(map(completed.get, told)):
        completed.DeidentificationMethod = METHOD_NOT_TOLD
    return completed


def _place(source: Dataset) -> Dataset:
    if source.get("FrameOfReferenceUID"):
        return source
    placed = copy.deepcopy(source)
    placed.FrameOfReferenceUID = derive_uid(
        "frame-of-reference", str(source.get("SeriesInstanceUID", ""))
    )
    return placed


def _matches(value: Any, pattern: str) -> bool:
    return value is not None and re.fullmatch(pattern, str(value)) is not None
