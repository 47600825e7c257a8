"""Regions of other lattices, and contours that were drawn elsewhere."""

from pathlib import Path

import numpy as np
import pytest
from factories_labels import square, write_rtstruct
from factories_report import axes, make_series
from pydicom.dataset import Dataset

from node.domain.geometry import Geometry
from node.feedback.regions import (
    MAXIMUM_BOX_VOXELS,
    box_voxels,
    is_same_lattice,
    read_structures,
    voxels_on,
)

SHAPE = (9, 24, 20)
GRID = axes(shape=SHAPE, rotation_deg=(12, -7, 30))


def test_lattices_are_the_same_whatever_piece_of_them_is_told() -> None:
    affine = np.array(GRID.affine)
    affine[:, 3] = GRID.to_lps((3, -2, 5))
    assert is_same_lattice(Geometry(affine=affine, shape=(2, 9, 7)), GRID)
    turned = Geometry(affine=affine[:, [0, 2, 1, 3]] * [-1, 1, 1, 1], shape=(2, 7, 9))
    assert is_same_lattice(turned, GRID)
    affine[:, 3] = GRID.to_lps((3, -2.5, 5))
    assert not is_same_lattice(Geometry(affine=affine, shape=(2, 9, 7)), GRID)
    fine = Geometry(affine=GRID.affine * [1, 0.5, 1, 1], shape=SHAPE)
    assert not is_same_lattice(fine, GRID)
    coarse = Geometry(affine=GRID.affine * [1, 2, 1, 1], shape=(9, 12, 20))
    assert not is_same_lattice(coarse, GRID)


@pytest.mark.parametrize("tilt_deg", [0, 15])
def test_contours_on_the_slices_are_filled_on_them(tmp_path: Path, tilt_deg: float) -> None:
    grid = axes(shape=SHAPE, rotation_deg=(12, -7, 30), tilt_deg=tilt_deg)
    series = make_series(tmp_path / "images", grid)
    contours = [square(grid, k, (4, 8), (5, 10)) for k in (2, 3, 4)]
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, {"GTV": contours})
    (region,) = read_structures(dataset, grid)
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 4:9, 5:11] = True
    np.testing.assert_array_equal(np.sort(region.voxels, axis=0), np.sort(np.argwhere(mask), 0))
    assert voxels_on(region, grid)[1] is False


def test_contours_between_the_slices_are_carried_to_the_nearest(tmp_path: Path) -> None:
    """Drawn on slices a third of a step higher, of another series in the same place."""
    series = make_series(tmp_path / "images", GRID)
    contours = [square(GRID, k + 1 / 3, (4, 8), (5, 10)) for k in (2, 3, 4)]
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, {"GTV": contours})
    (region,) = read_structures(dataset, GRID)
    voxels, is_resampled = voxels_on(region, GRID)
    assert is_resampled
    mask = np.zeros(SHAPE, bool)
    mask[2:5, 4:9, 5:11] = True
    found = np.zeros(SHAPE, bool)
    found[tuple(voxels.T)] = True
    shared = 2 * (mask & found).sum() / (mask.sum() + found.sum())
    assert shared > 0.93
    assert not (found & ~mask)[[0, 1, 5, 6]].any()
    assert region.volume_ml == pytest.approx(mask.sum() * GRID.voxel_volume_mm3 / 1000, rel=0.05)


def test_a_region_thinner_than_the_gap_between_slices_lies_in_the_nearest(tmp_path: Path) -> None:
    """On a fine reconstruction, wholly between two slices of the coarse one."""
    thin = Geometry(affine=GRID.affine * [0.2, 1, 1, 1], shape=(45, 24, 20))
    series = make_series(tmp_path / "images", thin)
    contours = [square(thin, k, (4, 8), (5, 10)) for k in (11, 12)]  # 2.2 and 2.4 coarse steps
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, {"GTV": contours})
    (region,) = read_structures(dataset, thin)
    voxels, is_resampled = voxels_on(region, GRID)
    assert is_resampled
    mask = np.zeros(SHAPE, bool)
    mask[2, 4:9, 5:11] = True
    np.testing.assert_array_equal(voxels, np.argwhere(mask))


def test_each_structure_has_the_reader_that_its_observation_names(tmp_path: Path) -> None:
    series = make_series(tmp_path / "images", GRID)
    contours = [square(GRID, k, (4, 8), (5, 10)) for k in (2, 3)]
    regions = {"GTV 1": contours, "GTV 2": contours, "GTV 3": contours}
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, regions)
    dataset.RTROIObservationsSequence = []
    for number, name in ((1, "Li^Anna"), (2, "Wang^Bo")):
        observation = Dataset()
        observation.ReferencedROINumber, observation.ROIInterpreter = number, name
        dataset.RTROIObservationsSequence.append(observation)
    assert [region.author for region in read_structures(dataset, GRID)] == [
        "Li^Anna",
        "Wang^Bo",
        "",
    ]


def test_contours_that_lean_against_each_other_are_refused(tmp_path: Path) -> None:
    series = make_series(tmp_path / "images", GRID)
    flat = square(GRID, 2, (4, 8), (5, 10))
    bent = np.add(square(GRID, 4, (4, 8), (5, 10)), np.outer([2, -2, 2, -2], [0, 0, 1]))
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, {"GTV": [flat, bent]})
    with pytest.raises(ValueError, match="parallel"):
        list(read_structures(dataset, GRID))


def test_one_structure_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    series = make_series(tmp_path / "images", GRID)
    good = [square(GRID, k, (4, 8), (5, 10)) for k in (2, 3, 4)]
    bent = np.add(square(GRID, 4, (4, 8), (5, 10)), np.outer([2, -2, 2, -2], [0, 0, 1]))
    line = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]])
    structures = {"GTV 1": [good[0], bent], "GTV 2": good, "GTV 3": [line]}
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, structures)
    (region,) = read_structures(dataset, GRID)
    assert (region.number, region.name) == (2, "GTV 2")


def test_positions_that_were_rounded_in_writing_are_evenly_spaced(tmp_path: Path) -> None:
    """0.625 mm with two decimals: 0.62 and 0.63 by turns."""
    grid = axes(shape=(45, 24, 20), spacing_mm=(0.625, 0.8, 0.8))
    series = make_series(tmp_path / "images", grid)
    contours = [square(grid, k, (4, 8), (5, 10)) for k in range(2, 42)]
    rounded = [np.round(contour, 2) for contour in contours]
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, {"GTV": rounded})
    (region,) = read_structures(dataset, None)
    assert len(np.unique(region.voxels[:, 0])) == 40
    assert region.lattice.spacing_mm[0] == pytest.approx(0.625, abs=0.001)


def test_a_stray_voxel_makes_a_large_box() -> None:
    near, far = np.array([[1, 1, 1], [2, 3, 4]]), np.array([[700, 500, 500]])
    assert box_voxels(near) == 4 * 5 * 6
    assert box_voxels(near, far) == 702 * 502 * 502 > MAXIMUM_BOX_VOXELS
