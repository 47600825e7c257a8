"""The sections of a bundle's report that tell figures, each with its plots."""

from collections.abc import Mapping, Sequence
from typing import Any

from node.evaluation.case_results import CaseResults
from node.evaluation.figure_words import Figure, percent, prefer_closed_form, table_of, value_of
from node.evaluation.html_report import Picture, Section, Table
from node.evaluation.report_plots import (
    plot_abstention,
    plot_calibration,
    plot_discrimination,
    plot_lesion_sensitivity,
    plot_outlines,
    plot_sizes,
)

Figures = Mapping[str, Any]

#: Key of a figure, what it says, and its unit.
OUTLINE_ROWS = (
    ("dice", "Dice", ""),
    ("surface_dice", "surface Dice: share of both outlines within {tolerance:g} mm", ""),
    ("hd95_mm", "HD95: 95 % of the outline is off by at most this (a miss: the diagonal)", " mm"),
    ("hd95_where_found_mm", "HD95 where the outlines overlap", " mm"),
    ("absolute_volume_error_percent", "error of the volume, without its sign", " %"),
    ("volume_error_percent", "error of the volume, with its sign", " %"),
    ("volume_error_ml", "error of the volume in ml, with its sign", " ml"),
    ("quiet_slices", "slices beside the tumour left without a mark", ""),
)  # fmt: skip
FOUND = (
    "A labelled lesion counts as found when its Dice with the marks on it is at least 0.1; a mark "
    "is false when less than a tenth of it lies on a labelled lesion."
)
OWN_OUTLINES = (
    "Features come from the model's own outlines, never from the labelled ones. By patient means "
    "one answer: the mean probability over the patient's images, called malignant from 0.5. Cases "
    "without a mark have no answer and are not in these figures; they count as missed above."
)
INTERVALS = (
    "Intervals by patient are DeLong's for the AUC and Wilson's for shares, which hold for few "
    "patients, too; all others are by bootstrap over patients."
)
RULE = (
    "The model says indeterminate where the probability is too close to call, or where the lesion "
    "is unlike those that it learnt from. What it leaves open a person must read; the question is "
    "what the other answers are worth."
)
GROUPS = (
    "Means over patients with 95 % intervals: a mean over all can hide a weak group. With few "
    "patients in a group the interval says more than the mean. Lesion: equivalent diameter of the "
    "largest labelled lesion of the case. Identifiers: the way patients are named can tell one "
    "hospital from another."
)
MALIGNANCY_ROWS = {
    "auc": "AUC",
    "sensitivity": "sensitivity: malignant called malignant",
    "specificity": "specificity: benign called benign",
    "accuracy": "accuracy",
    "kappa": "Cohen's kappa: agreement beyond chance",
}
GROUP_COLUMNS = {
    "dice": "Dice",
    "surface_dice": "surface Dice",
    "hd95_mm": "HD95 (mm)",
    "detection": "largest mark is the tumour",
}


def describe_outlines(figures: Figures, results: CaseResults) -> Section:
    """Overlap, distance of the outlines, and volume."""
    tolerance_mm = figures["surface_tolerance_mm"]
    rows = {
        words.format(tolerance=tolerance_mm): (figures[key], suffix)
        for key, words, suffix in OUTLINE_ROWS
        if figures[key]["value"] is not None
    }
    text = (
        f"Half of the patients have a Dice above {value_of(figures['dice'], 'median')}. Each "
        "patient counts once, however many images there are; a missed tumour counts as 0."
    )
    return Section(
        heading="How well the outline fits",
        text=[text],
        tables=[table_of(rows, first="mean over patients", median=True)],
        pictures=[
            Picture(
                png=plot_outlines(results),
                caption="Dice of each patient (a dot); the boxes are quartiles.",
            ),
            Picture(
                png=plot_sizes(results),
                caption="Outlined against labelled size of each case; on the dashed line both "
                "agree. Missed cases have no dot.",
            ),
        ],
        side_by_side=True,
    )


