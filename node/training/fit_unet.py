"""Train the segmenter: a resumable run in a folder, with a checkpoint after every epoch."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from node.segment.msa_resunet import NetworkSpec, build_network
from node.training.averaging import WeightAverage
from node.training.batches import TrainingSet, count_steps, make_batches, stack_full
from node.training.curves import append_history, draw_curves
from node.training.losses import dice_metric, make_loss
from node.training.recipe import Phase, SegmenterRecipe

log = structlog.get_logger()

#: Gives training and validation slices on the grid of a phase.
Preparer = Callable[[Phase], tuple[TrainingSet, TrainingSet]]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """Where a run stands; ``state.json`` in its folder.

    Parameters
    ----------
    epochs : int
        Finished.
    best_dice : float
        Highest validation Dice of the phase.
    samples : int
        Augmented samples drawn so far: all differ.
    slices : int
        With a lesion, that they were drawn from.
    """

    epochs: int = 0
    best_dice: float = -1.0
    samples: int = 0
    slices: int = 0

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "RunState":
        """Read what ``save`` wrote."""
        return cls(**json.loads(path.read_text()))


def fit_segmenter(
    prepare: Preparer,
    *,
    settings: SegmenterRecipe,
    channels: int,
    limits: tuple[float, float],
    seed: int,
    run_dir: Path,
    resume: bool,
) -> Path:
    """Train through all phases.

    Parameters
    ----------
    prepare : callable
        Called at the start of each phase. Slices without lesion in the validation set count with
        a Dice of 1 or 0.
    settings : SegmenterRecipe
    channels : int
        Of the input.
    limits : tuple of float
        Of the prepared intensities; the lower one is background.
    seed : int
    run_dir : Path
        Receives ``last.keras`` with ``average.npz``, ``best.keras`` (running average of the
        weights at the highest validation Dice of the last phase), ``history.csv``,
        ``curves.png`` and ``state.json``.
    resume : bool
        Go on from ``last.keras`` if it is there.

    Returns
    -------
    Path
        The best network so far.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    run = _Run(settings, channels=channels, seed=seed, run_dir=run_dir)
    first = 0
    for place, phase in enumerate(settings.phases):
        last = first + phase.epochs
        if not (resume and run.is_done(last)):
            training, validation = prepare(phase)
            run.fit(place, training, validation, first=first, limits=limits, resume=resume)
        resume, first = True, last
    return run.best


class _Run:
    """A run folder, and the model while it is trained."""

    def __init__(
        self, settings: SegmenterRecipe, *, channels: int, seed: int, run_dir: Path
    ) -> None:
        self.settings = settings
        self.channels = channels
        self.seed = seed
        self.folder = run_dir
        self.best = run_dir / "best.keras"
        self.last = run_dir / "last.keras"
        self.state_path = run_dir / "state.json"

    def is_done(self, epochs: int) -> bool:
        return self.state_path.exists() and RunState.load(self.state_path).epochs >= epochs

    def open(
        self, place: int, steps: int, *, first: int, resume: bool
    ) -> tuple[Any, WeightAverage, RunState]:
        """Build the model, or take up the one of the run."""
        import keras

        settings = self.settings
        keras.utils.set_random_seed(self.seed)
        keras.mixed_precision.set_global_policy(settings.precision)
        loss = make_loss(settings.loss)
        if resume and self.last.exists():
            model = keras.models.load_model(
                self.last, custom_objects={"loss": loss, "dice_metric": dice_metric}
            )
            average = WeightAverage(model, momentum=settings.average)
            average.load(self.folder / "average.npz")
            state = RunState.load(self.state_path)
            if settings.phases[place].restart_rate and state.epochs <= first:
                self._compile(model, place, steps, loss=loss)
            return model, average, state
        spec = NetworkSpec(channels=self.channels, **settings.network.model_dump())
        model = build_network(spec)
        self._compile(model, place, steps, loss=loss)
        (self.folder / "history.csv").unlink(missing_ok=True)
        return model, WeightAverage(model, momentum=settings.average), RunState()

    def _compile(self, model: Any, place: int, steps: int, *, loss: Any) -> None:
        import keras

        settings = self.settings
        optimizer = keras.optimizers.AdamW(
            _schedule(settings, place, steps),
            weight_decay=settings.weight_decay,
            global_clipnorm=1.0,
        )
        model.compile(optimizer=optimizer, loss=loss, metrics=[dice_metric])

    def fit(
        self,
        place: int,
        training: TrainingSet,
        validation: TrainingSet,
        *,
        first: int,
        limits: tuple[float, float],
        resume: bool,
    ) -> None:
        settings, steps = self.settings, count_steps(training, self.settings)
        phase, before = settings.phases[place], settings.phases[max(0, place - 1)]
        model, average, state = self.open(place, steps, first=first, resume=resume)
        if state.epochs <= first and phase.spacing_mm != before.spacing_mm:
            state = replace(state, best_dice=-1.0)  # another grid: figures are not comparable
        state = replace(state, slices=len(training.positives))
        judged = [
            stack_full(pairs, limit=settings.validation_slices, background=limits[0])
            for pairs in (validation.positives, validation.negatives)
            if pairs
        ]
        model.fit(
            make_batches(
                training,
                settings=settings,
                augmentation=settings.augment.model_copy(update={"crop": phase.crop}),
                limits=limits,
                seed=self.seed,
                first_epoch=state.epochs,
            ),
            initial_epoch=state.epochs,
            epochs=first + phase.epochs,
            callbacks=[
                _make_checkpoint(self, model, average, state=state, judged=judged, steps=steps)
            ],
            verbose="auto",
        )


