"""The model card of a bundle, written from its measured figures."""

from pathlib import Path
from typing import Any

from node.registry.bundle import Bundle
from node.registry.manifest import Manifest
from node.training.recipe import Recipe


def _value(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "undefined"
    low, high = figure["interval_95"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"


def _size(figure: dict[str, Any]) -> str:
    slices = f", {figure['slices']} slices" if "slices" in figure else ""
    return f"{figure['patients']} patients{slices}"


def write_card(bundle: Bundle, recipe: Recipe, figures: dict[str, Any]) -> Path:
    """Write ``MODEL_CARD.md``; every figure comes from ``figures``, none is typed in."""
    manifest = bundle.manifest
    rows = [("Dice, mean over patients", figures["dice"])]
    rows += [(f"Dice, {kind}", figure) for kind, figure in figures["dice_by_type"].items()]
    if figures["quiet"] is not None:
        rows.append(("tumour-free slices left without a mark", figures["quiet"]))
    rows.append(("largest lesion is the tumour (Dice of at least 0.1)", figures["detection"]))
    for title, key in (
        ("malignancy", "malignancy"),
        ("malignancy, numeric ids only", "malignancy_numeric_ids"),
    ):
        group = figures[key]
        rows += [
            (f"{title}: AUC by slice", group["auc"]),
            (f"{title}: AUC by patient", group["auc_by_patient"]),
            (f"{title}: accuracy", group["accuracy"]),
            (f"{title}: sensitivity", group["sensitivity"]),
            (f"{title}: specificity", group["specificity"]),
            (f"{title}: share decided", group["decided"]),
            (f"{title}: accuracy where decided", group["accuracy_where_decided"]),
        ]
    rows.append(("tumour type: accuracy", figures["type_accuracy"]))
    table = "\n".join(f"| {name} | {_value(f)} | {_size(f)} |" for name, f in rows)
    split = "; ".join(
        f"{kind.replace('_', ' ')}: "
        + ", ".join(f"{count} {part}" for part, count in sorted(counts.items()))
        for kind, counts in figures["split_patients"].items()
        if counts
    )
    versions = ", ".join(f"{name} {version}" for name, version in manifest.made_with.items())
    path = bundle.path / "MODEL_CARD.md"
    path.write_text(
        f"""# {manifest.name} {manifest.version}: {manifest.title}

Research use, not for diagnosis.

- **Segmenter**: {manifest.segmenter_name}, slice by slice on a {recipe.input.spacing_mm} mm grid.
- **Classifier**: {_describe_classifier(manifest)}
- **Data**: {manifest.data}
- **Licence of the weights**: {manifest.licence}
- **A lesion** is a connected mark of probability {manifest.lesions["threshold"]} or more, with a
  peak of at least {manifest.lesions["minimum_peak"]} and a largest slice of at least
  {manifest.lesions["minimum_area_mm2"]:g} mm2; chosen on validation patients.
- **Split**: by patient, stratified by tumour type and family of identifiers; patients
  {split}.
- **Limitations**: {manifest.limitations}
- **Made with**: {versions}; settings in `recipe.yaml`.

Figures on the test patients, who were used for nothing else, with 95 % intervals by bootstrap over
patients. All classification figures are of *predicted* masks; slices in which nothing was found
count in Dice and detection, and are left out of the classification figures.

| figure | value | of |
|---|---|---|
{table}

Brier score {figures["malignancy"]["brier"]:.3f} ({figures["malignancy_numeric_ids"]["brier"]:.3f}
on numeric ids).

`onconode evaluate --bundle {manifest.name}/{manifest.version} --data DIR` (with `--negatives DIR`
if the recipe asks for tumour-free slices) measures them again.
"""
    )
    return path


def _describe_classifier(manifest: Manifest) -> str:
    entry = manifest.classifier
    if entry is None:
        return "none; lesions are outlined and not assessed."
    return f"""{manifest.classifier_name}, on the {entry.profile} features of the
  largest slice of each predicted lesion; indeterminate between probabilities
  {entry.abstain_low} and {entry.abstain_high}, or beyond a novelty of
  {entry.novelty_limit}."""
