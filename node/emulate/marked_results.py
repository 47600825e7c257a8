"""A SEG and an SR about a made-up head, made as results are made, and marked as a test.

Whoever finds them in an archive reads TEST in the patient's name, in the Patient ID, and in the
descriptions. When an archive forwards them to a node they count as its own results, which are
never analysed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.config.settings import ReportSettings
from node.domain.code import Code
from node.domain.finding import BENIGN, INDETERMINATE, Finding
from node.domain.geometry import Geometry
from node.domain.report import ModelIdentity, Report
from node.domain.segmentation import Lesion, Segmentation
from node.domain.uid import derive_uid
from node.domain.volume import Volume
from node.emulate.mr_headers import sample_uid, series_attributes, slice_dataset
from node.report.encapsulated_pdf import build_encapsulated_pdf
from node.report.seg import build_seg
from node.report.sr import build_sr

PATIENT_NAME, PATIENT_ID = "TEST^ONCONODE", "TEST-ONCONODE"
NOTICE = "TEST OBJECT, not a patient, may be deleted"
SHAPE, SPACING_MM = (4, 32, 32), 6.0
BOX = (slice(1, 3), slice(10, 18), slice(12, 20))
MODEL = ModelIdentity(
    name="TEST",
    version="0",
    digest="0" * 64,
    device_uid=derive_uid("device", "test objects"),
    manufacturer="OncoNode",
    anatomic_region=Code(value="12738006", scheme="SCT", meaning="Brain"),
    finding_type=Code(value="108369006", scheme="SCT", meaning="Neoplasm"),
    segmenter_name="none, a drawn box",
    classifier_name="none",
    limitations=NOTICE,
)


@dataclass(frozen=True, kw_only=True)
class MarkedResults:
    """Objects on disk.

    Parameters
    ----------
    study_instance_uid : str
    paths : tuple of Path
        SEG, then SR.
    datasets : tuple of Dataset
        The same, as they are in the files.
    paper : Dataset
        The Encapsulated PDF beside them, around a file without pages.
    """

    study_instance_uid: str
    paths: tuple[Path, ...]
    datasets: tuple[Dataset, ...]
    paper: Dataset


def write_marked_results(
    folder: Path, *, study: str, run: str, settings: ReportSettings, assessed: bool = False
) -> MarkedResults:
    """Write the objects.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    study : str
        Text that the Study Instance UID is derived from: runs of one node share a study, so that
        whoever wants to delete them finds one.
    run : str
        Text that the other UIDs depend on.
    settings : ReportSettings
        As for results: which SR class, which series numbers.
    assessed : bool
        With an assessment and features, as a classifier gives them, to show all that an SR holds;
        the default says of itself that nothing was analysed.
    """
    geometry = Geometry.from_axes(
        origin_mm=(-93.0, -93.0, 0.0),
        slice_step_mm=(0.0, 0.0, SPACING_MM),
        row_step_mm=(0.0, SPACING_MM, 0.0),
        column_step_mm=(SPACING_MM, 0.0, 0.0),
        shape=SHAPE,
    )
    sources = _sources(geometry, study=study, run=run)
    volume = Volume(
        voxels=np.stack([source.pixel_array for source in sources]).astype(np.int16),
        geometry=geometry,
        modality="MR",
        study_instance_uid=str(sources[0].StudyInstanceUID),
        series_instance_uid=str(sources[0].SeriesInstanceUID),
        frame_of_reference_uid=str(sources[0].FrameOfReferenceUID),
        source_uids=tuple(str(source.SOPInstanceUID) for source in sources),
        source_frames=(1,) * len(sources),
    )
    report = Report(
        segmentation=_segmentation(volume, run),
        findings=(_finding(assessed),),
        model=MODEL,
        remarks=(NOTICE,),
    )
    seg = build_seg(report, sources, settings=settings)
    assert seg is not None, "a report with a lesion has a SEG"
    sr = build_sr(report, sources, seg, settings=settings, volume=volume)
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / "test_seg.dcm", folder / "test_sr.dcm")
    for dataset, path in zip((seg, sr), paths, strict=True):
        dataset.SeriesDescription = NOTICE
        dataset.save_as(path, enforce_file_format=True)
    return MarkedResults(
        study_instance_uid=volume.study_instance_uid,
        paths=paths,
        datasets=tuple(dcmread(path) for path in paths),
        paper=build_encapsulated_pdf(b"%PDF-1.4", report, sources, settings=settings),
    )


def _sources(geometry: Geometry, *, study: str, run: str) -> list[Dataset]:
    """Return headers that nobody ever sends: what the results speak of."""
    shared = series_attributes("test0", f"{study}/{run}", geometry)
    shared.PatientName, shared.PatientID = PATIENT_NAME, PATIENT_ID
    shared.StudyDescription, shared.AccessionNumber = NOTICE, "TEST"
    shared.StudyInstanceUID = sample_uid("test study", study)
    pixels = np.indices(SHAPE).sum(axis=0).astype(np.uint16)
    return [
        slice_dataset(
            shared,
            pixels[k],
            position_mm=geometry.to_lps((k, 0, 0)),
            sop_instance_uid=sample_uid("test instance", study, run, str(k)),
            instance_number=k + 1,
            window=(40, 80),
        )
        for k in range(SHAPE[0])
    ]


def _segmentation(volume: Volume, run: str) -> Segmentation:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[BOX] = 1
    where = np.argwhere(labels)
    x_mm, y_mm, z_mm = volume.geometry.to_lps(where.mean(axis=0))
    side_mm = 8 * SPACING_MM
    lesion = Lesion(
        number=1,
        tracking_id="TEST 1",
        tracking_uid=derive_uid("test lesion", run),
        voxel_count=len(where),
        volume_ml=len(where) * volume.geometry.voxel_volume_mm3 / 1000,
        long_axis_mm=side_mm * 2**0.5,
        short_axis_mm=side_mm * 2**0.5,
        maximum_3d_diameter_mm=float(np.linalg.norm((side_mm, side_mm, 2 * SPACING_MM))),
        centroid_lps_mm=(float(x_mm), float(y_mm), float(z_mm)),
        largest_slice=1,
        mean_probability=1.0,
    )
    return Segmentation(
        labels=labels,
        probability=labels.astype(np.float16),
        geometry=volume.geometry,
        source_uids=volume.source_uids,
        source_frames=volume.source_frames,
        lesions=(lesion,),
    )


def _finding(assessed: bool) -> Finding:
    if not assessed:
        return Finding(
            lesion_number=1,
            malignancy_probability=None,
            assessment=INDETERMINATE,
            reason=f"Nothing was analysed: {NOTICE}.",
        )
    return Finding(
        lesion_number=1,
        malignancy_probability=0.25,
        assessment=BENIGN,
        predicted_type="meningioma",
        type_probabilities={"glioma": 0.25, "meningioma": 0.75},
        features={"original_shape_Sphericity": 0.75, "original_firstorder_Entropy": 3.5},
        contributions={"original_shape_Sphericity": -0.5},
    )
