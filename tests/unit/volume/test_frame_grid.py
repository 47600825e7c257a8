"""The grid of a SEG, told by its frames alone."""

from pathlib import Path

import numpy as np
import pytest
from factories_labels import write_seg
from factories_report import axes, make_series
from pydicom.dataset import Dataset

from node.domain.geometry import Geometry
from node.volume.frame_grid import read_frame_grid

SHAPE = (9, 24, 20)


def write(folder: Path, grid: Geometry, slices: list[int]) -> Dataset:
    """A segment that is marked on some slices only, so that the others have no frame."""
    series = make_series(folder / "images", grid)
    mask = np.zeros(SHAPE, np.uint8)
    mask[slices, 4:9, 5:11] = 1
    return write_seg(folder / "seg.dcm", series, {"a": mask})


@pytest.mark.parametrize("slices", [[2, 3, 4], [1, 2, 6, 8], [0, 3, 6], [5]])
@pytest.mark.parametrize("tilt_deg", [0, 18])
def test_frames_lie_on_the_grid_of_their_images(
    tmp_path: Path, slices: list[int], tilt_deg: float
) -> None:
    """Also those of a tilted gantry, as long as there are two frames to tell its lean."""
    grid = axes(shape=SHAPE, rotation_deg=(12, -7, 30), tilt_deg=tilt_deg)
    found = read_frame_grid(write(tmp_path, grid, slices))
    # highdicom states no distance of leaning slices: nothing tells then of those between
    step = 3 if slices == [0, 3, 6] and tilt_deg else 1
    assert found.shape == ((slices[-1] - slices[0]) // step + 1, *SHAPE[1:])
    ends = [(0, 0, 0), (found.shape[0] - 1, SHAPE[1] - 1, SHAPE[2] - 1)]
    expected = [(slices[0] + step * k, j, i) for k, j, i in ends]
    if found.to_index(grid.to_lps((slices[-1], 0, 0)))[0] < 0:  # it counts the other way
        expected = [(slices[-1] - step * k, j, i) for k, j, i in ends]
    np.testing.assert_allclose(found.to_lps(ends), grid.to_lps(expected), atol=1e-4)


def test_frames_that_are_not_evenly_spaced_are_refused(tmp_path: Path) -> None:
    seg = write(tmp_path, axes(shape=SHAPE), [2, 3, 4])
    position = seg.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0]
    x, y, z = position.ImagePositionPatient
    position.ImagePositionPatient = [x, y, float(z) + 1.9]
    with pytest.raises(ValueError, match="evenly"):
        read_frame_grid(seg)


def test_frames_that_are_not_parallel_are_refused(tmp_path: Path) -> None:
    seg = write(tmp_path, axes(shape=SHAPE), [2, 3, 4])
    turned = Dataset()
    turned.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]
    shared = seg.SharedFunctionalGroupsSequence[0]
    plain = shared.PlaneOrientationSequence
    del shared.PlaneOrientationSequence
    for number, frame in enumerate(seg.PerFrameFunctionalGroupsSequence):
        frame.PlaneOrientationSequence = [turned] if number == 1 else plain
    with pytest.raises(ValueError, match="parallel"):
        read_frame_grid(seg)
