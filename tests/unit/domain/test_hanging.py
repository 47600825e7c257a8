"""Slices are hung alike however they are stored."""

import itertools

import numpy as np
import pytest

from node.domain.geometry import Geometry
from node.domain.hanging import find_hanging, plane_axis

AXES = np.eye(3)


def stored(plane: str) -> list[Geometry]:
    """Every way to store a plane: rows and columns swapped or flipped."""
    normal = {"axial": 2, "coronal": 1, "sagittal": 0}[plane]
    in_plane = [axis for axis in range(3) if axis != normal]
    grids = []
    for rows, columns in itertools.permutations(in_plane):
        for row_sign, column_sign in itertools.product((1, -1), repeat=2):
            grids.append(
                Geometry.from_axes(
                    origin_mm=(0, 0, 0),
                    slice_step_mm=5 * AXES[normal],
                    row_step_mm=row_sign * AXES[rows],
                    column_step_mm=column_sign * AXES[columns],
                    shape=(1, 4, 6),
                )
            )
    return grids


@pytest.mark.parametrize(
    ("plane", "row_axis", "row_sign", "column_axis", "column_sign"),
    [("axial", 1, 1, 0, 1), ("coronal", 2, -1, 0, 1), ("sagittal", 2, -1, 1, 1)],
)
def test_rows_and_columns_run_as_displayed(plane, row_axis, row_sign, column_axis, column_sign):
    for geometry in stored(plane):
        coordinates = geometry.to_lps(np.moveaxis(np.indices(geometry.shape), 0, -1))
        hung = np.stack(
            [find_hanging(geometry).apply(coordinates[..., axis])[0] for axis in range(3)], axis=-1
        )
        down = hung[1, 0] - hung[0, 0]
        right = hung[0, 1] - hung[0, 0]
        assert down[row_axis] * row_sign == pytest.approx(1)
        assert right[column_axis] * column_sign == pytest.approx(1)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_undo_brings_every_pixel_back(plane):
    block = np.arange(2 * 4 * 6).reshape(2, 4, 6)
    for geometry in stored(plane):
        hanging = find_hanging(geometry)
        assert np.array_equal(hanging.undo(hanging.apply(block)), block)


def test_plane_of_an_oblique_grid_is_the_nearest():
    geometry = Geometry.from_axes(
        origin_mm=(0, 0, 0),
        slice_step_mm=(0, -1, 4),
        row_step_mm=(0, 0.97, 0.24),
        column_step_mm=(1, 0, 0),
        shape=(2, 3, 3),
    )
    assert plane_axis(geometry) == 2


def test_a_whole_block_runs_one_way_through_the_patient():
    for plane, axis in (("axial", 2), ("coronal", 1), ("sagittal", 0)):
        for geometry in stored(plane):
            turned = Geometry.from_axes(
                origin_mm=(0, 0, 0),
                slice_step_mm=-geometry.affine[:, 0],
                row_step_mm=geometry.affine[:, 1],
                column_step_mm=geometry.affine[:, 2],
                shape=(3, 4, 6),
            )
            heights = turned.to_lps(np.moveaxis(np.indices(turned.shape), 0, -1))[..., axis]
            hung = find_hanging(turned).stack(heights)
            assert (np.diff(hung, axis=0) > 0).all()
            spacing = find_hanging(turned).spacing((5.0, 1.0, 2.0))
            assert spacing[0] == 5.0
            assert spacing[1:] == ((2.0, 1.0) if find_hanging(turned).transpose else (1.0, 2.0))
