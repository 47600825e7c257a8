import numpy as np
import pytest
from factories_nodules import CENTRE, ball, ct_of
from scipy import ndimage

from node.domain.prompt import Prompt
from node.segment.lesions import LesionSpec
from node.segment.nodule import NoduleNetwork, find_nodules
from node.segment.nodule_patches import NoduleInputSpec

SPEC = NoduleInputSpec(spacing_mm=0.7, size=32, reach_mm=12.0)
LESIONS = LesionSpec(threshold=0.5, minimum_area_mm2=4.0, minimum_peak=0.6)


class MarksSoftTissue:
    """Stands for a trained network: everything above about -400 HU."""

    def __init__(self):
        self.shapes = set()

    def predict_on_batch(self, images):
        self.shapes.add(images.shape)
        return 10 * (images[..., 1:2] + 0.15)


class Leans:
    """Marks only what lies in the upper left of its image: mirror images average it out."""

    def predict_on_batch(self, images):
        logits = np.full((*images.shape[:3], 1), -10.0)
        logits[:, :16, :16] = 10.0
        return logits


class SeesNear:
    """Marks soft tissue within 7 mm of the point: from an edge it sees half a nodule."""

    def predict_on_batch(self, images):
        is_near = images[..., 3:] * SPEC.distance_mm < 7.0
        return np.where(is_near, 10 * (images[..., 1:2] + 0.15), -10.0)


class LostInside:
    """Where all is soft tissue it marks a bit round the point, elsewhere all soft tissue."""

    def predict_on_batch(self, images):
        is_soft = images[..., 1:2] > -0.15
        is_lost = is_soft.mean(axis=(1, 2, 3), keepdims=True) > 0.9
        is_near = images[..., 3:] * SPEC.distance_mm < 3.0
        return np.where(is_soft & (is_near | ~is_lost), 10.0, -10.0)


def find(volume, *prompts, model=None):
    network = NoduleNetwork(model or MarksSoftTissue(), SPEC)
    return find_nodules(volume, prompts, network, LESIONS, model_digest="d")


def at(*offset, label=""):
    x, y, z = CENTRE + np.array(offset)
    return Prompt(point_lps_mm=(x, y, z), label=label, source="SR")


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("offset", [(0, 0, 0), (2.0, -2.0, 1.5), (0, 6.5, 0)])
def test_the_part_at_the_point_is_the_lesion(offset):
    volume, mask = ct_of(ball(5.0))
    found = find(volume, at(*offset))
    assert len(found.segmentation.lesions) == 1
    assert dice(found.segmentation.labels > 0, mask) > 0.9
    assert found.prompts_of[1] == (at(*offset),)
    assert not found.absent


def test_a_point_at_the_edge_is_moved_to_the_middle():
    volume, mask = ct_of(ball(6.0))
    found = find(volume, at(5.0, 0, 0), model=SeesNear())
    assert dice(found.segmentation.labels > 0, mask) > 0.85
    assert found.prompts_of == {1: (at(5.0, 0, 0),)}


def test_other_parts_are_left_alone():
    inside = lambda x: ball(4.0)(x) | ball(5.0, at=(10.0, 0, 0))(x)  # noqa: E731 - a union
    volume, _ = ct_of(inside)
    found = find(volume, at(0, 0, 0))
    assert dice(found.segmentation.labels > 0, ct_of(ball(4.0))[1]) > 0.9
    assert not found.segmentation.probability[ct_of(ball(4.0, at=(10.0, 0, 0)))[1]].any()


def test_each_point_has_its_lesion_and_shared_ones_count_once():
    inside = lambda x: ball(4.0)(x) | ball(6.0, at=(13.0, 0, 0))(x)  # noqa: E731 - a union
    volume, _ = ct_of(inside)
    small, again, large = at(0, 0, 0, label="a"), at(1, 1, 0, label="b"), at(13, 0, 0, label="c")
    found = find(volume, small, again, large)
    assert found.prompts_of == {1: (large,), 2: (small, again)}


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        (at(-16.0, 16.0, 0), "nothing-at-point"),
        (at(500.0, 0, 0), "point-outside-volume"),
        (at(0, 0, 22.0), "point-outside-volume"),
    ],
)
def test_a_point_that_leads_nowhere_is_told(prompt, code):
    volume, _ = ct_of(ball(4.0))
    found = find(volume, prompt)
    assert not found.segmentation.lesions
    assert [problem.code for problem in found.absent] == [code]
    assert found.absent[0].tag == "SR"


