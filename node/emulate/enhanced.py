"""Classic slices packed into one Enhanced multi-frame object, as newer scanners send them.

The object is complete by the standard: ``dciodvfy`` finds no error in it. Values that no classic
header has (coils, table movement ...) are those of the tables beside this file.

References
----------
PS3.3 A.36 (Enhanced MR), A.38 (Enhanced CT), C.7.6.16 (functional groups), C.7.6.17 (dimensions).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from highdicom.legacy import LegacyConvertedEnhancedCTImage, LegacyConvertedEnhancedMRImage
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
)

from node.emulate.enhanced_groups import (
    CT_FRAME,
    CT_OBJECT,
    DERIVED_FRAME,
    MR_FRAME,
    MR_OBJECT,
    build,
)
from node.emulate.mr_headers import sample_uid

SPLITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "TemporalPositionIndex": ("FrameContentSequence", "TemporalPositionIndex"),
        "EffectiveEchoTime": ("MREchoSequence", "EffectiveEchoTime"),
        "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
        "NominalCardiacTriggerDelayTime": (
            "CardiacSynchronizationSequence",
            "NominalCardiacTriggerDelayTime",
        ),
    }
)
"""What may tell several volumes of one object apart: functional group, attribute."""

_COPIED = (
    "SpecificCharacterSet",
    "StudyDate",
    "SeriesDate",
    "ContentDate",
    "StudyTime",
    "SeriesTime",
    "ContentTime",
    "AccessionNumber",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "InstitutionName",
    "ReferringPhysicianName",
    "StudyDescription",
    "SeriesDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "BodyPartExamined",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "ProtocolName",
    "PatientPosition",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyID",
    "SeriesNumber",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "PixelRepresentation",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frame:
    source: Dataset
    place: int  # along the normal, from 1
    part: int  # volume, from 1


def pack_enhanced(
    volumes: Sequence[Sequence[Dataset]],
    *,
    split: str = "TemporalPositionIndex",
    values: Sequence[float] = (),
    frame_order: Sequence[int] | None = None,
) -> Dataset:
    """Pack classic slices of CT or MR into one Enhanced object.

    Parameters
    ----------
    volumes : sequence of sequence of Dataset
        Each volume's slices along the normal, with pixels; all on the same places.
    split : str
        What tells several volumes apart, one of ``SPLITS``.
    values : sequence of float
        Of that attribute, for each volume; 1, 2, ... if left out.
    frame_order : sequence of int, optional
        Which slice (from 0, over all volumes) each frame shows.
    """
    frames = [
        _Frame(source=source, place=place, part=part)
        for part, slices in enumerate(volumes, start=1)
        for place, source in enumerate(slices, start=1)
    ]
    frames = [frames[k] for k in frame_order] if frame_order is not None else frames
    told = [*values] or [*range(1, len(volumes) + 1)]
    first = volumes[0][0]
    is_ct = first.SOPClassUID == CTImageStorage
    packed = Dataset()
    for keyword in _COPIED:
        if keyword in first:
            packed[keyword] = first[keyword]
    packed.update(build(CT_OBJECT if is_ct else MR_OBJECT, first))
    packed.SOPClassUID = EnhancedCTImageStorage if is_ct else EnhancedMRImageStorage
    sources = (str(frame.source.SOPInstanceUID) for frame in frames)
    packed.SOPInstanceUID = sample_uid("enhanced", split, *map(str, told), *sources)
    packed.InstanceNumber = 1
    packed.AcquisitionDateTime = f"{first.AcquisitionDate}{first.AcquisitionTime}"
    packed.BitsStored = max(int(frame.source.BitsStored) for frame in frames)
    packed.HighBit = packed.BitsStored - 1
    packed.NumberOfFrames = len(frames)
    packed.SharedFunctionalGroupsSequence = [_shared(first, is_ct=is_ct, split=split)]
    packed.PerFrameFunctionalGroupsSequence = [
        _groups(frame, split, told, many=len(volumes) > 1) for frame in frames
    ]
    _add_dimensions(packed, split, many=len(volumes) > 1)
    packed.PixelData = b"".join(frame.source.PixelData for frame in frames)
    packed.file_meta = FileMetaDataset()
    packed.file_meta.MediaStorageSOPClassUID = packed.SOPClassUID
    packed.file_meta.MediaStorageSOPInstanceUID = packed.SOPInstanceUID
    packed.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return packed


def convert_legacy(slices: Sequence[Dataset]) -> Dataset:
    """Convert classic slices to one Legacy Converted Enhanced object, as archives do."""
    first = slices[0]
    kind = (
        LegacyConvertedEnhancedCTImage
        if first.SOPClassUID == CTImageStorage
        else LegacyConvertedEnhancedMRImage
    )
    return kind(
        legacy_datasets=[*slices],
        series_instance_uid=sample_uid("legacy converted series", first.SeriesInstanceUID),
        series_number=int(first.SeriesNumber) + 100,
        sop_instance_uid=sample_uid("legacy converted", first.SeriesInstanceUID),
        instance_number=1,
    )


def write_enhanced(paths: Sequence[Path], path: Path) -> Path:
    """Pack the files of one classic series, given along the normal, into one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pack_enhanced([[dcmread(source) for source in paths]]).save_as(path, enforce_file_format=True)
    return path


