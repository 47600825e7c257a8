"""SEG and RTSTRUCT objects about series on disk."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from factories_report import SeriesOnDisk
from highdicom.color import CIELabColor
from highdicom.seg import SegmentationTypeValues
from numpy.typing import ArrayLike, NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from node.domain.geometry import Geometry


def square(geometry: Geometry, k: int, rows: ArrayLike, columns: ArrayLike) -> NDArray[np.float64]:
    """A rectangle half a pixel round the given first and last row and column, LPS mm."""
    (top, bottom), (left, right) = np.add(rows, (-0.5, 0.5)), np.add(columns, (-0.5, 0.5))
    corners = [(k, top, left), (k, top, right), (k, bottom, right), (k, bottom, left)]
    return geometry.to_lps(corners)


def write_rtstruct(
    path: Path,
    series: SeriesOnDisk,
    regions: Mapping[str, Sequence[NDArray[np.float64]]],
    *,
    refer: bool = True,
    kind: str = "CLOSED_PLANAR",
) -> Dataset:
    """Write a structure set with contours (n, 3) in LPS mm by region name."""
    source = dcmread(series.paths[0], stop_before_pixels=True)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):
        setattr(dataset, keyword, source.get(keyword))
    uid = generate_uid()
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    dataset.SeriesInstanceUID, dataset.Modality = generate_uid(), "RTSTRUCT"
    if refer:
        referenced_series = _item(SeriesInstanceUID=source.SeriesInstanceUID)
        study = _item(RTReferencedSeriesSequence=[referenced_series])
        frame = _item(
            FrameOfReferenceUID=source.FrameOfReferenceUID, RTReferencedStudySequence=[study]
        )
        dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence = [
        _item(
            ROINumber=number,
            ROIName=name,
            ReferencedFrameOfReferenceUID=source.FrameOfReferenceUID,
        )
        for number, name in enumerate(regions, start=1)
    ]
    dataset.ROIContourSequence = [
        _item(
            ReferencedROINumber=number,
            ContourSequence=[
                _item(
                    ContourGeometricType=kind,
                    NumberOfContourPoints=len(points),
                    ContourData=[f"{value:.6f}" for value in np.ravel(points)],
                )
                for points in contours
            ],
        )
        for number, contours in enumerate(regions.values(), start=1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def write_seg(
    path: Path,
    series: SeriesOnDisk,
    masks: Mapping[str, NDArray],
    *,
    kind: str = "BINARY",
    omit_empty_frames: bool = True,
) -> Dataset:
    """Write a segmentation with masks (z, y, x) by segment label."""
    algorithm = hd.AlgorithmIdentificationSequence(
        name="test", version="1", family=codes.cid7162.ArtificialIntelligence
    )
    by_uid = {dcmread(p).SOPInstanceUID: dcmread(p) for p in series.paths}
    sources = [by_uid[uid] for uid in series.volume.source_uids]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        dataset = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=np.stack(list(masks.values()), axis=-1),
            segmentation_type=SegmentationTypeValues(kind),
            segment_descriptions=[
                hd.seg.SegmentDescription(
                    segment_number=number,
                    segment_label=label,
                    segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
                    segmented_property_type=codes.SCT.Neoplasm,
                    algorithm_type="AUTOMATIC",
                    algorithm_identification=algorithm,
                    display_color=CIELabColor(50, 10 * number, 0),
                )
                for number, label in enumerate(masks, start=1)
            ],
            series_instance_uid=generate_uid(),
            series_number=9,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="test",
            manufacturer_model_name="test",
            software_versions="1",
            device_serial_number="1",
            omit_empty_frames=omit_empty_frames,
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return dcmread(path)


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
