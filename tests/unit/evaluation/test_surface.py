import numpy as np
import pytest

from node.evaluation.surface import measure_hd95_mm, measure_masks, measure_surface_dice

SPACING_MM = (5.0, 1.0, 2.0)


def block(depth=4, start=10, stop=20):
    mask = np.zeros((depth, 30, 40), bool)
    mask[:, start:stop, start:stop] = True
    return mask


@pytest.mark.parametrize("depth", [1, 4])
def test_the_same_mask_is_perfect(depth):
    found = measure_masks(block(depth), block(depth), SPACING_MM)
    assert (found.dice, found.surface_dice, found.hd95_mm) == (1.0, 1.0, 0.0)
    assert (found.volume_error_ml, found.volume_error_percent) == (0.0, 0.0)


@pytest.mark.parametrize("depth", [1, 4])
def test_both_empty_is_perfect(depth):
    empty = np.zeros((depth, 30, 40), bool)
    found = measure_masks(empty, empty, SPACING_MM)
    assert (found.dice, found.surface_dice, found.hd95_mm) == (1.0, 1.0, 0.0)
    assert (found.volume_error_ml, found.volume_error_percent) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("depth", "diagonal_mm"), [(1, np.hypot(30, 80)), (4, np.linalg.norm([20, 30, 80]))]
)
def test_one_empty_counts_as_the_worst(depth, diagonal_mm):
    mask, empty = block(depth), np.zeros((depth, 30, 40), bool)
    missed, invented = (
        measure_masks(mask, empty, SPACING_MM),
        measure_masks(empty, mask, SPACING_MM),
    )
    for found in (missed, invented):
        assert (found.dice, found.surface_dice) == (0.0, 0.0)
        assert found.hd95_mm == pytest.approx(diagonal_mm)
    assert (missed.volume_error_percent, invented.volume_error_percent) == (-100.0, 100.0)
    assert missed.volume_error_ml == pytest.approx(-depth * 100 * 10 / 1000)


def test_volume_error_has_a_sign_and_is_of_the_reference():
    found = measure_masks(block(start=10, stop=20), block(start=10, stop=15), SPACING_MM)
    assert found.volume_error_percent == pytest.approx(-75.0)
    assert found.reference_ml == pytest.approx(4.0)


def test_a_shift_is_measured_in_millimetres_of_its_axis():
    for axis, expected_mm in ((1, 1.0), (2, 2.0)):
        moved = np.roll(block(), 1, axis)
        assert measure_hd95_mm(block(), moved, SPACING_MM) == pytest.approx(expected_mm)
        assert measure_surface_dice(block(), moved, SPACING_MM, tolerance_mm=2.0) == 1.0
    assert measure_surface_dice(block(), np.roll(block(), 1, 2), SPACING_MM, tolerance_mm=1) < 1


def test_masks_of_other_shape_are_refused():
    with pytest.raises(ValueError, match="expected one"):
        measure_masks(block(3), block(4), SPACING_MM)
    with pytest.raises(ValueError, match="expected one"):
        measure_masks(block()[0], block()[0], SPACING_MM)
