"""Manifests with and without roles and classifier; golden cases of several channels."""

import math

import numpy as np
import pytest
from factories_volumes import make_head, make_volume
from pydantic import ValidationError

from node.domain.errors import SetupFault
from node.domain.prompt import Prompt
from node.registry.bundle import load_bundle
from node.registry.golden import (
    GoldenInput,
    GoldenOutput,
    compare_golden,
    read_golden,
    save_golden,
)
from node.registry.manifest import RoleEntry
from node.registry.sequences import SEQUENCES
from node.registry.store import ModelStore
from tests.unit.registry.test_bundle import write_bundle


def test_a_manifest_of_before_has_one_series_and_a_classifier(tmp_path) -> None:
    manifest = load_bundle(write_bundle(tmp_path)).manifest
    assert (manifest.kind, manifest.roles) == ("slices", ())
    assert manifest.classifier.normalisation == "tissue"


def test_a_bundle_may_only_segment(tmp_path) -> None:
    bundle = load_bundle(write_bundle(tmp_path, classifier=None))
    assert bundle.manifest.classifier is None
    assert bundle.identity.classifier_name == ""


def test_roles_are_known_by_name_or_told(tmp_path) -> None:
    write_bundle(tmp_path, roles=[{"name": "flair"}, {"name": "x", "match": [{}]}])
    first, second = ModelStore(tmp_path).manifest("brain-t1ce").roles
    assert first.alternatives == SEQUENCES["flair"]
    assert len(second.alternatives) == 1
    with pytest.raises(ValidationError, match="needs 'match'"):
        RoleEntry(name="x")


def test_channels_and_prompts_of_a_golden_case_are_kept(tmp_path) -> None:
    channels = tuple(make_volume(make_head((2, 40, 30), seed=seed)) for seed in range(3))
    prompts = (
        Prompt(point_lps_mm=(1.0, 2.0, 3.0), extent_mm=7.5),
        Prompt(point_lps_mm=(4.0, 5.0, 6.0)),
    )
    output = GoldenOutput(mask=channels[0].voxels > 300, values=np.empty(0), probability=math.nan)
    save_golden(tmp_path, GoldenInput(channels=channels, prompts=prompts), output)
    given, expected = read_golden(tmp_path)
    assert [c.voxels.tolist() for c in given.channels] == [c.voxels.tolist() for c in channels]
    assert all(c.geometry.is_close(channels[0].geometry) for c in given.channels)
    assert [(p.point_lps_mm, p.extent_mm) for p in given.prompts] == [
        ((1.0, 2.0, 3.0), 7.5), ((4.0, 5.0, 6.0), None),
    ]  # fmt: skip
    compare_golden(output, expected, bundle="b")


@pytest.mark.parametrize(("probability", "values"), [(0.5, np.empty(0)), (math.nan, np.ones(3))])
def test_a_bundle_that_suddenly_classifies_is_another_one(probability, values) -> None:
    mask = np.ones((1, 4, 4), bool)
    expected = GoldenOutput(mask=mask, values=np.empty(0), probability=math.nan)
    found = GoldenOutput(mask=mask, values=values, probability=probability)
    with pytest.raises(SetupFault):
        compare_golden(found, expected, bundle="b")
