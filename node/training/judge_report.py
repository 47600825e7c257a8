"""The HTML report of a judged bundle, with pictures of its worst cases."""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from node.evaluation.bundle_report import About, build_sections
from node.evaluation.html_report import Picture, write_html_report
from node.evaluation.pictures import Outlined, draw_cases
from node.evaluation.plots import plot_robustness
from node.evaluation.robustness import RobustnessPoint
from node.registry.bundle import Bundle
from node.training.datasets.labelled import LabelledCase
from node.training.judge import segment_case
from node.training.judge_bundle import Judgement

WORST = 9
INTERVALS = "Intervals are 95 %, by bootstrap over patients where nothing else is said."
#: Levels of a CT picture, in HU: lung and soft tissue together.
CT_WINDOW = (-1000.0, 300.0)


def write_bundle_report(
    path: Path,
    bundle: Bundle,
    judged: Judgement,
    *,
    partial: bool = False,
    robustness: Sequence[RobustnessPoint] = (),
    failures: Sequence[Picture] | None = None,
) -> None:
    """Write the report of a bundle as one HTML file.

    Parameters
    ----------
    path : Path
    bundle : Bundle
    judged : Judgement
    partial : bool
        Only a part of the test set was judged.
    robustness : sequence of RobustnessPoint
        Curves to be shown.
    failures : sequence of Picture, optional
        As ``draw_failures`` gives them, if they were drawn already.
    """
    about = describe_bundle(bundle, judged, partial=partial)
    sections = build_sections(
        about,
        judged.figures,
        judged.results,
        robustness=draw_robustness(robustness),
        failures=draw_failures(judged) if failures is None else failures,
    )
    version = importlib.metadata.version("onconode")
    write_html_report(
        path,
        title=about.title,
        subtitle=about.subtitle,
        sections=sections,
        footer=[f"Made by onconode {version}.", INTERVALS],
    )


def describe_bundle(bundle: Bundle, judged: Judgement, *, partial: bool) -> About:
    """Gather from the manifest what a reader must know."""
    manifest = bundle.manifest
    series = " or ".join(manifest.accepts.modality)
    roles = ", ".join(role.name for role in manifest.roles)
    takes = f"It takes {series} images" + (f" ({roles})" if roles else "")
    gives = f"{takes}, outlines lesions ({manifest.segmenter_name})"
    if manifest.classifier is None:
        gives += "; it says nothing of their nature."
    else:
        gives += f", and says whether each looks malignant or benign ({manifest.classifier_name})."
    shown = (
        f"A quick trial on a part of the test set: {len(judged.test_set.cases)} cases. The figures "
        "of the whole test set differ."
    )
    return About(
        name=manifest.name,
        version=manifest.version,
        title=manifest.title,
        purpose=[gives],
        data=manifest.data,
        licence=manifest.licence,
        limitations=manifest.limitations,
        partial=shown if partial else "",
        digest=bundle.digest,
    )


def draw_failures(judged: Judgement, *, count: int = WORST) -> list[Picture]:
    """Draw the worst case of each of the worst patients, and false marks on tumour-free images."""
    results, cases = judged.results, judged.test_set.cases
    order = np.argsort(results.dice, kind="stable")
    worst: dict[str, int] = {}
    for place in order:
        worst.setdefault(str(results.patients[place]), int(place))
    pictures = []
    chosen = list(worst.values())[:count]
    if chosen:
        shown = [_outline(judged, cases[place], float(results.dice[place])) for place in chosen]
        caption = "Lowest Dice, the worst first; of volumes the slice that differs most."
        pictures.append(Picture(png=draw_cases(shown), caption=caption))
    marked = np.flatnonzero(judged.tumour_free.dice == 0)
    free = {str(judged.tumour_free.patients[place]): int(place) for place in marked[::-1]}
    if free:
        items = [judged.test_set.tumour_free[place] for place in list(free.values())[:3]]
        caption = f"Marks on tumour-free images: {len(marked)} of {len(judged.tumour_free.dice)}."
        shown = [_outline(judged, item, None) for item in items]
        pictures.append(Picture(png=draw_cases(shown), caption=caption))
    return pictures


def _outline(judged: Judgement, item: LabelledCase, dice: float | None) -> Outlined:
    segmentation = segment_case(item, judged.toolbox)
    words = [item.identifier if item.patient in item.identifier else item.patient]
    if dice is not None:
        words += [item.tumour_type, "" if item.identifier in words[0] else item.identifier]
    name = ", ".join(word for word in words if word)
    return Outlined(
        voxels=item.volume.voxels,
        reference=item.mask,
        predicted=np.asarray(segmentation.labels > 0),
        spacing_mm=item.volume.geometry.spacing_mm,
        caption=name if dice is None else f"{name}\nDice {dice:.2f}",
        window=CT_WINDOW if item.volume.modality == "CT" else None,
    )


def draw_robustness(points: Sequence[RobustnessPoint]) -> list[Picture]:
    """Draw the curves of each group of cases."""
    labels = {
        "tumour": ("Dice", "Dice on images with a tumour."),
        "tumour-free": ("share without a mark", "Tumour-free images left without a mark."),
    }
    pictures = []
    for group in dict.fromkeys(point.group for point in points):
        chosen = [point for point in points if point.group == group]
        label, caption = labels.get(group, (group, group))
        count = (
            f" {max(p.patients for p in chosen)} patients, {max(p.cases for p in chosen)} cases."
        )
        pictures.append(Picture(png=plot_robustness(chosen, label=label), caption=caption + count))
    return pictures