def describe_lesions(figures: Figures, results: CaseResults) -> Section:
    """Lesions found by size, and false marks."""
    lesions, quiet = figures["lesions"], figures.get("quiet")
    false: dict[str, tuple[Figure, str]] = {
        "cases with a tumour": (lesions["false_marks_per_case"], "")
    }
    if quiet:
        false["tumour-free cases"] = (quiet["false_marks_per_case"], "")
    missing = [name for name, one in lesions["by_size"].items() if not one["lesions"]]
    absent = (
        f"The test set holds no lesion of {' or '.join(missing)}. How the model does on those is "
        "not known."
    )
    caption = "Labelled lesions found, by equivalent diameter, with 95 % intervals over patients."
    if results.unit == "slices":
        caption += " In single slices: the diameter of the circle with the same area."
    return Section(
        heading="Lesions found, and false marks",
        text=[f"{percent(lesions['sensitivity'])} of the labelled lesions were found. {FOUND}"],
        warnings=[absent] if missing else [],
        tables=[table_of(false, first="false marks for each case")],
        pictures=[
            Picture(png=plot_lesion_sensitivity(lesions["by_size"], results), caption=caption)
        ],
        side_by_side=True,
    )


def describe_assessment(figures: Figures, results: CaseResults) -> Section:
    """Malignant or benign, tumour type, reliability of the probability."""
    unit, patients = figures["malignancy"], figures["malignancy_by_patient"]
    one = results.unit.removesuffix("s")
    rows: dict[str, tuple[Figure, str]] = {
        f"by patient: {words}": (prefer_closed_form(patients[key]), "")
        for key, words in MALIGNANCY_ROWS.items()
    }
    rows |= {
        f"by {one}: {words}": (unit[key], "")
        for key, words in MALIGNANCY_ROWS.items()
        if key in unit
    }
    if "type_accuracy" in figures:
        rows["tumour type: accuracy"] = (figures["type_accuracy"], "")
        rows["tumour type: Cohen's kappa"] = (figures["type_kappa"], "")
    numeric = figures.get("malignancy_numeric_ids")
    if numeric and numeric["auc"]["patients"] < unit["auc"]["patients"]:
        rows["patients with numeric identifiers only, by patient: AUC"] = (
            numeric["auc_by_patient"],
            "",
        )
    reliability = (
        "Reliability: of the cases that were given a probability, how many were malignant. On the "
        f"dashed line it means what it says. Brier score {unit['brier']:.3f} (0 is best; always "
        "saying 0.5 gives 0.25)."
    )
    return Section(
        heading="Malignant or benign",
        text=[OWN_OUTLINES, INTERVALS],
        tables=[table_of(rows, first="figure")],
        pictures=[
            Picture(
                png=plot_discrimination(results),
                caption="ROC curves: what a stricter or laxer limit would find and cost.",
            ),
            Picture(png=plot_calibration(results), caption=reliability),
        ],
        side_by_side=True,
    )


def describe_abstention(figures: Figures, results: CaseResults) -> Section:
    """How often the bundle leaves the answer open, and what that saves."""
    rule = figures["abstention"]
    rows: dict[str, tuple[Figure, str]] = {
        "answered, of marked cases": (rule["coverage"], ""),
        "wrong, of those answered": (rule["error_where_decided"], ""),
        "wrong, if it had always answered": (rule["error_if_always_decided"], ""),
    }
    still_open = rule["decided_where_truth_is_open"]
    if still_open["cases"]:
        rows["answered, where the readers left it open"] = (still_open, "")
    tables = [table_of(rows, first="share of cases")]
    if rule["reasons"]:
        counts: Sequence[Sequence[str]] = [[why, str(n)] for why, n in rule["reasons"].items()]
        tables.append(Table(columns=["why indeterminate", "cases"], rows=counts))
    return Section(
        heading="When it does not answer",
        text=[RULE],
        tables=tables,
        pictures=[
            Picture(
                png=plot_abstention(results, rule),
                caption="Errors among the surest answers; the dot is the rule of this bundle.",
            )
        ],
        side_by_side=True,
    )


def describe_subgroups(figures: Figures) -> Section:
    """One row for each group of cases."""
    rows = [
        [
            name,
            f"{group['dice']['patients']} ({group['dice']['cases']})",
            *(value_of(group[key], interval=True) for key in GROUP_COLUMNS),
        ]
        for name, group in figures["subgroups"].items()
    ]
    columns = ["group", "patients (cases)", *GROUP_COLUMNS.values()]
    return Section(
        heading="Groups of patients", text=[GROUPS], tables=[Table(columns=columns, rows=rows)]
    )
