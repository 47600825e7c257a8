"""What is known of a model besides its answer: figures on test patients, training lesions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import read_only


@dataclass(frozen=True, kw_only=True)
class ModelFigure:
    """A figure measured on test patients, with the ends of its 95 % interval.

    Parameters
    ----------
    value, low, high : float
    patients : int
    """

    value: float
    low: float
    high: float
    patients: int


@dataclass(frozen=True, kw_only=True)
class LesionPlace:
    """Where a lesion lies among those of the training.

    Parameters
    ----------
    x, y : float
        On the plane of the cloud.
    distance : float
        To the nearest training lesion, in scaled features, per root of their number.
    undefined : int
        Features that were undefined and taken as the median of the training lesions.
    """

    x: float
    y: float
    distance: float
    undefined: int


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingCloud:
    """The training lesions of a classifier on their first two principal components.

    Parameters
    ----------
    points : ndarray of float, shape (n, 2), read-only
    labels : tuple of str
        Class of each.
    explained : tuple of float
        Share of the variance along either component.
    feature_count : int
        Features that the plane was made from.
    places : mapping of int to LesionPlace
        Lesion number -> its place.
    """

    points: NDArray[np.floating]
    labels: tuple[str, ...]
    explained: tuple[float, float]
    feature_count: int
    places: Mapping[int, LesionPlace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", read_only(self.points))
