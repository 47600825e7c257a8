"""A bundle refuses series that it was not made for, with every reason."""

import numpy as np
import pytest
from factories_volumes import make_geometry

from node.domain.errors import InputRejected
from node.domain.study import Series
from node.pipeline import STAGES
from node.registry.bundle import Bundle
from node.registry.fit import check_fit
from node.registry.manifest import Manifest
from tests.unit.registry.test_bundle import MANIFEST


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    accepts = {
        "modality": ["MR"],
        "body_part": ["BRAIN", "HEAD"],
        "maximum_spacing_mm": 2.0,
        "minimum_extent_mm": 120.0,
    }
    manifest = Manifest.model_validate({**MANIFEST, "accepts": accepts, "files": {}})
    return Bundle(path=tmp_path, manifest=manifest, digest="d")


def make_series(modality="MR", body_part="BRAIN", spacing_mm=1.0, rows=200) -> Series:
    return Series(
        series_instance_uid="1.2.3.4",
        study_instance_uid="1.2.3",
        modality=modality,
        instances=(),
        attributes={"BodyPartExamined": body_part},
        geometry=make_geometry((10, rows, 200), (5.0, spacing_mm, spacing_mm)),
    )


def codes_of(series: Series, bundle: Bundle) -> set[str]:
    with pytest.raises(InputRejected) as rejected:
        check_fit(series, bundle)
    return {problem.code for problem in rejected.value.problems}


@pytest.mark.parametrize("body_part", ["BRAIN", "head", ""])
def test_what_fits_passes(bundle, body_part):
    check_fit(make_series(body_part=body_part), bundle)


def test_each_misfit_is_refused(bundle):
    assert codes_of(make_series(modality="CT"), bundle) == {"wrong-modality"}
    assert codes_of(make_series(body_part="EXTREMITY"), bundle) == {"wrong-body-part"}
    assert codes_of(make_series(spacing_mm=3), bundle) == {"pixels-too-coarse"}
    assert codes_of(make_series(rows=100), bundle) == {"field-of-view-too-small"}


def test_all_misfits_are_told_at_once(bundle):
    wrong = make_series(modality="CT", body_part="CHEST", rows=100)
    assert codes_of(wrong, bundle) == {
        "wrong-modality", "wrong-body-part", "field-of-view-too-small",
    }  # fmt: skip


def test_the_walk_is_as_documented():
    names = ["read", "segment", "radiomics", "classify", "compare", "report"]
    assert [name for name, _ in STAGES] == names
    assert np.all([callable(stage) for _, stage in STAGES])
