"""Which cases are perturbed, and the command from a data set's folder to its files."""

import csv
import io
import json
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from node.cli.app import app
from node.domain.errors import InputRejected
from node.training.datasets.labelled import LabelledCase, make_volume
from node.training.feature_choice import read_reproducibility
from node.training.reproducibility import choose_cases


def make_case(patient, identifier, voxels, slices=3):
    """A case whose mask has ``voxels`` voxels, most of them in slice 1."""
    mask = np.zeros((slices, 20, 20), bool)
    mask[1].reshape(-1)[: max(voxels - 1, 0)] = True
    mask[0, 0, 0] = voxels > 0
    volumes = tuple(
        make_volume(np.full(mask.shape, role, np.uint8), identifier, spacing_mm=(5.0, 1.0, 1.0))
        for role in range(2)
    )
    return LabelledCase(patient=patient, identifier=identifier, volumes=volumes, mask=mask)


CASES = [
    make_case("b", "b1", 10),
    make_case("b", "b2", 30),
    make_case("a", "a1", 20),
    make_case("c", "c1", 0),
    make_case("d", "d1", 5),
]


def choose(**changes):
    settings = {"role": 0, "planar": False, "limit": None, "rng": np.random.default_rng(1)}
    return choose_cases(CASES, **settings | changes)


def test_each_patient_gives_its_largest_lesion():
    assert [case.identifier for case in choose()] == ["a1", "b2", "d1"]


def test_a_limit_draws_patients_and_a_planar_profile_one_slice():
    chosen = choose(limit=2, planar=True, role=1)
    assert len(chosen) == 2
    assert {case.identifier for case in chosen} < {"a1", "b2", "d1"}
    for case in chosen:
        assert case.voxels.shape == case.mask.shape == (1, 20, 20)
        assert case.voxels.max() == 1
        assert case.mask.sum() in (4, 19, 29)
        assert case.spacing_mm == (5.0, 1.0, 1.0)


def test_a_set_without_lesions_is_refused():
    with pytest.raises(InputRejected):
        choose_cases(CASES[3:], role=0, planar=True, limit=None, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def cheng(tmp_path_factory):
    """Ten patients in the format of the Cheng set, two slices each."""
    folder = tmp_path_factory.mktemp("cheng")
    rng = np.random.default_rng(2)
    rows, masks = [], []
    with zipfile.ZipFile(folder / "slices.zip", "w") as archive:
        for number in range(1, 21):
            radius = 6 + 2 * (number // 2)
            distance = np.hypot(*(np.indices((96, 96)) - 48))
            mask = distance < radius / (1 + number % 2)
            image = 30.0 + 60 * (distance < 42) + 8 * number * mask
            image += rng.normal(0, 4, image.shape)
            file = io.BytesIO()
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=95)
            archive.writestr(f"{number:04d}.jpg", file.getvalue())
            masks.append(np.packbits(mask))
            patient = str(100 + (number - 1) // 2)
            rows.append((number, "glioma", 1, patient, patient, 512, int(mask.sum())))
    np.savez(
        folder / "masks_packbits.npz",
        ids=np.arange(1, 21),
        masks=np.stack(masks),
        shape=np.array([96, 96]),
    )
    with (folder / "index.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ["id", "type", "malignant", "pid", "patient_group", "native_size", "tumour_px"]
        )
        table.writerows(rows)
    return folder


def invoke(*arguments):
    result = CliRunner().invoke(app, ["evaluate", "reproducibility", *map(str, arguments)])
    assert result.exception is None, result.output
    return result.output


def test_the_command_writes_what_it_says(cheng, tmp_path):
    output = invoke(
        "--data", cheng, "--dataset", "cheng", "--out", tmp_path / "one",
        "--cases", 5, "--repeats", 3, "--seed", 4,
    )  # fmt: skip
    summary = json.loads((tmp_path / "one/reproducibility.json").read_text())
    assert (summary["cases"], summary["repeats"], summary["seed"]) == (5, 3, 4)
    assert (summary["dataset"], summary["profile"]) == ("cheng", "planar-102")
    assert summary["all"]["features"] == 102
    found = json.loads((tmp_path / "one/icc.json").read_text())
    assert found["original_shape2D_PixelSurface"]["icc"] > 0.9
    assert f"{summary['all']['icc_0.75']:.1%}" in output
    read = read_reproducibility(tmp_path / "one/icc.json")  # as the classifier's training does
    assert read == {name: v["icc"] for name, v in found.items() if v["icc"] is not None}
    assert len(read) > 90

    invoke(
        "--data", cheng, "--dataset", "cheng", "--out", tmp_path / "two",
        "--cases", 5, "--repeats", 3, "--seed", 4,
    )  # fmt: skip
    assert (tmp_path / "two/icc.csv").read_text() == (tmp_path / "one/icc.csv").read_text()


def test_a_recipe_gives_the_settings_and_keeps_its_test_patients_out(cheng, tmp_path):
    recipe = {
        "task": "t",
        "version": "1",
        "dataset": "cheng",
        "fractions": {"train": 0.4, "validation": 0.2, "test": 0.4},
        "input": {"spacing_mm": 1.5},
        "classifier": {"bin_width": 33.0},
        "bundle": {},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    invoke(
        "--data", cheng, "--dataset", "cheng", "--out", tmp_path, "--repeats", 2,
        "--recipe", tmp_path / "recipe.yaml",
    )  # fmt: skip
    summary = json.loads((tmp_path / "reproducibility.json").read_text())
    assert summary["cases"] == 6
    assert summary["extraction"]["spacing_mm"] == 1.5
    assert summary["extraction"]["bin_width"] == 33.0


@pytest.mark.parametrize("option", [("--profile", "no-such"), ("--cases", "1")])
def test_wrong_options_are_refused(cheng, tmp_path, option):
    result = CliRunner().invoke(
        app,
        ["evaluate", "reproducibility", "--data", str(cheng), "--dataset", "cheng",
         "--out", str(tmp_path), *option],
    )  # fmt: skip
    assert result.exit_code == 2
