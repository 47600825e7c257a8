"""Frames of several multi-frame objects as if each were an image of its own.

A stack may be spread over several Enhanced objects: those of a concatenation, or one for each slab.
highdicom takes one multi-frame object, or any number of single-frame images. So it is given images
that stand for the frames, and their names are replaced in what it built.

References
----------
PS3.3 C.7.6.16 (functional groups), C.7.6.16.2.2.4 (concatenations), table 10-3 (Image SOP Instance
Reference Macro: Referenced Frame Number).
"""

from collections.abc import Mapping, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage

from node.dicom.functional_groups import PER_FRAME, SHARED, group_of
from node.report.fault import ReportFault
from node.report.uids import derive_uid

Frame = tuple[str, int]
"""SOP Instance UID of a multi-frame object, and frame number from 1."""

_NOT_COPIED = (
    PER_FRAME,
    SHARED,
    "DimensionIndexSequence",
    "NumberOfFrames",
    "SOPClassUID",  # elements are shared with the header: what changes must be one's own
    "SOPInstanceUID",
)


def stand_for_frames(
    headers: Sequence[Dataset], frames: Sequence[Frame]
) -> tuple[list[Dataset], dict[str, Frame]]:
    """Make an image for each frame.

    Returns
    -------
    list of Dataset
        In the order of the frames.
    dict of str to Frame
        SOP Instance UID of such an image -> what it stands for.
    """
    by_uid = {str(header.SOPInstanceUID): header for header in headers}
    missing = [uid for uid, _ in frames if uid not in by_uid]
    if missing:
        raise ReportFault(f"no source header for {len(missing)} slices, e.g. {missing[0]}")
    images, stands_for = [], {}
    for uid, number in frames:
        header = by_uid[uid]
        if not 1 <= number <= len(header[PER_FRAME].value):
            raise ReportFault(f"a slice names frame {number} of {len(header[PER_FRAME].value)}")
        image = Dataset()
        image.update({e.tag: e for e in header if e.keyword not in _NOT_COPIED})
        for group, keywords in (
            ("PlanePositionSequence", ("ImagePositionPatient",)),
            ("PlaneOrientationSequence", ("ImageOrientationPatient",)),
            ("PixelMeasuresSequence", ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices")),
        ):
            item = group_of(header, number - 1, group)
            for keyword in keywords:
                if keyword in item:
                    image[keyword] = item[keyword]
        image.SOPClassUID = CTImageStorage if header.Modality == "CT" else MRImageStorage
        image.SOPInstanceUID = derive_uid("frame", uid, str(number))
        stands_for[str(image.SOPInstanceUID)] = (uid, number)
        images.append(image)
    return images, stands_for


def name_real_frames(
    built: Dataset, headers: Sequence[Dataset], stands_for: Mapping[str, Frame]
) -> None:
    """Put the real objects and frame numbers in place of the images that stood for them."""
    classes = {str(header.SOPInstanceUID): header.SOPClassUID for header in headers}
    renamed: set[int] = set()  # segments of one slice share one item
    for frame in built.PerFrameFunctionalGroupsSequence:
        for derivation in frame.get("DerivationImageSequence", ()):
            for source in derivation.SourceImageSequence:
                if id(source) in renamed:
                    continue
                renamed.add(id(source))
                uid, number = stands_for[str(source.ReferencedSOPInstanceUID)]
                source.ReferencedSOPClassUID = classes[uid]
                source.ReferencedSOPInstanceUID = uid
                source.ReferencedFrameNumber = number
    for series in built.ReferencedSeriesSequence:
        series.ReferencedInstanceSequence = [_refer_to(uid, classes) for uid in classes]
    if "SourceImageSequence" in built:
        built.SourceImageSequence = [_refer_to(uid, classes) for uid in classes]


def _refer_to(uid: str, classes: Mapping[str, str]) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = classes[uid]
    item.ReferencedSOPInstanceUID = uid
    return item
