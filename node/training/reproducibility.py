"""Reproducibility of a feature profile on labelled cases of a data set."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from node.domain.errors import InputRejected, Problem
from node.domain.features import FeatureVector
from node.evaluation.perturb import Perturbation, Spacing
from node.evaluation.reproducibility import Extract, LesionCase, measure_repeats
from node.evaluation.robust_shares import summarise, write_files
from node.radiomics.extract import ExtractionSpec, Extractor
from node.radiomics.profiles import PLANAR_102, PROFILES, STANDARD_237
from node.training.datasets.cheng import read_cheng
from node.training.datasets.labelled import LabelledCase
from node.training.datasets.lgg import read_lgg
from node.training.datasets.lidc import read_lidc
from node.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set, and how features are taken from it where no recipe says it.

    Parameters
    ----------
    read : callable
    role : int
        Volume of a case that was outlined.
    extraction : ExtractionSpec
    """

    read: Callable[[Path], list[LabelledCase]]
    role: int = 0
    extraction: ExtractionSpec


SOURCES = {
    "cheng": Source(
        read=read_cheng,
        extraction=ExtractionSpec(
            profile=PLANAR_102, spacing_mm=0.98, bin_width=10.0, foreground_fraction=0.08
        ),
    ),
    "lidc": Source(
        read=read_lidc,
        extraction=ExtractionSpec(
            profile=STANDARD_237,
            spacing_mm=1.0,
            slice_spacing_mm=1.0,
            bin_width=25.0,
            normalisation="none",
        ),
    ),
    "lgg": Source(  # outlined on FLAIR, the second volume
        read=read_lgg,
        role=1,
        extraction=ExtractionSpec(
            profile=STANDARD_237, spacing_mm=0.94, bin_width=10.0, foreground_fraction=0.08
        ),
    ),
}


def extraction_of(recipe: Recipe, default: ExtractionSpec) -> ExtractionSpec:
    """Take what a recipe says of the features; the rest is that of its data set."""
    spec = default
    if recipe.kind == "slices":
        spec = replace(
            spec,
            spacing_mm=recipe.input.spacing_mm,
            foreground_fraction=recipe.input.foreground_fraction,
        )
    if recipe.classifier is not None:
        spec = replace(
            spec,
            profile=PROFILES[recipe.classifier.profile],
            bin_width=recipe.classifier.bin_width,
        )
    return spec


def choose_cases(
    labelled: Iterable[LabelledCase],
    *,
    role: int,
    planar: bool,
    limit: int | None,
    rng: np.random.Generator,
) -> list[LesionCase]:
    """Take the largest lesion of each patient, of at most ``limit`` patients drawn at random.

    Parameters
    ----------
    labelled : iterable of LabelledCase
    role : int
    planar : bool
        Keep only the slice on which the lesion is largest.
    limit : int or None
    rng : numpy.random.Generator

    Raises
    ------
    InputRejected
        If fewer than two patients have a lesion.
    """
    largest: dict[str, LabelledCase] = {}
    for case in labelled:
        best = largest.get(case.patient)
        if case.mask.any() and (best is None or case.mask.sum() > best.mask.sum()):
            largest[case.patient] = case
    patients = sorted(largest)
    if len(patients) < 2:
        found = f"{len(patients)} patients with a lesion"
        raise InputRejected(
            [Problem(code="too-few-cases", found=found, expected="2", remedy="give more cases")]
        )
    if limit is not None and limit < len(patients):
        patients = sorted(rng.choice(patients, limit, replace=False).tolist())
    return [_as_lesion(largest[patient], role=role, planar=planar) for patient in patients]


def _as_lesion(case: LabelledCase, *, role: int, planar: bool) -> LesionCase:
    volume = case.volumes[role]
    k = int(np.argmax(case.mask.sum(axis=(1, 2))))
    chosen = slice(k, k + 1) if planar else slice(None)
    return LesionCase(
        identifier=case.identifier,
        voxels=volume.voxels[chosen],
        mask=case.mask[chosen],
        spacing_mm=volume.geometry.spacing_mm,
    )


def make_extract(spec: ExtractionSpec) -> Extract:
    """Make the function that perturbed versions are given to; each process makes its own."""
    extractor = Extractor(spec)

    def extract(
        voxels: NDArray[Any], mask: NDArray[np.bool_], spacing_mm: Spacing
    ) -> FeatureVector:
        return extractor.extract_volume(voxels, mask, spacing_mm=spacing_mm)

    return extract


def measure_dataset(
    labelled: Iterable[LabelledCase],
    out_dir: Path,
    *,
    dataset: str,
    role: int,
    extraction: ExtractionSpec,
    limit: int | None,
    repeats: int,
    seed: int,
    jobs: int = 1,
    perturbation: Perturbation | None = None,
) -> dict[str, Any]:
    """Perturb cases, extract, and write ICC values, shares and a plot.

    Parameters
    ----------
    labelled : iterable of LabelledCase
    out_dir : Path
        See ``node.evaluation.robust_shares.write_files``.
    dataset : str
        Its name, for the record.
    role : int
        Volume of a case that features are taken from.
    extraction : ExtractionSpec
    limit : int or None
        Patients at most.
    repeats : int
        Perturbed versions of each case.
    seed : int
        Of the choice of patients and of every draw.
    jobs : int
    perturbation : Perturbation, optional
        The default chain if not given.

    Returns
    -------
    dict
        What ``reproducibility.json`` holds.
    """
    rng = np.random.default_rng(seed)
    chain = perturbation or Perturbation()
    cases = choose_cases(
        labelled, role=role, planar=extraction.profile.planar, limit=limit, rng=rng
    )
    measured = measure_repeats(
        cases,
        partial(make_extract, extraction),
        perturbation=chain,
        repeats=repeats,
        rng=rng,
        jobs=jobs,
        progress=lambda done, total: track(done, description="perturbed cases", total=total),
    )
    found = measured.reliabilities()
    summary = {
        "dataset": dataset,
        "profile": extraction.profile.name,
        "extraction": {
            name: value
            for name, value in asdict(extraction).items()
            if isinstance(value, str | int | float)
        },
        "perturbation": asdict(chain),
        "cases": len(cases),
        "repeats": repeats,
        "seed": seed,
        "mean_contour_dice": round(float(measured.dice.mean()), 4),
        "seconds_per_case": round(measured.seconds_per_case, 2),
        **summarise(found),
    }
    write_files(found, summary, out_dir)
    return summary
