"""The model card of a bundle, written from its measured figures."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
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
OPEN = (
    ("decided_where_truth_is_open", "cases of unknown nature: share decided"),
    ("malignant_where_truth_is_open", "of these, called malignant"),
)


def write_card(
    bundle: Bundle,
    recipe: Recipe,
    figures: dict[str, Any],
    *,
    failures: Sequence[str] = (),
) -> Path:
    """Write ``MODEL_CARD.md``; every figure comes from ``figures``, none is typed in.

    Parameters
    ----------
    bundle : Bundle
    recipe : Recipe
    figures : dict
        As in ``metrics.json``.
    failures : sequence of str
        Captions of ``plots/failures-1.png`` and those after it.
    """
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
    negatives = "" if recipe.segmenter.negatives in ("", "own") else " --negatives DIR"
    versions = ", ".join(f"{name} {version}" for name, version in manifest.made_with.items())
    lesions = manifest.lesions
    points = "\n".join(
        fill(
            f"- **{name}**: {told}",
            width=100,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, told in (
            ("Segmenter", f"{manifest.segmenter_name}; {_describe_input(manifest)}."),
            ("Classifier", _describe_classifier(manifest)),
            ("Data", manifest.data),
            ("Licence of the weights", manifest.licence),
            (
                "A lesion",
                (
                    f"a connected mark of probability {lesions['threshold']} or more, with a peak "
                    f"of at least {lesions['minimum_peak']} and a largest slice of at least "
                    f"{lesions['minimum_area_mm2']:g} mm2{_describe_smoothing(lesions)}; chosen on "
                    "validation patients."
                ),
            ),
            ("Split", f"by patient; {split}."),
            ("Limitations", manifest.limitations),
            ("Made with", f"{versions}; settings in `recipe.yaml`."),
        )
    )
    path = bundle.path / "MODEL_CARD.md"
    path.write_text(
        f"""# {manifest.name} {manifest.version}: {manifest.title}

Research use, not for diagnosis.

{points}

Figures on the test patients, who were used for nothing else, with 95 % intervals by bootstrap over
patients.{_explain_assessment(manifest)}
[`report.html`](report.html) shows them with plots and with the worst cases.

| figure | value | of |
|---|---|---|
{table}
{_brier(figures)}
`onconode evaluate --bundle {manifest.name}/{manifest.version} --data DIR{negatives}`
measures them again.
{_show_failures(failures)}"""
    )
    return path


def _show_failures(captions: Sequence[str]) -> str:
    """Show the pictures of the worst cases that stand beside the plots."""
    if not captions:
        return ""
    pictures = "\n\n".join(
        f"![{caption}](plots/failures-{number}.png)\n\n{caption}"
        for number, caption in enumerate(captions, start=1)
    )
    return f"\n## Where it fails\n\n{pictures}\n"


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
    yield "malignancy: AUC of the predicted size alone", _find(figures, "size_alone.auc")
    yield "malignancy: gain in AUC over that", _find(figures, "size_alone.auc_gain")
    for place, name in OPEN:
        yield name, _find(figures, f"abstention.{place}")
    yield "tumour type: accuracy", _find(figures, "type_accuracy")


def _find(figures: Mapping[str, Any], place: str) -> Figure | None:
    found: Any = figures
    for name in place.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) and "value" in found else None


def _value(figure: Figure) -> str:
    low, high = figure["interval_95"]
    digits = 3 if abs(figure["value"]) < 10 else 1
    interval = "" if low is None else f" ({low:.{digits}f} to {high:.{digits}f})"
    return f"{figure['value']:.{digits}f}{interval}"


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


def _describe_smoothing(lesions: Mapping[str, float]) -> str:
    sigma = lesions.get("smoothing_slices", 0.0)
    return f", after smoothing across slices by a Gaussian of {sigma:g} slices" if sigma else ""


def _describe_classifier(manifest: Manifest) -> str:
    entry = manifest.classifier
    if entry is None:
        return "none; lesions are outlined and not assessed."
    return (
        f"{manifest.classifier_name}, on the {entry.profile} features of each predicted lesion; "
        f"indeterminate between probabilities {entry.abstain_low} and {entry.abstain_high}, or "
        f"beyond a novelty of {entry.novelty_limit}."
    )


def _explain_assessment(manifest: Manifest) -> str:
    if manifest.classifier is None:
        return ""
    return """ Classification figures are of *predicted* masks; cases in which nothing was found
count in Dice and detection, and are left out of the classification figures."""
