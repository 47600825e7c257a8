import numpy as np
import pytest
from factories_nodules import CENTRE, ball, ct_of

from node.segment.nodule_patches import NoduleInputSpec
from node.training.datasets.labelled import LabelledCase
from node.training.nodules import (
    BESIDE_MM,
    draw_point,
    draw_points_beside,
    prepare_nodule_pairs,
)

SPEC = NoduleInputSpec(spacing_mm=0.7, size=32, reach_mm=8.0)


@pytest.fixture(scope="module")
def case():
    volume, mask = ct_of(ball(5.0))
    x, y, z = CENTRE
    return LabelledCase(
        patient="p", identifier="n", volumes=(volume,), mask=mask, point_lps_mm=(x, y, z)
    )


def rng():
    return np.random.default_rng(3)


def test_one_pair_for_each_slice_in_reach(case):
    pairs = prepare_nodule_pairs([case], SPEC, rng(), jitter_mm=0)
    assert len(pairs) == 9
    assert {pair.image.shape for pair in pairs} == {(32, 32, 4)}
    assert {pair.mask.shape for pair in pairs} == {(32, 32)}
    assert all(pair.image.dtype == pair.mask.dtype == np.float32 for pair in pairs)
    areas = [pair.mask.sum() * SPEC.spacing_mm**2 for pair in pairs]
    assert max(areas) == pytest.approx(np.pi * 25, rel=0.1)
    assert areas[0] == areas[-1] == 0  # 8 mm away: above and below the nodule


def test_without_jitter_nothing_is_random(case):
    first = prepare_nodule_pairs([case], SPEC, rng(), jitter_mm=0)
    second = prepare_nodule_pairs([case], SPEC, np.random.default_rng(99), jitter_mm=0)
    np.testing.assert_array_equal([p.image for p in first], [p.image for p in second])


def test_the_same_state_gives_the_same_pairs(case):
    first, second = (prepare_nodule_pairs([case], SPEC, rng(), copies=3) for _ in range(2))
    np.testing.assert_array_equal([p.image for p in first], [p.image for p in second])


def test_points_stay_near_the_nodule_and_in_the_image(case):
    generator = rng()
    points = np.array([draw_point(case, generator, 1.0) for _ in range(300)])
    away = np.linalg.norm(points - CENTRE, axis=1)
    assert away.max() < 5.0 + 4.0
    assert 1.5 < away.mean() < 4.0
    index = case.volume.geometry.to_index(points)
    assert (index >= 0).all()
    assert (index <= np.array(case.mask.shape) - 1).all()


def test_points_beside_lie_in_healthy_lung(case):
    points = np.array(draw_points_beside(case, rng(), 100))
    assert len(points) == 100
    assert np.linalg.norm(points - CENTRE, axis=1).min() > 5.0 + BESIDE_MM - 1.5


def test_pairs_beside_a_nodule_have_empty_masks(case):
    many = prepare_nodule_pairs([case], SPEC, rng(), copies=4, beside_share=1.0)
    none = prepare_nodule_pairs([case], SPEC, rng(), copies=4, beside_share=0.0)
    assert len(many) > len(none)
    marked = [sum(pair.mask.any() for pair in pairs) for pairs in (many, none)]
    assert marked[0] == pytest.approx(marked[1], abs=4)
