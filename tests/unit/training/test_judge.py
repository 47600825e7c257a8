"""Judging labelled cases by the stages that serve, with a network that marks what is bright."""

from dataclasses import replace

import numpy as np
import pytest
from factories_volumes import make_geometry, make_volume

from node.domain.errors import SetupFault
from node.evaluation.case_figures import measure_cases, measure_tumour_free
from node.pipeline import Toolbox
from node.registry.bundle import Bundle
from node.registry.manifest import Manifest
from node.segment.lesions import LesionSpec
from node.segment.network import Network
from node.segment.preprocess import InputSpec
from node.training import judge_robustness as robustness
from node.training.datasets.labelled import LabelledCase
from node.training.judge import judge_cases, segment_case
from node.training.judge_bundle import Judgement, choose_test_set
from node.training.judge_report import write_bundle_report
from tests.unit.registry.test_bundle import MANIFEST


class Bright(Network):
    """Marks voxels above 100 in every channel."""

    def __init__(self, model=None, spec=None):
        super().__init__(model, spec or InputSpec())

    def predict(self, channels):
        return np.min([c.voxels > 100 for c in channels], axis=0).astype(np.float16)


@pytest.fixture
def toolbox(tmp_path) -> Toolbox:
    manifest = Manifest.model_validate({**MANIFEST, "classifier": None, "files": {}})
    return Toolbox(
        bundle=Bundle(path=tmp_path, manifest=manifest, digest="d" * 64),
        network=Bright(),
        lesions=LesionSpec(threshold=0.5, minimum_area_mm2=4.0, minimum_peak=0.5),
        extractor=None,
        classifier=None,
        abstain=None,
    )


def make_case(patient="p1", *, depth=1, tumour=True, bright=((10, 20),), channels=1, **more):
    """A tumour at 10 to 20; ``bright`` are the places that the network will mark, in slice 0."""
    shape = (depth, 48, 48)
    voxels = np.full(shape, 50, np.float32)
    for start, stop in bright:
        voxels[0, start:stop, start:stop] = 200
    mask = np.zeros(shape, bool)
    mask[0, 10:20, 10:20] = tumour
    volume = make_volume(voxels, make_geometry(shape, (5.0, 1.0, 1.0)))
    return LabelledCase(
        patient=patient,
        identifier=f"{patient}/1",
        volumes=(volume,) * channels,
        mask=mask,
        tumour_type="glioma",
        **more,
    )


def test_slices_are_judged_by_outline_lesion_and_false_mark(toolbox):
    results = judge_cases(
        [
            make_case("p1"),
            make_case("p1", bright=((15, 20), (30, 34))),
            make_case("p2", bright=()),
        ],
        toolbox,
    )
    assert results.unit == "slices"
    assert results.dice == pytest.approx([1.0, 2 * 25 / (100 + 25 + 16), 0.0])
    assert results.hit.tolist() == [True, True, False]
    assert [one.false_marks for one in results.lesions] == [0, 1, 0]
    assert results.column("hd95_mm")[2] == pytest.approx(np.hypot(48, 48))
    assert np.isnan(results.quiet_slices).all()
    assert not results.found.any()
    assert not results.known.any()


def test_volumes_have_slices_beside_the_tumour(toolbox):
    results = judge_cases([make_case(depth=5, channels=3), make_case("p2", depth=1)], toolbox)
    assert results.unit == "volumes"
    assert results.quiet_slices[0] == 1.0
    assert results.dice.tolist() == [1.0, 1.0]


def test_no_cases_give_no_figures(toolbox):
    assert measure_tumour_free(judge_cases([], toolbox), seed=1) is None


def test_other_channels_can_take_the_place_of_a_cases_own(toolbox):
    case = make_case()
    dark = tuple(replace(volume, voxels=volume.voxels * 0) for volume in case.volumes)
    assert segment_case(case, toolbox).labels.any()
    assert not segment_case(case, toolbox, channels=dark).labels.any()


def make_test_set(**more):
    cases = [make_case(f"p{n}") for n in range(10)]
    parts = {f"p{n}": "train" if n < 2 else "test" for n in range(10)}
    return choose_test_set(cases, [], parts, seed=3, **more)


def test_only_test_patients_are_chosen_and_counted():
    chosen = make_test_set()
    assert [case.patient for case in chosen.cases] == [f"p{n}" for n in range(2, 10)]
    assert chosen.split_patients["with_tumour"] == {"train": 2, "test": 8}
    assert [case.patient for case in make_test_set(every=3).cases] == ["p2", "p5", "p8"]
    few = [case.patient for case in make_test_set(limit=3).cases]
    assert (few[0], few[-1], len(few)) == ("p2", "p9", 3)
    assert len(make_test_set(limit=30).cases) == 8


def test_a_report_is_written_with_pictures_of_failures(toolbox, tmp_path):
    cases = [make_case("p1"), make_case("p2", bright=()), make_case("p3", bright=((12, 20),))]
    free = [make_case("q1", tumour=False), make_case("q2", tumour=False, bright=())]
    results, quiet = judge_cases(cases, toolbox), judge_cases(free, toolbox)
    test_set = choose_test_set(
        cases, free, dict.fromkeys(("p1", "p2", "p3", "q1", "q2"), "test"), seed=1
    )
    figures = {
        **measure_cases(results, seed=1),
        "quiet": measure_tumour_free(quiet, seed=1),
        "split_patients": test_set.split_patients,
    }
    judged = Judgement(
        test_set=test_set, toolbox=toolbox, results=results, tumour_free=quiet, figures=figures
    )
    path = tmp_path / "report.html"
    write_bundle_report(path, toolbox.bundle, judged, partial=True)
    html = path.read_text("utf-8")
    assert "Marks on tumour-free images: 1 of 2." in html
    assert "A quick trial" in html
    assert "it says nothing of their nature" in html
    assert html.count("data:image/png") == 5


def test_robustness_of_a_bundle_beside_another_network(toolbox, tmp_path, monkeypatch):
    cases = [make_case(f"p{n}") for n in range(3)]
    free = [make_case("q", tumour=False, bright=())]
    test_set = choose_test_set(cases, free, {"p0": "test", "p1": "test", "p2": "test", "q": "test"},
                               seed=1)  # fmt: skip
    monkeypatch.setattr(robustness, "open_toolbox", lambda _: toolbox)
    monkeypatch.setattr(robustness, "read_test_set", lambda *_, **__: test_set)
    monkeypatch.setattr(robustness, "_open_beside", lambda tools, _: tools)
    points = robustness.judge_robustness(
        toolbox.bundle,
        data_dir=tmp_path,
        negatives_dir=None,
        against=[tmp_path / "plain.keras", tmp_path / "short"],
    )
    assert {p.group for p in points} == {"tumour", "tumour-free"}
    assert {p.model for p in points} == {"brain-t1ce 0.1.0", "plain", "short"}
    assert {p.degradation for p in points} == {"noise", "blur", "pixels"}
    assert all(p.dice == 1.0 for p in points if p.level == 0)


def test_a_folder_without_a_network_is_refused(toolbox, tmp_path):
    with pytest.raises(SetupFault, match=r"best\.keras"):
        robustness._open_beside(toolbox, tmp_path)
