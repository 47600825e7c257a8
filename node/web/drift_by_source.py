"""Whether what each sender sends looks like what the bundles were trained on."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.classify.projection import Projection, scale_features
from node.evaluation.drift import FeatureDrift, measure_drift
from node.jobs.job import Job

MINIMUM_LESIONS = 20
"""Of fewer nothing is said: their scatter alone looks like a drift."""


@dataclass(frozen=True, kw_only=True)
class SourceDrift:
    """Lesions of one sender against those of the training.

    Parameters
    ----------
    source : str
        AE title.
    studies, lesions : int
    drifts : tuple of FeatureDrift
        The largest first; empty where there are too few lesions. Values are scaled features.
    """

    source: str
    studies: int
    lesions: int
    drifts: tuple[FeatureDrift, ...]

    @property
    def drifted(self) -> tuple[FeatureDrift, ...]:
        """Features that both measures call different."""
        return tuple(drift for drift in self.drifts if drift.has_drifted)


def compare_sources(jobs: Iterable[Job], projection: Projection) -> tuple[SourceDrift, ...]:
    """Compare the lesions in results of one bundle with its training lesions, by sender.

    A study that was done several times counts once, with its latest job.

    Parameters
    ----------
    jobs : iterable of Job
        Of that bundle, the latest first.
    projection : Projection
        Of it: the scaled features of its training lesions.
    """
    vectors: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    studies: dict[str, set[str]] = defaultdict(set)
    seen: set[str] = set()
    for job in jobs:
        if not job.result or job.study_instance_uid in seen:
            continue
        seen.add(job.study_instance_uid)
        studies[job.calling_ae_title].add(job.study_instance_uid)
        for lesion in job.result.get("lesions", ()):
            if "features" in lesion:
                vectors[job.calling_ae_title].append(_vector(lesion["features"], projection.names))
    return tuple(
        SourceDrift(
            source=source,
            studies=len(studies[source]),
            lesions=len(vectors[source]),
            drifts=_compare(vectors[source], projection),
        )
        for source in sorted(studies)
    )


def _compare(
    vectors: Sequence[NDArray[np.float64]], projection: Projection
) -> tuple[FeatureDrift, ...]:
    if len(vectors) < MINIMUM_LESIONS:
        return ()
    scaled = scale_features(np.stack(vectors), projection.center, projection.scale)
    # The reference is kept in half precision: without the same rounding ties would fall apart.
    return measure_drift(projection.names, projection.points, scaled.astype(np.float16))


def _vector(features: dict[str, float | None], names: Sequence[str]) -> NDArray[np.float64]:
    values = [features.get(name) for name in names]
    return np.array([np.nan if value is None else value for value in values], np.float64)
