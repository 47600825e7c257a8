"""Components found slice by slice are those of scipy's labelling of the whole stack."""

import numpy as np
import pytest
from scipy import ndimage

from node.segment.components import find_components


def label_whole(mask: np.ndarray) -> list[np.ndarray]:
    labelled, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labelled.ravel(), minlength=count + 1)
    order = sorted(range(1, count + 1), key=lambda n: (-sizes[n], n))
    return [labelled == n for n in order]


def find_whole(mask: np.ndarray) -> list[np.ndarray]:
    found = []
    for box, inside in find_components(mask.astype(np.float16), 0.5):
        assert all(
            inside.any(axis=axes)[end] for axes in ((1, 2), (0, 2), (0, 1)) for end in (0, -1)
        )
        whole = np.zeros(mask.shape, bool)
        whole[box] = inside
        found.append(whole)
    return found


@pytest.mark.parametrize("share", [0.0, 0.01, 0.03, 0.06, 0.3, 1.0])
def test_as_labelling_the_whole_stack(share):
    rng = np.random.default_rng(round(1000 * share))
    for shape in ((12, 17, 23), (30, 9, 8), (1, 20, 20)):
        mask = rng.random(shape) < share
        mask[shape[0] // 2, : shape[1] // 2] = False
        expected, found = label_whole(mask), find_whole(mask)
        assert len(found) == len(expected)
        assert all(map(np.array_equal, found, expected))


def test_arms_that_meet_below_are_one_component():
    mask = np.zeros((3, 5, 7), bool)
    mask[:2, 2, 1] = mask[:2, 2, 5] = True
    mask[2, 2, 1:6] = True
    (found,) = find_whole(mask)
    assert np.array_equal(found, mask)


def test_an_empty_slice_separates():
    mask = np.ones((5, 4, 4), bool)
    mask[2] = False
    assert len(find_whole(mask)) == 2
