"""DICOM Segmentation: one lesion, one segment, on the grid of the source images."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    SegmentationTypeValues,
    SegmentDescription,
)
from highdicom.seg import (
    Segmentation as SegmentationObject,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import DSfloat

from node.config.settings import ReportSettings
from node.domain.geometry import Geometry
from node.domain.report import ModelIdentity, Report
from node.domain.segmentation import Lesion, Segmentation
from node.report.fault import ReportFault
from node.report.palette import lesion_colour
from node.report.provenance import (
    LONG_STRING,
    PRODUCT_NAME,
    RESEARCH_NOTICE,
    algorithm_of,
    concept,
    equipment_of,
    plain_text,
    series_description,
    stamp,
)
from node.report.sources import complete_headers, is_multi_frame
from node.report.uids import PENDING_UID, seal_uids
from node.report.virtual_frames import Frame, name_real_frames, stand_for_frames


def build_seg(
    report: Report, sources: Sequence[Dataset], *, settings: ReportSettings
) -> Dataset | None:
    """Build the BINARY segmentation of a report.

    Parameters
    ----------
    report : Report
    sources : sequence of Dataset
        Headers of the distinct source instances, in the order of the slices.
    settings : ReportSettings

    Returns
    -------
    Dataset or None
        None where no lesion was found and no empty segmentation is wanted.

    Raises
    ------
    ReportFault
        If mask, lesions and sources do not belong together.

    References
    ----------
    PS3.3 section A.51 (Segmentation IOD) and C.8.20.2.
    """
    segmentation = report.segmentation
    _check_lesions(segmentation)
    if not segmentation.lesions and not settings.send_empty_seg:
        return None
    headers = complete_headers(sources)
    images, stands_for = source_images(headers, segmentation)
    with warnings.catch_warnings():
        # An empty mask is wanted here, and foreign values were complained of on receipt.
        warnings.simplefilter("ignore", UserWarning)
        built = SegmentationObject(
            source_images=images,
            pixel_array=np.array(segmentation.labels, dtype=np.uint8),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=_describe_segments(report),
            series_instance_uid=PENDING_UID,
            series_number=settings.seg_series_number,
            sop_instance_uid=PENDING_UID,
            instance_number=1,
            series_description=series_description("SEG", report.model),
            content_label="AI_SEGMENTATION",
            content_description=f"AI segmentation, {RESEARCH_NOTICE}"[:LONG_STRING],
            content_creator_name=PRODUCT_NAME,
            omit_empty_frames=not settings.keep_empty_frames,
            specific_character_set=None,
            **equipment_of(report.model),
        )
    name_sources(built, headers, stands_for, segmentation)
    stamp(built, sources=sources, model=report.model)
    seal_uids(built, kind="seg")
    return built


def name_sources(
    built: Dataset,
    headers: Sequence[Dataset],
    stands_for: Mapping[str, Frame],
    segmentation: Segmentation,
) -> None:
    """Have what highdicom built name the real images, and state its thickness.

    Parameters
    ----------
    built : Dataset
        Made from ``source_images``; changed in place.
    headers : sequence of Dataset
    stands_for : mapping of str to Frame
        As ``source_images`` gave it.
    segmentation : Segmentation
    """
    if stands_for:
        name_real_frames(built, headers, stands_for)
    elif is_multi_frame(headers[0]):
        _name_source_frames(built, segmentation)
    _state_thickness(built, segmentation.geometry)


def _state_thickness(built: Dataset, geometry: Geometry) -> None:
    """Where the source names no slice thickness, which SEG demands, it is the slice distance."""
    steps = geometry.affine[:, :3]
    normal = np.cross(geometry.direction[:, 2], geometry.direction[:, 1])
    distance_mm = float(abs(steps[:, 0] @ normal) / np.linalg.norm(normal))
    groups = [*built.SharedFunctionalGroupsSequence, *built.PerFrameFunctionalGroupsSequence]
    for measures in (item for group in groups for item in group.get("PixelMeasuresSequence", ())):
        if not measures.get("SliceThickness"):
            measures.SliceThickness = DSfloat(distance_mm, auto_format=True)


def _check_lesions(segmentation: Segmentation) -> None:
    numbers = [lesion.number for lesion in segmentation.lesions]
    # slice by slice: sorting a whole CT at once needs as much memory again
    labels = sorted(
        {int(label) for plane in segmentation.labels for label in np.unique(plane)} - {0}
    )
    if numbers != list(range(1, len(numbers) + 1)) or labels != numbers:
        raise ReportFault(f"lesions are numbered {numbers}, the mask holds {labels}")


def _describe_segments(report: Report) -> list[SegmentDescription]:
    model = report.model
    if not report.segmentation.lesions:
        return [_describe(1, f"{model.finding_type.meaning} (none found)", model, None)]
    return [
        _describe(lesion.number, _label(lesion, report), model, lesion)
        for lesion in report.segmentation.lesions
    ]


def _label(lesion: Lesion, report: Report) -> str:
    """What viewers list: the name that a lesion has had since an earlier examination."""
    return lesion.tracking_id if report.comparison else f"Lesion {lesion.number}"


def _describe(
    number: int, label: str, model: ModelIdentity, lesion: Lesion | None
) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
        segment_label=plain_text(label, LONG_STRING),
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=concept(model.finding_type),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm_of(model.segmenter_name, model),
        tracking_uid=lesion.tracking_uid if lesion else None,
        tracking_id=plain_text(lesion.tracking_id, LONG_STRING) if lesion else None,
        anatomic_regions=[concept(model.anatomic_region)],
        display_color=CIELabColor.from_rgb(*lesion_colour(number)),
    )


def source_images(
    headers: Sequence[Dataset], segmentation: Segmentation
) -> tuple[list[Dataset], dict[str, Frame]]:
    """Return what highdicom shall read positions from: one image, or one frame, for each slice.

    Of frames of several objects it reads images that stand for them, which the second part tells.
    """
    if is_multi_frame(headers[0]) and len(headers) > 1:
        frames = zip(segmentation.source_uids, segmentation.source_frames, strict=True)
        return stand_for_frames(headers, [*frames])
    if is_multi_frame(headers[0]):
        _keep_used_frames(headers[0], segmentation.source_frames)
        return [headers[0]], {}
    by_uid = {str(header.SOPInstanceUID): header for header in headers}
    missing = [uid for uid in segmentation.source_uids if uid not in by_uid]
    if missing:
        raise ReportFault(f"no source header for {len(missing)} slices, e.g. {missing[0]}")
    return [by_uid[uid] for uid in segmentation.source_uids], {}


def _keep_used_frames(header: Dataset, frames: Sequence[int]) -> None:
    """Reduce our copy of an Enhanced header to the frames of the volume, in the volume's order.

    highdicom pairs the slices of a mask with all frames of the source in file order, and refuses
    frames that share a position, as those of several echoes or time points do.
    """
    groups = header.PerFrameFunctionalGroupsSequence
    if not all(1 <= frame <= len(groups) for frame in frames):
        raise ReportFault(f"a slice names a frame outside 1..{len(groups)}")
    used = [groups[frame - 1] for frame in frames]
    shared = header.SharedFunctionalGroupsSequence[0]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if keyword not in shared:  # a volume has one of each, wherever the scanner wrote it
            shared[keyword] = used[0][keyword]
    header.PerFrameFunctionalGroupsSequence = used
    header.NumberOfFrames = len(frames)


def _name_source_frames(built: Dataset, segmentation: Segmentation) -> None:
    """Put the frame numbers of the real source in place of those of the reduced copy."""
    renamed: set[int] = set()  # segments of one slice share one item
    for frame in built.PerFrameFunctionalGroupsSequence:
        for derivation in frame.get("DerivationImageSequence", ()):
            for source in derivation.SourceImageSequence:
                reduced = source.get("ReferencedFrameNumber")
                if reduced is not None and id(source) not in renamed:
                    renamed.add(id(source))
                    source.ReferencedFrameNumber = segmentation.source_frames[int(reduced) - 1]
