"""What stands in for a SEG says the same as the SEG: made from the stored object, nothing else.

A stand-in is a function of the SEG's file alone (and of the picture beside it), so making it again
gives the same UIDs, whenever and wherever that happens.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from node.report.provenance import LONG_STRING, RESEARCH_NOTICE
from node.report.uids import PENDING_UID
from node.report.verify import decode_frames

COPIED = (
    "SpecificCharacterSet",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "StudyDate",
    "SeriesDate",
    "ContentDate",
    "StudyTime",
    "SeriesTime",
    "ContentTime",
    "AccessionNumber",
    "Manufacturer",
    "ManufacturerModelName",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "ContributingEquipmentSequence",
    "StudyInstanceUID",
    "StudyID",
)
"""Of the patient, the study, the moment and the equipment."""

SERIES_AFTER_SEG = {"rtstruct": 2, "sc": 3, "ko": 4, "pdf": 9}
"""Added to the series number of the SEG; one more is the SR's, as shipped."""


@dataclass(frozen=True, kw_only=True)
class SourceRef:
    """An image that a SEG was drawn on."""

    sop_class_uid: str
    sop_instance_uid: str
    frame: int = 0
    """From 1; 0 where it has no frames."""

    def to_item(self) -> Dataset:
        """Return the item of a sequence of references."""
        item = Dataset()
        item.ReferencedSOPClassUID = self.sop_class_uid
        item.ReferencedSOPInstanceUID = self.sop_instance_uid
        if self.frame:
            item.ReferencedFrameNumber = self.frame
        return item


def begin_stand_in(seg: Dataset, *, kind: str, sop_class_uid: str, modality: str) -> Dataset:
    """Return an object of the same patient, study and moment, still without its content and UIDs.

    Parameters
    ----------
    seg : Dataset
    kind : str
        One of ``SERIES_AFTER_SEG``.
    sop_class_uid, modality : str
    """
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    copy_study(made, seg)
    made.SOPClassUID = UID(sop_class_uid)
    made.SOPInstanceUID = made.SeriesInstanceUID = PENDING_UID
    made.Modality = modality
    made.SeriesNumber = int(seg.SeriesNumber) + SERIES_AFTER_SEG[kind]
    made.InstanceNumber = 1
    described = str(seg.get("SeriesDescription") or f"AI SEG ({RESEARCH_NOTICE})")
    made.SeriesDescription = described.replace("AI SEG", f"AI {kind.upper()}", 1)[:LONG_STRING]
    return made


def copy_study(made: Dataset, origin: Dataset) -> None:
    """Copy patient, study, moment and equipment from another object, where it has them."""
    for keyword in COPIED:
        if keyword in origin:
            made[keyword] = copy.deepcopy(origin[keyword])


def source_series(seg: Dataset) -> dict[str, tuple[SourceRef, ...]]:
    """Return Series Instance UID -> images of it that the SEG names as its sources."""
    return {
        str(series.SeriesInstanceUID): tuple(
            SourceRef(
                sop_class_uid=str(item.ReferencedSOPClassUID),
                sop_instance_uid=str(item.ReferencedSOPInstanceUID),
            )
            for item in series.ReferencedInstanceSequence
        )
        for series in seg.ReferencedSeriesSequence
    }


def key_sources(seg: Dataset) -> tuple[SourceRef, ...]:
    """Return the source image on which each segment is largest, each image once."""
    largest: dict[int, tuple[int, str, int]] = {}
    for frame in decode_frames(seg):
        pixels = int(frame.pixels.sum())
        if pixels > largest.get(frame.segment, (0, "", 0))[0]:
            largest[frame.segment] = pixels, frame.source_uid, frame.source_frame
    images = SourceImages(seg)
    references = (images.refer(uid, number) for _, (_, uid, number) in sorted(largest.items()))
    return tuple(dict.fromkeys(references))


class SourceImages:
    """The images that the frames of a SEG were drawn on; read once, for there are many frames.

    Parameters
    ----------
    seg : Dataset
    """

    def __init__(self, seg: Dataset) -> None:
        self._items: dict[str, Dataset] = {}
        for group in seg.PerFrameFunctionalGroupsSequence:
            for derivation in group.get("DerivationImageSequence", ()):
                for item in derivation.SourceImageSequence:
                    self._items.setdefault(str(item.ReferencedSOPInstanceUID), item)

    def refer(self, sop_instance_uid: str, frame: int) -> SourceRef:
        """Return the reference to an image, or to a frame of it where it is multi-frame.

        Raises
        ------
        KeyError
            If the SEG does not name it.
        """
        item = self._items[sop_instance_uid]
        return SourceRef(
            sop_class_uid=str(item.ReferencedSOPClassUID),
            sop_instance_uid=sop_instance_uid,
            frame=frame if "ReferencedFrameNumber" in item else 0,
        )


def evidence_items(study_instance_uid: str, series: dict[str, Sequence[SourceRef]]) -> Dataset:
    """Return an item of Current Requested Procedure Evidence (PS3.3 table C.17-3)."""
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = []
    for uid, references in series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedSOPSequence = [
            SourceRef(
                sop_class_uid=each.sop_class_uid, sop_instance_uid=each.sop_instance_uid
            ).to_item()
            for each in references
        ]
        study.ReferencedSeriesSequence.append(item)
    return study
