import numpy as np
import pytest

from node.evaluation.lesionwise import (
    SIZE_CLASSES,
    match_lesions,
    measure_equivalent_diameter_mm,
    name_size_class,
)

ONE_MM = (1.0, 1.0, 1.0)


def volume(*boxes, depth=12):
    mask = np.zeros((depth, 40, 40), bool)
    for z, y, x in boxes:
        mask[slice(*z), slice(*y), slice(*x)] = True
    return mask


BIG = ((2, 8), (5, 15), (5, 15))
SMALL = ((2, 4), (30, 32), (30, 32))


def test_a_found_and_a_missed_lesion_and_a_false_mark():
    reference = volume(BIG, SMALL)
    predicted = volume(BIG, ((8, 10), (30, 35), (5, 10)))
    match = match_lesions(reference, predicted, ONE_MM)
    assert sorted(zip(match.diameter_mm.round(2), match.found, strict=True)) == [
        (pytest.approx(np.cbrt(6 * 8 / np.pi), abs=0.01), False),
        (pytest.approx(np.cbrt(6 * 600 / np.pi), abs=0.01), True),
    ]
    assert (match.false_marks, match.marks) == (1, 2)


def test_a_mark_that_only_grazes_a_lesion_is_false_and_does_not_find_it():
    reference = volume(BIG)
    grazing = volume(((7, 12), (14, 34), (14, 34)))
    match = match_lesions(reference, grazing, ONE_MM)
    assert not match.found.any()
    assert match.false_marks == 1


def test_a_lesion_marked_in_pieces_is_found_and_no_piece_is_false():
    pieces = volume(((2, 8), (5, 9), (5, 15)), ((2, 8), (10, 15), (5, 15)))
    match = match_lesions(volume(BIG), pieces, ONE_MM)
    assert match.found.tolist() == [True]
    assert (match.false_marks, match.marks) == (0, 2)


def test_a_mark_over_everything_finds_no_small_lesion():
    match = match_lesions(volume(SMALL), volume(((0, 12), (0, 40), (0, 40))), ONE_MM)
    assert match.found.tolist() == [False]
    assert match.false_marks == 1


def test_empty_masks():
    empty = volume()
    nothing = match_lesions(empty, empty, ONE_MM)
    assert (len(nothing.diameter_mm), nothing.false_marks, nothing.marks) == (0, 0, 0)
    assert match_lesions(empty, volume(BIG), ONE_MM).false_marks == 1
    assert match_lesions(volume(BIG), empty, ONE_MM).found.tolist() == [False]


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    match = match_lesions(volume(((2, 4), (2, 4), (2, 4)), ((4, 6),) * 3), volume(), ONE_MM)
    assert len(match.diameter_mm) == 1


def test_equivalent_diameter_of_a_slice_is_of_its_area():
    disc = np.hypot(*np.indices((1, 81, 81))[1:] - 40.0) <= 25
    assert measure_equivalent_diameter_mm(disc, (7.0, 0.5, 0.5)) == pytest.approx(25, rel=0.01)
    ball = np.linalg.norm(np.indices((61, 61, 61)) - 30.0, axis=0) <= 20
    assert measure_equivalent_diameter_mm(ball, (2.0, 1.0, 0.5)) == pytest.approx(40, rel=0.01)


def test_size_classes_hold_their_upper_bounds():
    names = [name_size_class(d) for d in (0.5, 3.0, 3.01, 6.0, 10.0, 10.5)]
    assert names == [SIZE_CLASSES[n] for n in (0, 0, 1, 1, 2, 3)]


def test_an_outline_that_falls_apart_is_one_lesion_where_one_was_pointed_at():
    reference = volume(BIG, SMALL)
    match = match_lesions(reference, volume(BIG), ONE_MM, one_lesion=True)
    assert match.found.tolist() == [True]
    assert match.diameter_mm[0] == pytest.approx(np.cbrt(6 * 608 / np.pi))
    empty = match_lesions(volume(), volume(BIG), ONE_MM, one_lesion=True)
    assert len(empty.found) == 0
    assert empty.false_marks == 1
