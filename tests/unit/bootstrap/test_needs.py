"""How urgent a study is by rule and sender, and how much memory its job is taken to need."""

from pathlib import Path

import pytest
import yaml
from factories_images import checked_series, edit_files
from pydicom.dataset import Dataset
from small_study import write_small_study

from node.assemble.conditions import failed_conditions
from node.assemble.headers import read_series
from node.bootstrap.needs import memory_of, priority_of
from node.config.settings import Peer, RoutingRule, SeriesMatch, Settings
from node.domain.priority import Priority
from node.pipeline import STAGES
from node.registry.manifest import MEASURED
from node.registry.store import ModelStore

MODELS = Path(__file__).parents[3] / "models"
PEERS = (
    Peer(name="er", ae_title="ER_CT", priority="stat"),
    Peer(name="ward", ae_title="WARD"),
)


def rule(**more: object) -> RoutingRule:
    values = {"name": "r", "match": SeriesMatch(modality=("MR",)), "bundle": "b"}
    return RoutingRule(**(values | {"destinations": ("d",)} | more))


@pytest.mark.parametrize(
    ("of_rule", "sender", "expected"),
    [
        (None, "ER_CT", Priority.STAT),
        (None, " ER_CT ", Priority.STAT),
        (None, "WARD", Priority.ROUTINE),
        (None, "STRANGER", Priority.ROUTINE),
        ("high", "WARD", Priority.HIGH),
        ("routine", "ER_CT", Priority.ROUTINE),
    ],
)
def test_the_rule_comes_before_the_sender(of_rule, sender, expected):
    settings = Settings(peers=PEERS, routing=(rule(priority=of_rule),))
    assert priority_of(settings, settings.routing[0], sender) is expected


@pytest.mark.parametrize("place", ["object", "request", "retired", "none"])
def test_a_rule_matches_the_priority_of_the_request(tmp_path, place):
    def mark(dataset, _):
        request = Dataset()
        request.RequestedProcedurePriority = "STAT"
        if place == "object":
            dataset.RequestedProcedurePriority = "STAT"
        elif place == "request":
            dataset.RequestAttributesSequence = [request]
        elif place == "retired":
            dataset.StudyPriorityID = "STAT"

    written = write_small_study(tmp_path)
    edit_files(written.paths, mark)
    study = read_series(written.paths)
    match = SeriesMatch(requested_priority=("stat",))
    failed = failed_conditions(study.series[0], study, match)
    assert failed == (["requested_priority"] if place == "none" else [])


def test_memory_is_that_of_all_voxels_times_the_factor_and_a_floor(tmp_path):
    write_small_study(tmp_path / "dicom")
    series = checked_series(tmp_path / "dicom")
    assert series.geometry is not None
    slices, rows, columns = series.geometry.shape
    entry = MEASURED["slices"]
    expected = entry.floor_mb * 2**20 + entry.factor * 4 * slices * rows * columns
    models = ModelStore(MODELS)
    assert memory_of(models, "brain-t1ce", [series]) == int(expected)
    two = memory_of(models, "brain-t1ce", [series, series])
    assert two - int(expected) == int(entry.factor * 4 * slices * rows * columns)

    (shipped,) = MODELS.glob("brain-t1ce/*/bundle.yaml")
    own = tmp_path / "models/own/1/bundle.yaml"
    own.parent.mkdir(parents=True)
    told = yaml.safe_load(shipped.read_text()) | {"memory": {"factor": 2, "floor_mb": 100}}
    own.write_text(yaml.safe_dump(told))
    expected = 100 * 2**20 + 2 * 4 * slices * rows * columns
    assert memory_of(ModelStore(tmp_path / "models"), "own", [series]) == expected


def test_every_stage_has_a_time_out():
    stages = {"load", *(name for name, _ in STAGES)}
    assert set(Settings().node.jobs.stage_timeouts_s) == stages
