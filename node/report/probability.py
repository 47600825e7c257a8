"""The network's probability as DICOM objects: FRACTIONAL segmentation and parametric map.

Both show every slice between the first and the last one on which the network saw anything. They are
made only where a destination asks for them.

References
----------
PS3.3 A.51 and C.8.20.2.3 (FRACTIONAL, PROBABILITY), A.75 (Parametric Map IOD), C.7.6.16.2.11 (Real
World Value Mapping).
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from highdicom.color import CIELabColor
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    SegmentationFractionalTypeValues,
    SegmentationTypeValues,
    SegmentDescription,
)
from highdicom.seg import Segmentation as SegmentationObject
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from node.config.settings import ReportSettings
from node.domain.code import Code
from node.domain.geometry import Geometry
from node.domain.report import Report
from node.domain.segmentation import Segmentation
from node.report import codes
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
from node.report.seg import name_sources, source_images
from node.report.sources import complete_headers
from node.report.uids import PENDING_UID, seal_uids
from node.report.virtual_frames import Frame

MAXIMUM = 255
"""Value of a FRACTIONAL segmentation that means 1."""
VOXEL_PROBABILITY = Code(
    value="VOXEL_PROBABILITY",
    scheme=codes.PRIVATE_SCHEME,
    meaning="Probability that a voxel belongs to a lesion",
)
SERIES_AFTER_SEG = {"fractional": 5, "parametric_map": 6}
"""Added to the series number of the SEG, as ``stand_in`` does for the others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shown:
    """The slices that are shown, and what highdicom reads their places from."""

    segmentation: Segmentation
    headers: tuple[Dataset, ...]
    images: list[Dataset]
    stands_for: Mapping[str, Frame]


def build_fractional(
    report: Report, sources: Sequence[Dataset], *, settings: ReportSettings
) -> Dataset:
    """Build a segmentation with one segment, whose pixels are 255 times the probability.

    Parameters
    ----------
    report : Report
    sources : sequence of Dataset
        Headers of the distinct source instances, in the order of the slices.
    settings : ReportSettings
    """
    shown, model = _show(report.segmentation, sources), report.model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # foreign values: complained of on receipt
        built = SegmentationObject(
            source_images=shown.images,
            pixel_array=_probability(shown),
            segmentation_type=SegmentationTypeValues.FRACTIONAL,
            fractional_type=SegmentationFractionalTypeValues.PROBABILITY,
            max_fractional_value=MAXIMUM,
            segment_descriptions=[
                SegmentDescription(
                    segment_number=1,
                    segment_label=plain_text(
                        f"{model.finding_type.meaning}, probability", LONG_STRING
                    ),
                    segmented_property_category=dicom_codes.SCT.MorphologicallyAbnormalStructure,
                    segmented_property_type=concept(model.finding_type),
                    algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
                    algorithm_identification=algorithm_of(model.segmenter_name, model),
                    anatomic_regions=[concept(model.anatomic_region)],
                    display_color=_colour(),
                )
            ],
            content_label="AI_PROBABILITY",
            omit_empty_frames=not settings.keep_empty_frames,
            **_common(report, settings, "fractional", "SEG probability"),
        )
    return _finish(built, shown, report, sources, "fractional")


def build_parametric_map(
    report: Report, sources: Sequence[Dataset], *, settings: ReportSettings
) -> Dataset:
    """Build a map in percent; parameters as ``build_fractional``.

    Its pixels are floating point numbers: nothing is rounded.
    """
    shown = _show(report.segmentation, sources)
    mapping = RealWorldValueMapping(
        lut_label="PROBABILITY",
        lut_explanation=VOXEL_PROBABILITY.meaning,
        unit=concept(codes.PERCENT),
        value_range=(0.0, 100.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=concept(VOXEL_PROBABILITY),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # foreign values: complained of on receipt
        built = ParametricMap(
            source_images=shown.images,
            pixel_array=_probability(shown) * np.float32(100),
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[mapping],
            window_center=50.0,
            window_width=100.0,
            content_label="AI_PROBABILITY",
            **_common(report, settings, "parametric_map", "probability"),
        )
    anatomy = Dataset()
    anatomy.FrameLaterality = sources[0].get("Laterality") or "U"
    anatomy.AnatomicRegionSequence = [concept(report.model.anatomic_region)]
    built.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]  # dcmqi needs it
    _order_frames(built, shown.segmentation.geometry)
    return _finish(built, shown, report, sources, "parametric_map")


def _show(segmentation: Segmentation, sources: Sequence[Dataset]) -> _Shown:
    seen = [k for k, plane in enumerate(segmentation.probability) if plane.max() * MAXIMUM >= 0.5]
    kept = slice(seen[0], seen[-1] + 1) if seen else slice(0, 1)
    affine = segmentation.geometry.affine.copy()
    affine[:, 3] = segmentation.geometry.to_lps((kept.start, 0, 0))
    labels = segmentation.labels[kept]
    part = replace(
        segmentation,
        labels=labels,
        probability=segmentation.probability[kept],
        geometry=Geometry(affine=affine, shape=labels.shape),
        source_uids=segmentation.source_uids[kept],
        source_frames=segmentation.source_frames[kept],
    )
    needed = set(part.source_uids)
    headers = complete_headers([each for each in sources if str(each.SOPInstanceUID) in needed])
    images, stands_for = source_images(headers, part)
    return _Shown(segmentation=part, headers=headers, images=images, stands_for=stands_for)


def _probability(shown: _Shown) -> NDArray[np.float32]:
    return np.clip(np.asarray(shown.segmentation.probability, dtype=np.float32), 0, 1)


def _common(report: Report, settings: ReportSettings, kind: str, words: str) -> dict[str, Any]:
    return {
        "series_instance_uid": PENDING_UID,
        "sop_instance_uid": PENDING_UID,
        "series_number": settings.seg_series_number + SERIES_AFTER_SEG[kind],
        "instance_number": 1,
        "series_description": series_description(words, report.model),
        "content_description": f"AI probability, {RESEARCH_NOTICE}",
        "content_creator_name": PRODUCT_NAME,
        "specific_character_set": None,  # that of the source: highdicom refuses some, see `stamp`
        **equipment_of(report.model),
    }


def _order_frames(built: Dataset, geometry: Geometry) -> None:
    """Put the frames in the order along the normal, which dcmqi takes for granted."""
    normal = np.cross(geometry.direction[:, 2], geometry.direction[:, 1])
    groups = built.PerFrameFunctionalGroupsSequence
    places = [
        np.array(each.PlanePositionSequence[0].ImagePositionPatient, float) for each in groups
    ]
    order = np.argsort([place @ normal for place in places])
    pixels = np.frombuffer(built.FloatPixelData, dtype="<f4").reshape(len(order), -1)
    built.FloatPixelData = pixels[order].tobytes()
    built.PerFrameFunctionalGroupsSequence = [groups[k] for k in order]


def _colour() -> CIELabColor:
    return CIELabColor.from_rgb(*lesion_colour(1))


def _finish(
    built: Dataset, shown: _Shown, report: Report, sources: Sequence[Dataset], kind: str
) -> Dataset:
    name_sources(built, shown.headers, shown.stands_for, shown.segmentation)
    stamp(built, sources=sources, model=report.model)
    seal_uids(built, kind=kind)
    return built
