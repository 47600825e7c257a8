"""The training lesions on a plane, and the place of a new one among them.

The file holds scaled features, coordinates and labels of the training lesions; no identifiers.
PCA is a map and takes a new case as it is. t-SNE is not: a new case is put at the mean of its
nearest training lesions in feature space, weighted by one over the distance, and a plot must say
so.

References
----------
van der Maaten, Hinton, JMLR 9, 2008 (t-SNE).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from node.domain.features import FeatureVector
from node.domain.model_facts import LesionPlace, TrainingCloud

PROJECTION_FILE = Path("plots", "projection.npz")
"""Place of the file in a bundle."""

#: Training lesions that place a new case on the t-SNE plane.
NEIGHBOURS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """Where a case lies.

    Parameters
    ----------
    pca, tsne : ndarray of float64, shape (2,)
    distance : float
        To the nearest training lesion, in scaled features, per root of their number.
    undefined : int
        Features that were undefined and taken as the median of the training lesions.
    """

    pca: NDArray[np.float64]
    tsne: NDArray[np.float64]
    distance: float
    undefined: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Training lesions on two planes.

    Parameters
    ----------
    names : tuple of str
        Features by PyRadiomics name.
    center, scale : ndarray of float64, shape (features,)
        Median and interquartile range of the training lesions. A feature is scaled by them, and
        then by arcsinh: heavy tails would else make the plane.
    mean : ndarray of float64, shape (features,)
        Of the scaled features.
    axes : ndarray of float64, shape (2, features)
        Principal axes.
    explained : ndarray of float64, shape (2,)
        Share of the variance along each.
    points : ndarray of float16, shape (n, features)
        Scaled features of the training lesions.
    pca, tsne : ndarray of float32, shape (n, 2)
    labels : ndarray of str, shape (n,)
        Class of each training lesion.
    """

    names: tuple[str, ...]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    explained: NDArray[np.float64]
    points: NDArray[np.float16]
    pca: NDArray[np.float32]
    tsne: NDArray[np.float32]
    labels: NDArray[np.str_]

    def place(self, vector: FeatureVector) -> Placement:
        """Place a case.

        Raises
        ------
        ValueError
            If the case lacks one of the features.
        """
        places = {name: place for place, name in enumerate(vector.names)}
        missing = [name for name in self.names if name not in places]
        if missing:
            raise ValueError(f"profile {vector.profile} does not hold {missing[0]}")
        values = vector.values[[places[name] for name in self.names]]
        undefined = np.isnan(values)
        scaled = scale_features(np.where(undefined, self.center, values), self.center, self.scale)
        apart = np.linalg.norm(self.points.astype(np.float64) - scaled, axis=1)
        nearest = np.argsort(apart, kind="stable")[:NEIGHBOURS]
        weights = 1 / np.maximum(apart[nearest], 1e-6)
        return Placement(
            pca=self.axes @ (scaled - self.mean),
            tsne=np.average(self.tsne[nearest].astype(np.float64), axis=0, weights=weights),
            distance=float(apart[nearest[0]] / np.sqrt(len(self.names))),
            undefined=int(undefined.sum()),
        )

    def locate(self, vectors: Sequence[FeatureVector]) -> TrainingCloud:
        """Return the training lesions on the PCA plane, with the places of a case's lesions."""
        placements = {vector.lesion_number: self.place(vector) for vector in vectors}
        return TrainingCloud(
            points=self.pca.copy(),
            labels=tuple(str(label) for label in self.labels),
            explained=(float(self.explained[0]), float(self.explained[1])),
            feature_count=len(self.names),
            places={
                number: LesionPlace(
                    x=float(each.pca[0]),
                    y=float(each.pca[1]),
                    distance=each.distance,
                    undefined=each.undefined,
                )
                for number, each in placements.items()
            },
        )

    def save(self, path: Path) -> None:
        """Write as a compressed npz without pickles."""
        np.savez_compressed(path, **{n: getattr(self, n) for n in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> "Projection":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as content:
            columns = {name: content[name] for name in content.files}
        columns["names"] = tuple(str(name) for name in columns["names"])
        return cls(**columns)


def scale_features(
    values: NDArray[np.float64], center: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scale features as the planes were made from, shape as given."""
    return np.asarray(np.arcsinh((values - center) / scale))
