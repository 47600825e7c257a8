"""The picture of samples shows training patients only, of all kinds, and follows its seed."""

import io

import numpy as np
import pytest
import yaml
from factories_volumes import make_head
from PIL import Image

from node.cli.app import main
from node.training import segmenter
from node.training.datasets.labelled import LabelledCase, make_volume
from node.training.recipe import Recipe
from node.training.samples import choose_pairs, plot_samples

RECIPE = {
    "task": "brain-test",
    "version": "0.0.1",
    "dataset": "made",
    "fractions": {"train": 0.5, "validation": 0.25, "test": 0.25},
    "segmenter": {"phases": [{"epochs": 1, "spacing_mm": 2.0, "crop": 64}]},
    "bundle": {},
}


def made_cases():
    cases = []
    for number in range(24):
        voxels = make_head((2, 96, 96), seed=number)
        mask = np.zeros(voxels.shape, bool)
        mask[0, 40:44, 40:44] = mask[1, 30:50, 40:60] = number % 6 != 5
        volume = make_volume(voxels, f"c{number}", spacing_mm=(5.0, 2.0, 2.0))
        cases.append(
            LabelledCase(
                patient=f"p{number // 2}",
                identifier=f"c{number}",
                volumes=(volume, volume),
                mask=mask,
                tumour_type=("rare", "often", "often")[number // 2 % 3],
            )
        )
    return cases


def test_cases_are_of_training_patients_and_of_all_kinds():
    cases, recipe = made_cases(), Recipe.model_validate(RECIPE)
    parts = segmenter.split_cases(cases, recipe)
    patient_of = {item.identifier: item.patient for item in cases}
    for seed in range(5):
        pairs = choose_pairs(recipe, cases, count=4, rng=np.random.default_rng(seed))
        names = [title.split() for title in pairs]
        assert {kind for kind, _ in names} == {"rare", "often"}
        patients = [patient_of[identifier] for _, identifier in names]
        assert len(set(patients)) == len(patients) == 4
        assert {parts[patient] for patient in patients} == {"train"}
        assert all(pair.mask.sum() == pytest.approx(400, rel=0.1) for pair in pairs.values())


def test_picture_has_a_row_for_each_case_and_follows_the_seed():
    cases, recipe = made_cases(), Recipe.model_validate(RECIPE)
    pairs = choose_pairs(recipe, cases, count=2, rng=np.random.default_rng(0))
    first, again, other = (plot_samples(recipe, pairs, count=2, seed=s) for s in (1, 1, 2))
    assert first == again != other
    with Image.open(io.BytesIO(first)) as picture:
        width, height = picture.size
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int)
    assert width > 2 * height
    assert (np.ptp(colours, axis=1) > 60).sum() > 100  # the outlines


def test_command_writes_the_picture(tmp_path, monkeypatch):
    monkeypatch.setitem(segmenter.DATASETS, "made", lambda _: made_cases())
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))
    out = tmp_path / "deep/samples.png"
    with pytest.raises(SystemExit) as ended:
        main(["train", "samples", str(recipe), "--data", str(tmp_path), "--out", str(out),
              "--cases", "1", "--count", "1"])  # fmt: skip
    assert ended.value.code == 0
    with Image.open(out) as picture:
        assert picture.format == "PNG"