def _shared(first: Dataset, *, is_ct: bool, split: str) -> Dataset:
    groups = build(CT_FRAME if is_ct else MR_FRAME, first)
    groups.PixelMeasuresSequence = [
        _subset(first, "PixelSpacing", "SliceThickness", "SpacingBetweenSlices")
    ]
    groups.PlaneOrientationSequence = [_subset(first, "ImageOrientationPatient")]
    sequence = SPLITS[split][0]
    if sequence != "FrameContentSequence" and sequence in groups:
        del groups[sequence]  # it differs from frame to frame, and is written there
    return groups


def _groups(frame: _Frame, split: str, values: Sequence[float], *, many: bool) -> Dataset:
    sequence, keyword = SPLITS[split]
    groups = build(DERIVED_FRAME.get(sequence, {}), frame.source)
    content = Dataset()
    content.FrameAcquisitionNumber = int(frame.source.AcquisitionNumber)
    moment = f"{frame.source.AcquisitionDate}{frame.source.AcquisitionTime}"
    content.FrameReferenceDateTime = content.FrameAcquisitionDateTime = moment
    content.FrameAcquisitionDuration = 1000.0
    content.StackID = "1"
    content.InStackPositionNumber = frame.place
    content.DimensionIndexValues = [1, frame.place, *([frame.part] if many else [])]
    groups.FrameContentSequence = [content]
    groups.PlanePositionSequence = [_subset(frame.source, "ImagePositionPatient")]
    value = values[frame.part - 1]
    setattr(groups[sequence].value[0], keyword, int(value) if "Index" in keyword else float(value))
    voi = _subset(frame.source, "WindowCenter", "WindowWidth")
    groups.FrameVOILUTSequence = [voi]
    rescale = Dataset()
    rescale.RescaleSlope = frame.source.get("RescaleSlope", "1")
    rescale.RescaleIntercept = frame.source.get("RescaleIntercept", "0")
    rescale.RescaleType = frame.source.get("RescaleType", "US")
    groups.PixelValueTransformationSequence = [rescale]
    return groups


def _add_dimensions(packed: Dataset, split: str, *, many: bool) -> None:
    organization = Dataset()
    organization.DimensionOrganizationUID = sample_uid("dimensions", packed.SOPInstanceUID)
    packed.DimensionOrganizationSequence = [organization]
    pointers = [
        ("FrameContentSequence", "StackID"),
        ("FrameContentSequence", "InStackPositionNumber"),
        *([SPLITS[split]] if many else []),
    ]
    items = []
    for sequence, keyword in pointers:
        item = Dataset()
        item.DimensionOrganizationUID = organization.DimensionOrganizationUID
        item.DimensionIndexPointer = _tag(keyword)
        item.FunctionalGroupPointer = _tag(sequence)
        items.append(item)
    packed.DimensionIndexSequence = items


def _tag(keyword: str) -> BaseTag:
    number = tag_for_keyword(keyword)
    assert number is not None, keyword
    return BaseTag(number)


def _subset(dataset: Dataset, *keywords: str) -> Dataset:
    item = Dataset()
    for keyword in keywords:
        if keyword in dataset:
            setattr(item, keyword, dataset[keyword].value)
    return item
