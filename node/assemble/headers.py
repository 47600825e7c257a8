"""Headers of stored instances -> a Study by reference to its files."""

import errno
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from node.assemble.own import EQUIPMENT
from node.dicom.damage import DAMAGED
from node.dicom.file_limits import check_file
from node.dicom.functional_groups import PER_FRAME, SHARED, attributes_of_groups, group_of
from node.dicom.structure import StructureFault
from node.dicom.text import as_text
from node.domain.errors import InputRejected, Problem, TryLater
from node.domain.study import InstanceRef, Series, Study
from node.storage.instances import ReceivedInstance
from node.storage.spool import check_uid

IMAGE_MODALITIES = ("CT", "MR")
"""Of images that are analysed."""

ATTRIBUTES = (
    "AcquisitionNumber",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "ContrastBolusAgent",
    "ConvolutionKernel",
    "DeviceUID",
    "EchoTime",
    "FlipAngle",
    "FrameOfReferenceUID",
    "ImageOrientationPatient",
    "ImageType",
    "InversionTime",
    "KVP",
    "Laterality",
    "MRAcquisitionType",
    "NumberOfFrames",
    "Manufacturer",
    "ManufacturerModelName",
    "PixelSpacing",
    "ProtocolName",
    "RepetitionTime",
    "ScanningSequence",
    "SequenceName",
    "SequenceVariant",
    "SeriesDescription",
    "SeriesNumber",
    "SliceThickness",
    "SOPClassUID",
    "SpacingBetweenSlices",
    "StudyDescription",
)
"""Keywords that a Series carries; none of the patient's."""

_WANTED = [
    *ATTRIBUTES,
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "InstanceNumber",
    "ImagePositionPatient",
    EQUIPMENT,
    # what the attributes of Enhanced objects are taken from
    SHARED,
    PER_FRAME,
    "AnatomicRegionSequence",
    "ContrastBolusAgentSequence",
    "EchoPlanarPulseSequence",
    "EchoPulseSequence",
    # where modalities and gateways put the priority of the request
    "RequestedProcedurePriority",
    "RequestAttributesSequence",
    "StudyPriorityID",
]
Place = tuple[float, float, float]
_REQUIRED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.ESTALE})
"""Troubles of the machine, not of the file: another try may read it."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What one file says of itself.

    Parameters
    ----------
    instance : InstanceRef
    study_instance_uid, series_instance_uid, modality : str
    order : int
        InstanceNumber, 0 if there is none.
    attributes : mapping of str to str
        See ``ATTRIBUTES``; only those that have a value. Those of an Enhanced object are of its
        first frame.
    places : frozenset of tuple
        Positions of its frames.
    """

    instance: InstanceRef
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    order: int
    attributes: dict[str, str]
    places: frozenset[Place] = frozenset()


def read_header(source: Path | InstanceRef) -> Header:
    """Read one header, without pixels.

    Raises
    ------
    InputRejected
        If the file is not DICOM, is cut off in its header, is beyond the limits, or lacks an
        identifying UID; UIDs become names of files and folders, so that others are refused, too.
    TryLater
        If the machine cannot read it for now.
    """
    path = source if isinstance(source, Path) else source.path
    try:
        if isinstance(source, Path):  # what was received was checked then
            check_file(path)
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(_WANTED))
        missing = [keyword for keyword in _REQUIRED if not dataset.get(keyword)]
        if missing:
            raise InputRejected(_missing(path, keyword) for keyword in missing)
        for keyword in _REQUIRED:
            check_uid(str(dataset.get(keyword)), keyword=keyword)
        return Header(
            instance=source if isinstance(source, InstanceRef) else _refer_to(path, dataset),
            study_instance_uid=str(dataset.StudyInstanceUID),
            series_instance_uid=str(dataset.SeriesInstanceUID),
            modality=str(dataset.get("Modality") or ""),
            order=_order_of(dataset),
            attributes=attributes_of_groups(dataset)
            | _texts_of(dataset)
            | _equipment_of(dataset)
            | _priority_of(dataset),
            places=_places_of(dataset),
        )
    except DAMAGED as fault:
        if isinstance(fault, OSError) and fault.errno in _PASSING:
            raise TryLater(f"{path.name}: {fault.strerror}") from fault
        problem = Problem(
            code="unreadable-header",
            found=f"{path.name}: {_told(fault)}",
            expected="a DICOM Part 10 file, within the limits",
            remedy="send or copy the object again",
            uid=source.sop_instance_uid if isinstance(source, InstanceRef) else "",
        )
        raise InputRejected([problem]) from fault


def _told(fault: Exception) -> str:
    return fault.found if isinstance(fault, StructureFault) else type(fault).__name__


