"""A brain that was moved, turned, and whose lesions grew by a known amount, is told rightly."""

import numpy as np
import pytest
from factories_priors import make_prior, make_volume_of, segment_mask
from scipy import ndimage

from node.compare.exams import compare_exams
from node.compare.register import register, to_earlier, to_present
from node.domain.prior import LesionStatus
from node.emulate.case import load_case
from node.emulate.follow_up import visit_again
from node.emulate.reslice import reorient

GROWTH = 1.2


@pytest.fixture(scope="module")
def visits():
    """The same head twice, the second time turned, moved, and with lesions that have grown."""
    first = reorient(load_case("brain1"), "axial")
    again = visit_again(first, rotation_degrees=(6, -4, 12), shift_mm=(8, -11, 5), growth=GROWTH)
    return (
        make_volume_of(first.voxels, first.geometry, visit="1"),
        first.mask,
        make_volume_of(again.case.voxels, again.case.geometry, visit="2"),
        again.case.mask,
        again.matrix,
    )


@pytest.fixture(scope="module")
def compared(visits):
    earlier, mask, present, grown, _ = visits
    before, after = segment_mask(earlier, mask), segment_mask(present, grown)
    return before, after, compare_exams(present, after, make_prior(before), earlier)


def half_the_surface(mask) -> float:
    """Share of a mask that may be lost or won on the grid: every second voxel of its surface."""
    inner = ndimage.binary_erosion(mask)
    return 0.5 * float((mask & ~inner).sum() / mask.sum())


def test_lesions_are_the_same_and_keep_their_names(compared):
    before, after, result = compared
    changes = result.comparison.changes
    assert [change.status for change in changes] == [LesionStatus.MATCHED] * 2
    kept = [lesion.tracking_uid for lesion in before.lesions]
    assert [change.tracking_uid for change in changes] == kept
    assert [lesion.tracking_uid for lesion in result.segmentation.lesions] == kept
    assert not {lesion.tracking_uid for lesion in after.lesions} & {*kept}


def test_change_is_known_within_the_error_of_a_voxel(compared):
    before, _, result = compared
    for lesion, change in zip(before.lesions, result.comparison.changes, strict=True):
        error = half_the_surface(before.mask_of(lesion))
        assert change.volume_after_ml / change.volume_before_ml == pytest.approx(
            GROWTH**3, rel=error
        )
        voxel_mm = before.geometry.spacing_mm[1]
        assert change.long_axis_after_mm == pytest.approx(
            GROWTH * change.long_axis_before_mm, abs=2 * voxel_mm
        )
    largest = result.comparison.changes[0]
    assert largest.volume_change == pytest.approx(GROWTH**3 - 1, abs=0.05)
    days = 91 * np.log(2) / np.log(GROWTH**3)
    assert largest.doubling_time_days == pytest.approx(days, rel=0.05)


def test_registration_finds_the_known_movement(visits, compared):
    _, _, present, grown, matrix = visits
    found = compared[2].comparison.registration
    assert found.is_trusted
    lesion = present.geometry.to_lps(np.argwhere(grown))
    true = lesion @ matrix[:, :3].T + matrix[:, 3]
    off_mm = np.linalg.norm(to_earlier(found, lesion) - true, axis=1)
    assert off_mm.max() < 0.5
    assert to_present(found, to_earlier(found, lesion)) == pytest.approx(lesion, abs=1e-3)


def test_the_same_images_give_the_same_map_to_the_last_digit(visits, compared):
    earlier, _, present, _, _ = visits
    assert register(present, earlier) == compared[2].comparison.registration
