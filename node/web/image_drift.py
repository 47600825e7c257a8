"""Whether the images of each source are still what they were: numbers of ``result.json``."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.evaluation.drift import FeatureDrift, measure_drift
from node.jobs.job import Job
from node.language import Words

REFERENCE_STUDIES = 30
"""The first ones of a source are what the later ones are compared with."""
MINIMUM_STUDIES = 20
"""Of fewer later ones nothing is said."""
LATEST_STUDIES = 100
OTHER_KERNEL = "other_kernel"


@dataclass(frozen=True, kw_only=True)
class ImageDrift:
    """Later studies of one source against its first ones.

    Parameters
    ----------
    calling_ae_title : str
    scanner : str
        Manufacturer and model; empty where the images do not tell.
    reference, studies : int
        How many first and how many later ones.
    drifts : tuple of FeatureDrift
        The largest first; empty where there are too few studies.
    """

    calling_ae_title: str
    scanner: str
    reference: int
    studies: int
    drifts: tuple[FeatureDrift, ...]

    @property
    def drifted(self) -> tuple[FeatureDrift, ...]:
        """Statistics that both measures call different."""
        return tuple(drift for drift in self.drifts if drift.has_drifted)


def compare_images(jobs: Iterable[Job]) -> tuple[ImageDrift, ...]:
    """Compare the images of the jobs of one bundle, by sender and scanner.

    A study that was done several times counts once, with its latest job.

    Parameters
    ----------
    jobs : iterable of Job
        The latest first. Results without statistics of their images are passed over.
    """
    images: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    seen: set[str] = set()
    for job in jobs:
        image = (job.result or {}).get("image")
        if image and job.study_instance_uid not in seen:
            seen.add(job.study_instance_uid)
            images[job.calling_ae_title, image["scanner"]].append(image)
    return tuple(
        _compare(calling_ae_title, scanner, images[calling_ae_title, scanner][::-1])
        for calling_ae_title, scanner in sorted(images)
    )


def _compare(calling_ae_title: str, scanner: str, images: Sequence[dict[str, Any]]) -> ImageDrift:
    first, later = images[:REFERENCE_STUDIES], images[REFERENCE_STUDIES:][-LATEST_STUDIES:]
    drifts: tuple[FeatureDrift, ...] = ()
    if len(later) >= MINIMUM_STUDIES:
        names = sorted({name for image in images for name in image["statistics"]})
        kernels = {image["kernel"] for image in first}
        drifts = measure_drift(
            [*names, OTHER_KERNEL], _table(first, names, kernels), _table(later, names, kernels)
        )
    return ImageDrift(
        calling_ae_title=calling_ae_title,
        scanner=scanner,
        reference=len(first),
        studies=len(later),
        drifts=drifts,
    )


def _table(
    images: Sequence[dict[str, Any]], names: Sequence[str], kernels: set[str]
) -> NDArray[np.float64]:
    """Statistics of each study, NaN where there is none, and whether its kernel is a new one."""
    return np.array(
        [
            [
                *(image["statistics"].get(name, np.nan) for name in names),
                float(image["kernel"] not in kernels),
            ]
            for image in images
        ]
    )


def statistic_words(texts: Words) -> dict[str, str]:
    """Return the statistics of images as people read them."""
    _ = texts.gettext
    return {
        "slices": _("number of slices"),
        "slice_spacing_mm": _("distance of slices (mm)"),
        "pixel_spacing_mm": _("pixel spacing (mm)"),
        "width_mm": _("width of the image (mm)"),
        "foreground_share": _("share of the body in the image"),
        "intensity_p10": _("intensity of the body, 10th percentile"),
        "intensity_p50": _("intensity of the body, median"),
        "intensity_p90": _("intensity of the body, 90th percentile"),
        "slice_thickness_mm": _("slice thickness (mm)"),
        "echo_time_ms": _("echo time (ms)"),
        "repetition_time_ms": _("repetition time (ms)"),
        "flip_angle_degrees": _("flip angle (degrees)"),
        "tube_voltage_kv": _("tube voltage (kV)"),
        OTHER_KERNEL: _("another kernel than before (1: yes)"),
    }