def _schedule(settings: SegmenterRecipe, place: int, steps: int) -> Any:
    """Give a cosine from a phase up to the next warm restart."""
    import keras

    phases = settings.phases[place:]
    restarts = [at for at, phase in enumerate(phases) if at and phase.restart_rate]
    epochs = sum(phase.epochs for phase in phases[: restarts[0] if restarts else None])
    rate = phases[0].restart_rate or settings.learning_rate
    return keras.optimizers.schedules.CosineDecay(
        rate / 100,
        decay_steps=max(1, steps * (epochs - 1)),
        warmup_target=rate,
        warmup_steps=steps,
        alpha=0.01,
    )


def _make_checkpoint(
    run: _Run,
    model: Any,
    average: WeightAverage,
    *,
    state: RunState,
    judged: list[tuple[Any, Any]],
    steps: int,
) -> Any:
    """Judge and save the average of the weights after every epoch."""
    import keras

    class Checkpoint(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.state = state
            self.started = time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras's signature
            average.update()

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            figures = {name: float(value) for name, value in (logs or {}).items()}
            average.swap()
            figures |= judge(model, judged)
            best_dice = max(self.state.best_dice, figures["val_dice_metric"])
            if best_dice > self.state.best_dice:
                model.save(run.best)
            average.swap()
            scratch = run.folder / "last.tmp.keras"
            model.save(scratch)
            scratch.replace(run.last)
            average.save(run.folder / "average.npz")
            self.state = replace(
                self.state,
                epochs=epoch + 1,
                best_dice=best_dice,
                samples=self.state.samples + steps * run.settings.batch,
            )
            self.state.save(run.state_path)
            append_history(run.folder / "history.csv", {"epoch": epoch + 1, **figures})
            draw_curves(run.folder / "history.csv", run.folder / "curves.png")
            done = epoch + 1 - state.epochs
            minutes = (time.monotonic() - self.started) / 60
            log.info(
                "segmenter.epoch",
                epoch=epoch + 1,
                epochs=run.settings.epochs,
                best_dice=round(best_dice, 4),
                minutes_left=round(minutes / done * (self.params["epochs"] - epoch - 1), 1),
                **{name: round(value, 4) for name, value in figures.items()},
            )

    return Checkpoint()


def judge(model: Any, judged: list[tuple[Any, Any]]) -> dict[str, float]:
    """Loss and Dice on slices with a lesion and on those without, and their mean."""
    names = ("lesion", "quiet")
    found = [
        model.evaluate(images, masks, batch_size=8, verbose=0, return_dict=True)
        for images, masks in judged
    ]
    figures = {
        f"val_{name}_dice": float(each["dice_metric"])
        for name, each in zip(names, found, strict=False)
    }
    for key in ("loss", "dice_metric"):
        figures[f"val_{key}"] = sum(float(each[key]) for each in found) / len(found)
    return figures
