"""A run of training on squares: phases, resumption, and that it learns."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest

from node.training.batches import TrainingPair, TrainingSet
from node.training.fit_unet import fit_segmenter
from node.training.losses import dice_metric, make_loss
from node.training.recipe import SegmenterRecipe

CALM = {"probability": 0.0, "strength": 0.0}
CALMED = (
    "elastic", "gamma", "contrast", "shift", "bias_field", "blur", "sharpen", "noise",
    "low_resolution",
)  # fmt: skip
SETTINGS = SegmenterRecipe.model_validate(
    {
        "network": {"filters": (4, 8), "fusion_channels": 2, "selective_from": 1, "dropout": 0},
        "augment": dict.fromkeys(CALMED, CALM),
        "phases": [
            {"epochs": 2, "spacing_mm": 2.0, "crop": 16},
            {"epochs": 3, "spacing_mm": 1.0, "crop": 32},
        ],
        "batch": 4,
        "learning_rate": 0.02,
        "average": 0.5,
        "precision": "float32",
        "negative_share": 0.25,
    }
)  # fmt: skip


def make_set(count, size, *, seed):
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        mask = np.zeros((size, size), np.float32)
        row, column = rng.integers(2, size // 2, 2)
        mask[row : row + size // 3, column : column + size // 3] = 1
        image = (rng.normal(0, 0.3, mask.shape) + 3 * mask).astype(np.float32)
        pairs.append(TrainingPair(image=image[..., None], mask=mask))
    empty = [
        TrainingPair(image=pair.image - 3 * pair.mask[..., None], mask=np.zeros_like(pair.mask))
        for pair in pairs[::3]
    ]
    return TrainingSet(positives=pairs, negatives=empty)


def fit(folder, settings=SETTINGS, *, resume=False, stop_at=None):
    seen = []

    def prepare(phase):
        if phase == stop_at:
            raise InterruptedError
        seen.append(phase)
        return make_set(24, phase.crop, seed=1), make_set(6, phase.crop, seed=2)

    best = fit_segmenter(
        prepare,
        settings=settings,
        channels=1,
        limits=(-3.0, 6.0),
        seed=5,
        run_dir=folder,
        resume=resume,
    )
    return best, seen


def read_optimizer(folder):
    loss = make_loss(SETTINGS.loss)
    known = {"loss": loss, "dice_metric": dice_metric}
    return keras.models.load_model(folder / "last.keras", custom_objects=known).optimizer


def read_history(folder):
    with (folder / "history.csv").open(newline="") as table:
        return list(csv.DictReader(table))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    best, seen = fit(folder)
    return folder, best, seen


def test_it_goes_through_all_phases_and_learns(whole):
    folder, best, seen = whole
    assert [phase.crop for phase in seen] == [16, 32]
    history = read_history(folder)
    assert [int(row["epoch"]) for row in history] == [1, 2, 3, 4, 5]
    assert float(history[-1]["val_loss"]) < float(history[0]["val_loss"])
    assert best.exists()
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_state_counts_the_samples_that_were_drawn(whole):
    state = json.loads((whole[0] / "state.json").read_text())
    assert state["epochs"] == 5
    assert state["slices"] == 24
    assert state["samples"] == 5 * (24 // 4) * 4


def test_a_broken_off_run_is_taken_up_where_it_stopped(tmp_path):
    first = SETTINGS.model_copy(
        update={"phases": (SETTINGS.phases[0], SETTINGS.phases[1].model_copy(update={"epochs": 1}))}
    )
    fit(tmp_path, first)
    _, seen = fit(tmp_path, resume=True)
    assert [phase.crop for phase in seen] == [32]
    assert [int(row["epoch"]) for row in read_history(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_warm_restart_has_a_cosine_of_its_own_and_keeps_the_best_network(whole, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "restarted")
    before = json.loads((folder / "state.json").read_text())["best_dice"]
    wild = SETTINGS.phases[1].model_copy(update={"epochs": 2, "restart_rate": 5.0})
    settings = SETTINGS.model_copy(update={"phases": (*SETTINGS.phases, wild)})
    kept = (folder / "best.keras").read_bytes()
    _, seen = fit(folder, settings, resume=True)
    assert seen == [wild]
    history = read_history(folder)
    assert [int(row["epoch"]) for row in history] == [1, 2, 3, 4, 5, 6, 7]
    assert float(history[-1]["val_dice_metric"]) < before  # no network survives such a rate
    assert json.loads((folder / "state.json").read_text())["best_dice"] == before
    assert (folder / "best.keras").read_bytes() == kept
    optimizer = read_optimizer(folder)
    steps = 24 // 4
    assert int(optimizer.iterations) == 2 * steps
    assert optimizer.get_config()["learning_rate"]["config"]["warmup_target"] == 5.0
    assert optimizer.get_config()["learning_rate"]["config"]["decay_steps"] == steps


def test_the_cosine_before_a_restart_ends_there(tmp_path):
    again = SETTINGS.phases[0].model_copy(update={"restart_rate": 0.01})
    settings = SETTINGS.model_copy(update={"phases": (SETTINGS.phases[0], again)})
    with pytest.raises(InterruptedError):
        fit(tmp_path, settings, stop_at=again)
    config = read_optimizer(tmp_path).get_config()["learning_rate"]["config"]
    assert config["decay_steps"] == 24 // 4
    assert config["warmup_target"] == SETTINGS.learning_rate


def test_a_finished_run_is_left_alone(whole):
    folder, best, _ = whole
    before = best.stat().st_mtime_ns
    _, seen = fit(folder, resume=True)
    assert seen == []
    assert best.stat().st_mtime_ns == before


def test_without_resume_it_begins_again(tmp_path):
    one = SETTINGS.model_copy(update={"phases": (SETTINGS.phases[0],)})
    fit(tmp_path, one)
    fit(tmp_path, one)
    assert [int(row["epoch"]) for row in read_history(tmp_path)] == [1, 2]
