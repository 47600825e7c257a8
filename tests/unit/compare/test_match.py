"""Lesions of two examinations: the same, new, vanished, side by side, fallen apart, grown together.

Masks are known, and nothing has moved: what registration does is tested elsewhere.
"""

import numpy as np
import pytest
from factories_priors import balls, make_prior, make_volume_of, segment_mask
from factories_volumes import make_geometry

from node.compare.match import match_lesions

GRID = make_geometry((24, 60, 60), (2.0, 1.0, 1.0))  # LPS: x -50..9, y -60..-1, z 10..56
BIG, SMALL = (-30, -40, 30, 8), (-10, -15, 40, 4)


def match(before, after, moved_by_mm=(0, 0, 0)):
    """Groups as pairs of places: (of the present lesions, of the earlier ones)."""
    voxels = np.zeros(GRID.shape, np.int16)
    now = segment_mask(make_volume_of(voxels, GRID, visit="2"), balls(GRID, after))
    then = segment_mask(make_volume_of(voxels, GRID), balls(GRID, before))
    prior = make_prior(then)
    moved = [each.points_lps_mm + np.array(moved_by_mm) for each in prior.lesions]
    return [(group.present, group.earlier) for group in match_lesions(now, prior.lesions, moved)]


def test_what_is_where_it_was_is_the_same_also_when_sizes_change_places():
    grown = (*SMALL[:3], 9)
    assert match([BIG, SMALL], [BIG, grown]) == [((0,), (1,)), ((1,), (0,))]


def test_new_and_vanished_lesions_stand_alone():
    assert match([BIG], [SMALL]) == [((0,), ()), ((), (0,))]
    assert match([], [BIG]) == [((0,), ())]
    assert match([BIG], []) == [((), (0,))]
    assert match([], []) == []


@pytest.mark.parametrize("gap_mm", [1, 2])
def test_two_near_lesions_are_not_mixed_up(gap_mm):
    near = [(-40, -40, 30, 5), (-40 + 10 + gap_mm, -40, 30, 4.5)]
    # both a little off, so that each also comes near the place of the other
    assert match(near, near, moved_by_mm=(2.5, 0, 0)) == [((0,), (0,)), ((1,), (1,))]
    assert match(near, [near[1]]) == [((0,), (1,)), ((), (0,))]


def test_small_lesions_beside_their_place_are_paired_by_distance_relative_to_size():
    tiny = [(-30, -40, 30, 2)]
    assert match(tiny, tiny, moved_by_mm=(4.5, 0, 0)) == [((0,), (0,))]
    assert match(tiny, tiny, moved_by_mm=(8, 0, 0)) == [((0,), ()), ((), (0,))]


def test_a_lesion_that_falls_apart_is_one_group():
    parts = [(-35, -40, 30, 4.5), (-24, -40, 30, 3.5)]
    assert match([(-30, -40, 30, 10)], parts) == [((0, 1), (0,))]


def test_lesions_that_grow_together_are_one_group():
    parts = [(-35, -40, 30, 4.5), (-24, -40, 30, 3.5)]
    assert match(parts, [(-30, -40, 30, 10)]) == [((0,), (0, 1))]


def test_every_lesion_is_in_exactly_one_group():
    rng = np.random.default_rng(3)
    for _ in range(10):
        places = [
            [(*rng.uniform((-45, -55, 14), (4, -6, 52)), rng.uniform(2, 6)) for _ in range(count)]
            for count in rng.integers(0, 7, size=2)
        ]
        groups = match(*places)
        voxels = np.zeros(GRID.shape, np.int16)
        counts = [
            len(segment_mask(make_volume_of(voxels, GRID), balls(GRID, each)).lesions)
            for each in places
        ]
        assert sorted(j for _, earlier in groups for j in earlier) == list(range(counts[0]))
        assert sorted(i for present, _ in groups for i in present) == list(range(counts[1]))
