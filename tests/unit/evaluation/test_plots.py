import io

import matplotlib.image
import numpy as np
import pytest

from node.evaluation.pictures import Outlined, choose_slice, draw_cases
from node.evaluation.plots import (
    plot_by_group,
    plot_coverage,
    plot_robustness,
    plot_roc,
    plot_shares,
    plot_volumes,
)
from node.evaluation.robustness import RobustnessPoint


def pixels(png):
    return matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3]


def point(model, level, dice):
    return RobustnessPoint(
        degradation="blur", unit="mm", level=level, model=model, dice=dice, low=dice - 0.05,
        high=dice + 0.05, less_than_first=0.0, p_value=1.0, patients=3, cases=6,
    )  # fmt: skip


RNG = np.random.default_rng(0)
TRUTH = RNG.random(60) < 0.5
SCORE = np.clip(0.4 * TRUTH + 0.6 * RNG.random(60), 0, 1)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot_by_group({"a": RNG.random(9), "b": RNG.random(1)}, label="Dice"),
        lambda: plot_shares(
            {"<=3 mm": (np.nan, np.nan, np.nan, 0), ">10 mm": (0.8, 0.7, 0.9, 40)},
            label="found",
            unit="lesions",
        ),
        lambda: plot_roc({"by patient": (TRUTH, SCORE)}),
        lambda: plot_coverage(np.abs(SCORE - 0.5), (SCORE > 0.5) == TRUTH, coverage=0.8, error=0.1),
        lambda: plot_robustness([point(m, level, 0.9 - level) for m in "ab" for level in (0, 0.2)]),
        lambda: plot_volumes(np.array([1.0, 0.0, 5.0]), np.array([2.0, 1.0, 0.0]), label="ml"),
    ],
    ids=["groups", "shares", "roc", "coverage", "robustness", "volumes"],
)
def test_plots_are_pictures_that_show_something_and_repeat(draw):
    picture = pixels(draw())
    assert picture.shape[0] > 300
    dark = (picture < 0.6).any(axis=2).mean()
    assert 0.005 < dark < 0.6


def test_outlines_stand_where_the_masks_are():
    voxels = np.zeros((3, 60, 60), np.float32)
    reference, predicted = np.zeros((2, 3, 60, 60), bool)
    reference[1, 10:20, 10:20] = True
    predicted[1, 40:50, 40:50] = True
    assert choose_slice(reference, predicted) == 1
    case = Outlined(
        voxels=voxels,
        reference=reference,
        predicted=predicted,
        spacing_mm=(5, 1, 1),
        caption="patient 1",
    )
    picture = pixels(draw_cases([case], columns=1))
    green = np.argwhere((picture[..., 1] > 0.7) & (picture[..., 0] < 0.3))
    orange = np.argwhere((picture[..., 0] > 0.9) & (picture[..., 2] < 0.4))
    assert len(green) > 50
    assert len(orange) > 50
    assert (green.mean(axis=0) < orange.mean(axis=0)).all()


def test_the_slice_with_most_tumour_is_shown_where_masks_agree():
    mask = np.zeros((3, 8, 8), bool)
    mask[2, 2:6, 2:6] = True
    assert choose_slice(mask, mask) == 2
