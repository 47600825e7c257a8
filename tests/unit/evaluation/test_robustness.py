import csv

import numpy as np
import pytest

from node.domain.errors import SetupFault
from node.evaluation.degrade import BLUR, PIXELS, RICIAN_NOISE, SLICES
from node.evaluation.robustness import ImageCase, measure_robustness, read_points, write_points


def make_cases(count=6, depth=1):
    rng = np.random.default_rng(0)
    cases = []
    for number in range(count):
        mask = np.zeros((depth, 48, 48), bool)
        mask[:, 18:30, 14 + number : 28 + number] = True
        voxels = rng.normal(50, 2, mask.shape) + 60 * mask
        cases.append(
            ImageCase(
                patient=f"p{number // 2}",
                channels=(voxels.astype(np.float32),),
                mask=mask,
                spacing_mm=(5.0, 0.5, 0.5),
            )
        )
    return cases


def bright(case):
    return case.channels[0] > 80


def blind(case):
    return np.zeros_like(case.mask)


def test_curves_start_at_the_plain_image_and_fall():
    points = measure_robustness(
        {"bright": bright, "blind": blind}, make_cases(), (RICIAN_NOISE, BLUR, PIXELS), seed=1
    )
    by_key = {(p.degradation, p.level, p.model): p for p in points}
    for name in ("noise", "blur", "pixels"):
        assert by_key[name, 0.0, "bright"].dice == 1.0
    noise = [by_key["noise", level, "bright"].dice for level in RICIAN_NOISE.levels]
    assert noise == sorted(noise, reverse=True)
    assert noise[-1] < 0.95
    against = by_key["noise", 0.0, "blind"]
    assert (against.dice, against.less_than_first) == (0.0, 1.0)
    assert (against.patients, against.cases) == (3, 6)


def test_all_models_see_the_same_images_and_a_seed_repeats_them():
    seen = {"a": [], "b": []}

    def remember(name):
        return lambda case: seen[name].append(case.channels[0]) or bright(case)

    first = measure_robustness(
        {name: remember(name) for name in seen}, make_cases(2), (RICIAN_NOISE,), seed=5
    )
    assert all(np.array_equal(a, b) for a, b in zip(seen["a"], seen["b"], strict=True))
    again = measure_robustness({"a": bright, "b": bright}, make_cases(2), (RICIAN_NOISE,), seed=5)
    assert first == again


def test_a_degradation_that_fits_no_case_is_left_out():
    flat = measure_robustness({"bright": bright}, make_cases(), (BLUR, SLICES), seed=1)
    assert {p.degradation for p in flat} == {"blur"}
    deep = measure_robustness({"bright": bright}, make_cases(2, depth=6), (SLICES,), seed=1)
    assert [p.level for p in deep] == [1.0, 2.0, 3.0]


def test_tumour_free_images_give_the_share_without_a_mark():
    empty = [
        ImageCase(
            patient=case.patient,
            channels=case.channels,
            mask=np.zeros_like(case.mask),
            spacing_mm=case.spacing_mm,
        )
        for case in make_cases()
    ]
    points = measure_robustness({"bright": bright, "blind": blind}, empty, (BLUR,), seed=1)
    assert {p.model: p.dice for p in points if p.level == 0} == {"bright": 0.0, "blind": 1.0}


def test_points_are_written_as_a_table(tmp_path):
    points = measure_robustness({"bright": bright}, make_cases(2), (BLUR,), seed=1)
    write_points(tmp_path / "points.csv", points)
    with (tmp_path / "points.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == len(points)
    assert float(rows[-1]["dice"]) == pytest.approx(points[-1].dice, rel=1e-5)
    assert rows[0]["model"] == "bright"
    again = read_points(tmp_path / "points.csv")
    assert [p.dice for p in again] == pytest.approx([p.dice for p in points], rel=1e-5)
    assert (again[0].model, again[0].cases, again[0].group) == ("bright", 2, "tumour")


def test_another_table_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SetupFault, match="robustness"):
        read_points(tmp_path / "other.csv")
