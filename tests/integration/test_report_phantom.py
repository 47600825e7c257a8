"""The shipped case through the real rooms: emulate, assemble, volume, report; dcmqi decodes."""

import numpy as np
import pytest
from factories_report import make_report
from judges_dicom import dcentvfy_errors, dciodvfy_errors, decode_with_dcmqi
from scipy import ndimage

from node.assemble.folder import read_folder
from node.assemble.validate import check_series
from node.config.settings import ReportSettings
from node.emulate.phantom import ORIENTATIONS, write_case
from node.report.write import write_evidence
from node.volume.read import read_volume


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_orientation_comes_back_voxel_by_voxel(tmp_path, orientation):
    written = write_case("brain1", tmp_path / "im", orientation=orientation)
    (study,) = read_folder(tmp_path / "im")
    series = check_series(study.series[0], minimum_slices=3)
    volume = read_volume(series)
    mask = written.mask_of(volume.source_uids)
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    ranks = np.concatenate([[0], 1 + np.argsort(np.argsort(-sizes, kind="stable"))])
    report = make_report(volume, ranks[labels].astype(np.uint8))
    seg, sr, overlay, _capture = write_evidence(
        report,
        volume,
        source_paths=[instance.path for instance in series.instances],
        out_dir=tmp_path / "out",
        prefix="brain1",
        settings=ReportSettings(),
    )
    assert overlay.path.stat().st_size > 100_000
    assert len(report.segmentation.lesions) == count >= 1
    for path in (seg.path, sr.path):
        assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*written.paths, seg.path, sr.path]) == []
    decoded, astray = decode_with_dcmqi(seg.path, tmp_path / "dcmqi", volume.geometry)
    assert astray == 0
    assert np.array_equal(decoded, report.segmentation.labels)
    assert np.array_equal(decoded > 0, mask)