def test_air_is_named_in_hounsfield_units():
    volume, _ = ct_of(ball(4.0))
    (problem,) = find(volume, at(-16.0, 16.0, 0)).absent
    assert "-850 HU" in problem.found


def test_specks_are_told_as_too_small():
    volume, _ = ct_of(ball(0.9))
    (problem,) = find(volume, at(0, 0, 0)).absent
    assert problem.code == "too-small-at-point"


def test_a_mass_larger_than_the_patch_is_seen_whole():
    volume, mask = ct_of(ball(20.0), spacing_mm=(2.0, 1.0, 1.0), shape=(31, 80, 80))
    found = find(volume, at(3.0, 0, 0))  # the patch is 22 mm wide
    assert dice(found.segmentation.labels > 0, mask) > 0.9


def test_a_bit_of_a_mass_is_not_taken_for_a_nodule():
    volume, mask = ct_of(ball(20.0), spacing_mm=(2.0, 1.0, 1.0), shape=(31, 80, 80))
    found = find(volume, at(0, 0, 0), model=LostInside())
    assert dice(found.segmentation.labels > 0, mask) > 0.9


def test_a_nodule_seen_whole_is_not_traded_for_its_surroundings():
    """Though a wider view makes it some four times as large."""
    volume, mask = ct_of(ball(5.0), spacing_mm=(1.0, 1.0, 1.0), shape=(40, 80, 80))
    network = NoduleNetwork(MarksSoftTissue(), SPEC)
    predict = network.predict_point

    def predict_point(*arguments, widening):
        box, seen = predict(*arguments, widening=widening)
        grown = ndimage.binary_dilation(seen > 0.5, iterations=2).astype(np.float16)
        return box, seen if widening == 1.0 else grown

    network.predict_point = predict_point
    found = find_nodules(volume, [at(0, 0, 0)], network, LESIONS, model_digest="d")
    assert dice(found.segmentation.labels > 0, mask) > 0.9


def test_the_edge_of_the_volume_is_no_reason_to_look_wider():
    volume, mask = ct_of(ball(5.0), shape=(5, 14, 14))  # a tight cut-out
    model = MarksSoftTissue()
    seen = []
    network = NoduleNetwork(model, SPEC)
    predict = network.predict_point
    network.predict_point = lambda *a, **k: seen.append(k["widening"]) or predict(*a, **k)
    found = find_nodules(volume, [at(0, 0, 0)], network, LESIONS, model_digest="d")
    assert seen == [1.0]
    assert dice(found.segmentation.labels > 0, mask) > 0.9


def test_two_slices_are_enough():
    volume, mask = ct_of(ball(4.0), shape=(2, 44, 44), spacing_mm=(2.5, 0.7, 0.7))
    found = find(volume, at(0, 0, 0))
    assert dice(found.segmentation.labels > 0, mask) > 0.9


def test_batches_have_one_size():
    volume, _ = ct_of(ball(5.0))
    model = MarksSoftTissue()
    find(volume, at(0, 0, 0), at(5.0, 0, 4.0), model=model)
    assert len(model.shapes) == 1


def test_mirror_images_average_out_a_lean():
    volume, _ = ct_of(ball(5.0))
    _, seen = NoduleNetwork(Leans(), SPEC).predict_point(volume, at(0, 0, 0))
    middle = seen[len(seen) // 2]
    np.testing.assert_allclose(middle[3:12, 3:12], 0.25, atol=0.01)
    np.testing.assert_allclose(middle, middle[::-1, ::-1], atol=0.01)


def test_probability_of_all_points_on_the_volume():
    inside = lambda x: ball(4.0)(x) | ball(4.0, at=(15.0, 0, 0))(x)  # noqa: E731 - a union
    volume, mask = ct_of(inside)
    probability = NoduleNetwork(MarksSoftTissue(), SPEC).predict(
        volume, [at(0, 0, 0), at(15.0, 0, 0)]
    )
    assert probability.shape == volume.voxels.shape
    assert probability.dtype == np.float16
    assert dice(probability > 0.5, mask) > 0.9
