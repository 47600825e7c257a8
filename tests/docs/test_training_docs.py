"""models/README.md says what the settings of augmentation and of a user's data set really are."""

import re
from pathlib import Path

import yaml

from node.training.augment.recipe import AugmentRecipe
from node.training.datasets.description import load_description

README = (Path(__file__).parents[2] / "models/README.md").read_text("utf-8")


def test_every_setting_of_augmentation_is_documented_and_no_other():
    section = README.split("## Augmentation", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("| ")][1:]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    named |= {"crop", "intensity_channels"}  # of the phase; in the text below the table
    assert named == set(AugmentRecipe.model_fields)


def test_examples_of_dataset_yaml_are_accepted(tmp_path):
    section = README.split("## Your own data", 1)[1].split("\n## ", 1)[0]
    dicom, files, common = (
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    )
    for example in (dicom, files):
        (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(example | common))
        described = load_description(tmp_path)
        assert described.kind == example["kind"]
        assert set(type(described).model_fields) == set(example | common) | {
            "tumour_type",
            "malignant",
        }
