"""The model card of a bundle, written from its measured figures."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from node.registry.bundle import Bundle
from node.registry.manifest import Manifest
from node.training.recipe import Recipe

Figure = Mapping[str, Any]

#: Figures of the card in their order: path in ``metrics.json`` and what it says in words.
OUTLINES = (
    ("dice", "Dice, mean over patients"),
    ("surface_dice", "surface Dice"),
    ("hd95_where_found_mm", "HD95 where the lesion was found, mm"),
    ("absolute_volume_error_percent", "volume error (area, for slices), %"),
    ("detection", "largest mark is the lesion (Dice of at least 0.1)"),
    ("quiet", "tumour-free slices left without a mark"),
    ("quiet_slices", "slices without lesion, of patients with one, left without a mark"),
    ("lesions.false_marks_per_case", "false marks per case"),
)
ASSESSMENT = (
    ("auc", "AUC by case"),
    ("auc_by_patient", "AUC by patient"),
    ("accuracy", "accuracy"),
    ("sensitivity", "sensitivity"),
    ("specificity", "specificity"),
    ("decided", "share decided"),
    ("accuracy_where_decided", "accuracy where decided"),
)


def write_card(bundle: Bundle, recipe: Recipe, figures: dict[str, Any]) -> Path:
    """Write ``MODEL_CARD.md``; every figure comes from ``figures``, none is typed in."""
    manifest = bundle.manifest
    table = "\n".join(
        f"| {name} | {_value(figure)} | {_size(figure)} |" for name, figure in _rows(figures)
    )
    split = "; ".join(
        f"{kind.replace('_', ' ')}: "
        + ", ".join(f"{count} {part}" for part, count in sorted(counts.items()))
        for kind, counts in figures["split_patients"].items()
        if sum(counts.values())
    )
    versions = ", ".join(f"{name} {version}" for name, version in manifest.made_with.items())
    path = bundle.path / "MODEL_CARD.md"
    path.write_text(
        f"""# {manifest.name} {manifest.version}: {manifest.title}

Research use, not for diagnosis.

- **Segmenter**: {manifest.segmenter_name}; {_describe_input(manifest)}.
- **Classifier**: {_describe_classifier(manifest)}
- **Data**: {manifest.data}
- **Licence of the weights**: {manifest.licence}
- **A lesion** is a connected mark of probability {manifest.lesions["threshold"]} or more, with a
  peak of at least {manifest.lesions["minimum_peak"]} and a largest slice of at least
  {manifest.lesions["minimum_area_mm2"]:g} mm2; chosen on validation patients.
- **Split**: by patient; {split}.
- **Limitations**: {manifest.limitations}
- **Made with**: {versions}; settings in `recipe.yaml`.

Figures on the test patients, who were used for nothing else, with 95 % intervals by bootstrap over
patients. Classification figures are of *predicted* masks; cases in which nothing was found count
in Dice and detection, and are left out of the classification figures.
[`report.html`](report.html) shows them with plots and with the worst cases.

| figure | value | of |
|---|---|---|
{table}
{_brier(figures)}
`onconode evaluate --bundle {manifest.name}/{manifest.version} --data DIR`\
{" with `--negatives DIR`" if recipe.segmenter.negatives not in ("", "own") else ""} measures them
again.
"""
    )
    return path


def _rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    """Name every figure of the card that has a value."""
    for name, figure in (*_outline_rows(figures), *_assessment_rows(figures)):
        if figure is not None and figure["value"] is not None:
            yield name, figure


def _outline_rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, Figure | None]]:
    by_type = figures.get("dice_by_type", {})
    for place, name in OUTLINES:
        yield name, _find(figures, place)
        if place == "dice" and len(by_type) > 1:
            yield from ((f"Dice, {kind}", part) for kind, part in by_type.items())
    for size, figure in figures["lesions"]["by_size"].items():
        yield f"lesions of {size} found", figure


def _assessment_rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, Figure | None]]:
    for key, title in (
        ("malignancy", "malignancy"),
        ("malignancy_numeric_ids", "malignancy, numeric ids only"),
    ):
        for place, name in ASSESSMENT:
            yield f"{title}: {name}", _find(figures.get(key) or {}, place)
    yield "tumour type: accuracy", _find(figures, "type_accuracy")


def _find(figures: Mapping[str, Any], place: str) -> Figure | None:
    found: Any = figures
    for name in place.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) and "value" in found else None


def _value(figure: Figure) -> str:
    low, high = figure["interval_95"]
    interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
    return f"{figure['value']:.3f}{interval}"


def _size(figure: Figure) -> str:
    for unit in ("slices", "volumes", "lesions", "cases"):
        if unit in figure:
            return f"{figure['patients']} patients, {figure[unit]} {unit}"
    return f"{figure['patients']} patients"


def _brier(figures: Mapping[str, Any]) -> str:
    malignancy = figures.get("malignancy") or {}
    if malignancy.get("brier") is None:
        return ""
    numeric = (figures.get("malignancy_numeric_ids") or {}).get("brier")
    told = "" if numeric is None else f" ({numeric:.3f} on numeric ids)"
    return f"\nBrier score {malignancy['brier']:.3f}{told}.\n"


def _describe_input(manifest: Manifest) -> str:
    spacing_mm = manifest.input["spacing_mm"]
    if manifest.kind == "nodule":
        return f"the surroundings of a given point, slice by slice, on a {spacing_mm} mm grid"
    if manifest.roles:
        names = ", ".join(role.name for role in manifest.roles)
        return f"slice by slice over {names}, on a {spacing_mm} mm grid"
    return f"slice by slice on a {spacing_mm} mm grid"


def _describe_classifier(manifest: Manifest) -> str:
    entry = manifest.classifier
    if entry is None:
        return "none; lesions are outlined and not assessed."
    return f"""{manifest.classifier_name}, on the {entry.profile} features of each
  predicted lesion; indeterminate between probabilities {entry.abstain_low} and
  {entry.abstain_high}, or beyond a novelty of {entry.novelty_limit}."""