def _order_of(dataset: Dataset) -> int:
    """InstanceNumber; 0 for a damaged one, since only geometry decides about order."""
    try:
        return int(dataset.get("InstanceNumber") or 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def read_series(instances: Iterable[ReceivedInstance | InstanceRef | Path]) -> Study:
    """Read the headers of one study's instances and sort them into series.

    Parameters
    ----------
    instances : iterable of ReceivedInstance, InstanceRef or Path
        In the order of receipt. The study's calling AE title is that of the last image: a reader's
        outline that comes from elsewhere must not lead to another rule.

    Raises
    ------
    InputRejected
        If there are no instances, or headers cannot be read (every such file is listed).
    ValueError
        If the instances belong to several studies.
    """
    headers: list[Header] = []
    problems: list[Problem] = []
    sender, sender_of_images = "", ""
    for item in instances:
        source: Path | InstanceRef
        if isinstance(item, ReceivedInstance):
            source, sender = item.instance, item.calling_ae_title
            if item.modality in IMAGE_MODALITIES:
                sender_of_images = sender
        else:
            source = item
        try:
            headers.append(read_header(source))
        except InputRejected as rejected:
            problems.extend(rejected.problems)
    if not headers and not problems:
        problems.append(
            Problem(
                code="empty-study",
                found="no instance",
                expected="at least one",
                remedy="send the study again",
            )
        )
    if problems:
        raise InputRejected(problems)
    return group_headers(headers, calling_ae_title=sender_of_images or sender)


def group_headers(headers: Iterable[Header], *, calling_ae_title: str = "") -> Study:
    """Sort the headers of one study into series; series and instances in a stable order.

    Raises
    ------
    ValueError
        If the headers belong to several studies.
    """
    by_series: dict[str, list[Header]] = defaultdict(list)
    studies = set()
    for header in headers:
        by_series[header.series_instance_uid].append(header)
        studies.add(header.study_instance_uid)
    if len(studies) != 1:
        raise ValueError(f"headers of {len(studies)} studies, expected those of one")
    return Study(
        study_instance_uid=studies.pop(),
        series=tuple(_series_of(by_series[uid]) for uid in sorted(by_series)),
        calling_ae_title=calling_ae_title,
    )


def _series_of(headers: list[Header]) -> Series:
    headers = sorted(headers, key=lambda item: (item.order, item.instance.sop_instance_uid))
    first = headers[0]
    return Series(
        series_instance_uid=first.series_instance_uid,
        study_instance_uid=first.study_instance_uid,
        modality=first.modality,
        instances=tuple(header.instance for header in headers),
        attributes=first.attributes,
        places=len(frozenset[Place]().union(*(header.places for header in headers))),
    )


def _places_of(dataset: Dataset) -> frozenset[Place]:
    """Positions of all frames, rounded; damaged ones are left to the checks of the geometry."""
    frames = range(len(dataset.get(PER_FRAME) or ()))
    holders = [group_of(dataset, frame, "PlanePositionSequence") for frame in frames] or [dataset]
    places = set()
    for holder in holders:
        try:
            x, y, z = (round(float(value), 2) for value in holder.get("ImagePositionPatient") or ())
        except (TypeError, ValueError):
            continue
        places.add((x, y, z))
    return frozenset(places)


def _equipment_of(dataset: Dataset) -> dict[str, str]:
    """Names and UIDs of the devices that contributed, as one text."""
    told = [
        str(item.get(keyword))
        for item in dataset.get(EQUIPMENT) or ()
        for keyword in ("Manufacturer", "ManufacturerModelName", "DeviceUID")
        if item.get(keyword)
    ]
    return {EQUIPMENT: as_text(told)} if told else {}


def _priority_of(dataset: Dataset) -> dict[str, str]:
    """Priority of the request: by its own attribute, within the request, or the retired one."""
    requests = [dataset, *(dataset.get("RequestAttributesSequence") or ())]
    told = [request.get("RequestedProcedurePriority") for request in requests]
    for value in (*told, dataset.get("StudyPriorityID")):
        if value:
            return {"RequestedProcedurePriority": as_text(value)}
    return {}


def _texts_of(dataset: Dataset) -> dict[str, str]:
    values = {keyword: dataset.get(keyword) for keyword in ATTRIBUTES}
    return {keyword: as_text(value) for keyword, value in values.items() if value not in (None, "")}


def _refer_to(path: Path, dataset: Dataset) -> InstanceRef:
    return InstanceRef(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        transfer_syntax_uid=str(dataset.file_meta.get("TransferSyntaxUID", "")),
        path=path,
        sha256=hash_data_set(path),
    )


def hash_data_set(path: Path) -> str:
    """SHA-256 over the encoded data set, without preamble and file meta information."""
    with path.open("rb") as file:
        _skip_file_meta(file)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _skip_file_meta(file: BinaryIO) -> None:
    """Go behind the file meta group, whose length is its first element (PS3.10 7.1)."""
    file.seek(132)
    head = file.read(12)
    if head[:8] == b"\x02\x00\x00\x00UL\x04\x00":
        file.seek(int.from_bytes(head[8:], "little"), 1)
    else:
        file.seek(0)


def _missing(path: Path, keyword: str) -> Problem:
    return Problem(
        code="missing-uid",
        tag=keyword,
        found=f"none in {path.name}",
        expected="a UID",
        remedy="send the object with its identifying UIDs",
    )
