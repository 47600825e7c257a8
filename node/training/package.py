"""Package a bundle: float32 network, classifier, manifest, golden case, figures, model card."""

import importlib.metadata
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from node.domain.errors import SetupFault
from node.domain.prompt import Prompt
from node.domain.volume import Volume
from node.pipeline import open_toolbox, run_golden
from node.registry.bundle import MANIFEST, Bundle, hash_file, load_bundle
from node.registry.golden import GoldenInput, save_golden
from node.segment.lesions import LesionSpec
from node.segment.msa_resunet import NetworkSpec, build_network, keep_answer
from node.training.datasets.labelled import LabelledCase, make_volume
from node.training.fit_svm import FittedClassifier
from node.training.half_precision import halve_weights
from node.training.recipe import ClassifierRecipe, Recipe

MADE_WITH = (
    "keras",
    "scikit-learn",
    "pyradiomics-bhklab",
    "deap",
    "numpy",
    "simpleitk",
    "pywavelets",
)


def export_network(checkpoint: Path, recipe: Recipe, path: Path) -> None:
    """Rebuild the network in float32 with its answer alone, to serve on any processor; save it.

    The file holds the weights in half precision.
    """
    import keras

    trained = keras.models.load_model(checkpoint, compile=False)
    keras.mixed_precision.set_global_policy("float32")
    spec = NetworkSpec(channels=trained.input_shape[-1], **recipe.segmenter.network.model_dump())
    plain = build_network(spec)
    plain.set_weights(trained.get_weights())
    keep_answer(plain).save(path)
    halve_weights(path)


def write_bundle(
    directory: Path,
    *,
    recipe_path: Path,
    recipe: Recipe,
    network: Path,
    lesions: LesionSpec,
    fitted: FittedClassifier | None,
) -> Bundle:
    """Write everything but golden case and figures, which need the bundle itself.

    Parameters
    ----------
    directory, recipe_path : Path
    recipe : Recipe
    network : Path
        In float32, see ``export_network``.
    lesions : LesionSpec
    fitted : FittedClassifier or None
        None for a bundle that outlines lesions only.

    Raises
    ------
    SetupFault
        If the version exists already: a released bundle never changes.
    """
    if (directory / MANIFEST).exists():
        raise SetupFault(
            f"bundle {recipe.task}/{recipe.version} exists; raise the version in the recipe, "
            "or remove the folder if it was never released"
        )
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(network, directory / "segmenter.keras")
    shutil.copyfile(recipe_path, directory / "recipe.yaml")
    manifest: dict[str, Any] = {
        "name": recipe.task,
        "version": recipe.version,
        "kind": recipe.kind,
        **recipe.bundle,
        "input": recipe.nodule if recipe.kind == "nodule" else recipe.input.model_dump(),
        "lesions": asdict(lesions),
        "made_with": {name: importlib.metadata.version(name) for name in MADE_WITH},
    }
    if fitted is not None and recipe.classifier is not None:
        fitted.classifier.save(directory / "classifier.skops")
        manifest["classifier"] = _describe_classifier(fitted, recipe, recipe.classifier)
        (directory / "features.json").write_text(
            json.dumps(
                {
                    "names": list(fitted.classifier.names),
                    "malignancy": _describe(fitted, "malignancy_search"),
                    "type": _describe(fitted, "type_search"),
                    "lesions": fitted.rows,
                },
                indent=1,
            )
            + "\n"
        )
    return seal_bundle(directory, manifest)


def extraction_entry(recipe: Recipe, settings: ClassifierRecipe) -> dict[str, Any]:
    """Settings of the features, as a manifest has them."""
    spacing_mm = settings.spacing_mm or recipe.input.spacing_mm
    return {
        "profile": settings.profile,
        "bin_width": settings.bin_width,
        "spacing_mm": spacing_mm,
        "slice_spacing_mm": settings.slice_spacing_mm,
        "normalisation": settings.normalisation,
        "foreground_fraction": recipe.input.foreground_fraction,
    }


def _describe_classifier(
    fitted: FittedClassifier, recipe: Recipe, settings: ClassifierRecipe
) -> dict[str, Any]:
    return {
        **extraction_entry(recipe, settings),
        "abstain_low": settings.abstain_low,
        "abstain_high": settings.abstain_high,
        "novelty_limit": round(fitted.novelty_limit, 4),
        "types": list(fitted.classifier.type_names),
    }


def add_golden(bundle: Bundle, candidates: Sequence[LabelledCase]) -> Bundle:
    """Add the golden case: the first candidate that the bundle finds and, if it can, classifies."""
    toolbox = open_toolbox(bundle)
    for item in candidates:
        point = item.point_lps_mm
        given = GoldenInput(
            channels=item.volumes if point else _shorten(item),
            prompts=() if point is None else (Prompt(point_lps_mm=point),),
        )
        output = run_golden(toolbox, given)
        is_classified = toolbox.classifier is None or not math.isnan(output.probability)
        if output.mask.any() and is_classified:
            save_golden(bundle.path / "golden", given, output)
            return reseal(bundle)
    raise SetupFault("no candidate for the golden case is classified by the bundle")


def _shorten(item: LabelledCase) -> tuple[Volume, ...]:
    """Keep the slice with most of the lesion, and one on either side of it."""
    middle = int(item.mask.sum(axis=(1, 2)).argmax())
    chosen = slice(max(0, middle - 1), middle + 2)
    return tuple(
        make_volume(
            volume.voxels[chosen],
            item.identifier,
            spacing_mm=volume.geometry.spacing_mm,
            modality=volume.modality,
        )
        for volume in item.volumes
    )


def reseal(bundle: Bundle) -> Bundle:
    """Take files that were added into the manifest."""
    manifest = bundle.manifest.model_dump(mode="json", exclude={"files"})
    return seal_bundle(bundle.path, manifest)


def seal_bundle(directory: Path, manifest: dict[str, Any]) -> Bundle:
    """Write the manifest with the SHA-256 of every other file of the folder, and load it."""
    files = sorted(p for p in directory.rglob("*") if p.is_file() and p.name != MANIFEST)
    manifest["files"] = {str(p.relative_to(directory)): hash_file(p) for p in files}
    (directory / MANIFEST).write_text(
        yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)
    )
    return load_bundle(directory)


def _describe(fitted: FittedClassifier, search: str) -> dict[str, Any] | None:
    result = getattr(fitted, search)
    if result is None:
        return None
    genome = result.genome
    return {
        "kernel": genome.kernel,
        "log2_c": genome.log2_c,
        "log2_gamma": genome.log2_gamma,
        "features": [fitted.classifier.names[i] for i in genome.columns],
        "fitness": result.fitness,
        "history": result.history,
    }
