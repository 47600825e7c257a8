"""What a radiologist sees: OHIF in Chromium, on Orthanc, with the objects that the node writes.

The label map in the viewer's memory is compared with the mask voxel by voxel, and the overlay on
the screen with the place of these voxels. Pictures are kept in ``build/viewer-pictures``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factories_images import checked_series
from factories_report import axes, make_labels, make_report, make_series
from judges_dicom import decode_with_dcmqi
from numpy.typing import NDArray
from peers_orthanc import Orthanc, running_orthanc
from playwright.sync_api import Browser, sync_playwright
from pydicom import Dataset, dcmread
from tools import require_tool
from viewer_ohif import CHROMIUM_OPTIONS, ROOT, installed_viewer, served_viewer
from viewer_page import PATIENCE_MS, DecodedSlice, ViewerPage

from node.bootstrap.offline import process_folder
from node.config.settings import NodeSettings, ReportSettings, Settings
from node.domain.volume import Volume
from node.emulate.enhanced import pack_enhanced
from node.emulate.phantom import write_case
from node.report.labelmap import build_labelmap, fits_binary_readers
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.uids import derive_uid
from node.volume.read import read_volume

pytestmark = pytest.mark.slow

DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
PICTURES = ROOT / "build" / "viewer-pictures"
EVEN, ODD = (6, 40, 48), (6, 43, 53)
CASES = {
    "binary": {"geometry": axes(shape=EVEN), "lesions": 3},
    "binary reversed sagittal": {
        "geometry": axes(shape=EVEN, rotation_deg=(90, 0, 90)),
        "lesions": 2,
        "reversed_files": True,
    },
    "binary oblique": {"geometry": axes(shape=EVEN, rotation_deg=(20, -8, 15)), "lesions": 2},
    "labelmap": {"geometry": axes(shape=EVEN), "lesions": 3},
    "labelmap odd": {"geometry": axes(shape=ODD), "lesions": 3},
    "binary enhanced": {"geometry": axes(shape=EVEN), "lesions": 2},
    "binary tilted gantry": {
        "geometry": axes(shape=EVEN, tilt_deg=18),
        "lesions": 2,
        "modality": "CT",
    },
    "binary odd": {"geometry": axes(shape=ODD), "lesions": 3},
}
WRONG_IN_THIS_VIEWER = "binary odd"


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A series with its segmentation in the archive, and the truth about it."""

    volume: Volume
    labels: NDArray[np.uint8]
    seg_series_number: int

    def labels_of(self, decoded: list[DecodedSlice]) -> NDArray[np.uint8]:
        """What the viewer decoded, in the order of our slices."""
        slices = list(zip(self.volume.source_uids, self.volume.source_frames, strict=True))
        found = np.zeros_like(self.labels)
        for each in decoded:
            if each.labels.any():
                plane = found[slices.index((each.source_uid, each.frame))]
                np.maximum(plane, each.labels, out=plane)
        return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    require_tool(DICOMWEB)
    extra = {
        "Plugins": [DICOMWEB],
        "DicomWeb": {
            "Enable": True,
            "Root": "/dicom-web/",
            "EnableWado": True,
            "WadoRoot": "/wado",
            "StudiesMetadata": "Full",
            "SeriesMetadata": "Full",
        },
    }
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), extra=extra) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = require_tool("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(chromium), args=list(CHROMIUM_OPTIONS), timeout=PATIENCE_MS
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def viewer(archive: Orthanc, browser: Browser) -> Iterator[ViewerPage]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with served_viewer(installed_viewer(), f"http://127.0.0.1:{archive.http_port}") as url:
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        yield ViewerPage(page=page, url=url)
        page.close()


@pytest.fixture(scope="module")
def study(
    archive: Orthanc, viewer: ViewerPage, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Shown]:
    """All cases in one study, opened: loading the viewer takes longer than all the rest."""
    shown = {}
    for number, (name, case) in enumerate(CASES.items(), 1):
        made = _add_case(archive, tmp_path_factory.mktemp("case"), name, 10 * number, **case)
        shown[name] = made
    (study_uid,) = {each.volume.study_instance_uid for each in shown.values()}
    viewer.open_study(study_uid)
    return shown


def _add_case(archive, folder, name, number, *, geometry, lesions, **options) -> Shown:
    headers = {
        "SeriesInstanceUID": derive_uid("viewer", name),
        "FrameOfReferenceUID": derive_uid("viewer frame", name),
        "SeriesNumber": number,
        "SeriesDescription": name,
        "AcquisitionNumber": 1,
    }
    series = make_series(folder / "images", geometry, headers=headers, **options)
    paths, volume = series.paths, series.volume
    if "enhanced" in name:
        order = [2, 0, 1, *range(3, len(paths))]
        packed = pack_enhanced([[dcmread(path) for path in paths]], frame_order=order)
        (folder / "packed").mkdir()
        paths = (folder / "packed" / "enhanced.dcm",)
        packed.save_as(paths[0], enforce_file_format=True)
        volume = read_volume(checked_series(folder / "packed"))
    labels = make_labels(geometry.shape, lesions)
    seg: Dataset | None = build_seg(
        make_report(volume, labels),
        read_sources(paths, volume.source_uids),
        settings=ReportSettings(seg_series_number=number + 1),
    )
    assert seg is not None
    if "labelmap" in name:
        seg = build_labelmap(seg)
    seg.save_as(folder / "seg.dcm", enforce_file_format=True)
    for path in (*paths, folder / "seg.dcm"):
        archive.add_file(path)
    return Shown(volume=volume, labels=labels, seg_series_number=number + 1)


@pytest.mark.parametrize("name", [name for name in CASES if name != WRONG_IN_THIS_VIEWER])
def test_the_viewer_holds_our_mask_and_draws_it_in_its_place(
    study: Mapping[str, Shown], viewer: ViewerPage, name: str
) -> None:
    case = study[name]
    rows_and_columns = case.labels.shape[1:]
    assert fits_binary_readers(*rows_and_columns) or "labelmap" in name
    decoded = viewer.decoded(viewer.load_segmentation(case.seg_series_number))
    assert np.array_equal(case.labels_of(decoded), case.labels)
    marked = sum(np.count_nonzero(each.labels) for each in decoded)
    assert marked == np.count_nonzero(case.labels), "two layers mark one voxel"
    largest = max(decoded, key=lambda each: np.count_nonzero(each.labels))
    viewer.show(largest)
    viewer.page.screenshot(path=PICTURES / f"{name.replace(' ', '-')}.png")
    overlay = viewer.overlay(largest)
    assert overlay.covered() > 0.98
    assert overlay.astray().tolist() == []


def test_what_the_rule_about_sizes_is_for(study: Mapping[str, Shown], viewer: ViewerPage) -> None:
    """This version of the viewer shows BINARY of such a size wrongly, and says nothing."""
    case = study[WRONG_IN_THIS_VIEWER]
    assert not fits_binary_readers(*case.labels.shape[1:])
    decoded = viewer.decoded(viewer.load_segmentation(case.seg_series_number))
    assert (case.labels_of(decoded) != case.labels).any()


def test_a_brain_study_from_the_node_to_the_screen(
    archive: Orthanc, viewer: ViewerPage, tmp_path: Path
) -> None:
    written = write_case("brain1", tmp_path / "study", orientation="axial")
    settings = Settings(node=NodeSettings(models_dir=ROOT / "models"))
    (result,) = process_folder(tmp_path / "study", tmp_path / "out", "brain-t1ce", settings)
    seg, sr = (tmp_path / "out" / f"brain-t1ce_{kind}.dcm" for kind in ("seg", "sr"))
    for path in (*written.paths, seg, sr):
        archive.add_file(path)
    viewer.open_study(written.study_instance_uid)
    number = int(dcmread(seg, stop_before_pixels=True).SeriesNumber)
    decoded = viewer.decoded(viewer.load_segmentation(number))
    in_viewer = {each.source_uid: each.labels for each in decoded}
    shown = np.stack([in_viewer[uid] for uid in written.source_uids])
    by_dcmqi, astray = decode_with_dcmqi(seg, tmp_path / "dcmqi", written.geometry)
    assert astray == 0
    assert np.array_equal(shown, by_dcmqi)
    volumes_ml = np.bincount(shown.ravel())[1:] * written.geometry.voxel_volume_mm3 / 1000
    assert volumes_ml == pytest.approx([each["volume_ml"] for each in result["lesions"]], abs=0.001)
    tumour = written.mask_of(written.source_uids)
    assert 2 * (tumour & (shown > 0)).sum() / (tumour.sum() + (shown > 0).sum()) > 0.7
    largest = max(decoded, key=lambda each: np.count_nonzero(each.labels))
    assert largest.source_uid == result["lesions"][0]["largest_slice_sop_instance_uid"]
    viewer.show(largest)
    viewer.page.screenshot(path=PICTURES / "brain1.png")
    overlay = viewer.overlay(largest)
    assert overlay.covered() > 0.98
    assert overlay.astray().tolist() == []
