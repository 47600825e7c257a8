"""Robustness curves of a bundle on its test patients, beside other networks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from node.domain.errors import SetupFault
from node.evaluation.degrade import degradations_for
from node.evaluation.robustness import ImageCase, RobustnessPoint, measure_robustness
from node.pipeline import Toolbox, open_toolbox
from node.registry.bundle import Bundle
from node.segment.msa_resunet import keep_answer
from node.segment.preprocess import InputSpec
from node.training.choose_lesions import read_choice
from node.training.datasets.labelled import LabelledCase
from node.training.judge import segment_case
from node.training.judge_bundle import read_test_set
from node.training.recipe import load_recipe


def judge_robustness(
    bundle: Bundle,
    *,
    data_dir: Path,
    negatives_dir: Path | None,
    against: Sequence[Path] = (),
    limit: int | None = None,
) -> list[RobustnessPoint]:
    """Measure a bundle, and perhaps other networks, on test images that get worse.

    Parameters
    ----------
    bundle : Bundle
    data_dir : Path
    negatives_dir : Path or None
        Needed if the bundle's recipe asks for tumour-free slices.
    against : sequence of Path
        Keras files, or folders of training runs; prepared and read like the bundle's own network.
        A run's own grid, and its choice of what counts as a lesion, are taken where it has them.
    limit : int, optional
        At most so many cases of each set.

    Raises
    ------
    SetupFault
        If there is no network at one of ``against``.
    """
    toolbox = open_toolbox(bundle)
    test_set = read_test_set(bundle, data_dir=data_dir, negatives_dir=negatives_dir, limit=limit)
    models = {f"{bundle.manifest.name} {bundle.manifest.version}": _outline_with(toolbox)}
    for path in against:
        models[_name_of(path)] = _outline_with(_open_beside(toolbox, path))
    points: list[RobustnessPoint] = []
    for group, cases in (("tumour", test_set.cases), ("tumour-free", test_set.tumour_free)):
        if cases:
            points += measure_robustness(
                models,
                [_as_arrays(item) for item in cases],
                degradations_for(cases[0].volume.modality),
                seed=test_set.seed,
                group=group,
                progress=partial(track, description=f"{group} cases"),
            )
    return points


def _as_arrays(item: LabelledCase) -> ImageCase:
    return ImageCase(
        patient=item.patient,
        channels=tuple(volume.voxels for volume in item.volumes),
        mask=item.mask,
        spacing_mm=item.volume.geometry.spacing_mm,
        given=item,
    )


def _outline_with(toolbox: Toolbox) -> Callable[[ImageCase], NDArray[np.uint8]]:
    def outline(case: ImageCase) -> NDArray[np.uint8]:
        item: LabelledCase = case.given
        channels = tuple(
            replace(volume, voxels=voxels)
            for volume, voxels in zip(item.volumes, case.channels, strict=True)
        )
        return segment_case(item, toolbox, channels=channels).labels

    return outline


def _name_of(against: Path) -> str:
    """Name a network by its file, or by its run."""
    return against.resolve().stem if against.suffix == ".keras" else against.resolve().name


def _open_beside(toolbox: Toolbox, against: Path) -> Toolbox:
    """Put another network in the place of the bundle's."""
    checkpoint = against if against.is_file() else against / "best.keras"
    if not checkpoint.is_file():
        raise SetupFault(f"no best.keras in {against}: name a training run or a .keras file")
    import keras  # deferred: TensorFlow is slow to load

    model = keras.models.load_model(checkpoint, compile=False)
    if len(model.outputs) > 1:  # a checkpoint still has the outputs of deep supervision
        model = keep_answer(model)
    spec, lesions = toolbox.network.spec, toolbox.lesions
    recipe, choice = against / "recipe.yaml", against / "lesions.json"
    if recipe.is_file() and isinstance(spec, InputSpec):
        spec = InputSpec(**load_recipe(recipe).input.model_dump())
    if choice.is_file():
        lesions = read_choice(choice)
    beside = type(toolbox.network)(model, spec)  # type: ignore[arg-type]  # spec is that of this network or of its kind
    return replace(toolbox, network=beside, lesions=lesions)
