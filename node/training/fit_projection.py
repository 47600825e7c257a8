"""Lay the training lesions on two planes, by PCA and by t-SNE."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from node.classify.projection import Projection, scale_features


def fit_projection(
    values: NDArray[np.float64],
    names: Sequence[str],
    columns: Sequence[int],
    labels: NDArray[np.str_],
    *,
    seed: int,
) -> Projection:
    """Fit both planes.

    Parameters
    ----------
    values : ndarray, shape (n, features)
        Of training lesions; defined in ``columns``.
    names : sequence of str
        Of all features.
    columns : sequence of int
        Features that the planes are made from.
    labels : ndarray of str, shape (n,)
    seed : int
        Of t-SNE, whose planes differ with it.
    """
    chosen = values[:, list(columns)]
    center = np.median(chosen, axis=0)
    low, high = np.percentile(chosen, [25, 75], axis=0)
    deviation = chosen.std(axis=0)
    scale = np.where(high - low > 1e-9 * deviation, high - low, np.maximum(deviation, 1e-12))
    points = scale_features(chosen, center, scale)
    pca = PCA(2, random_state=seed).fit(points)
    tsne = TSNE(
        2, perplexity=min(30.0, (len(points) - 1) / 3), init="pca", random_state=seed
    ).fit_transform(points)
    return Projection(
        names=tuple(names[column] for column in columns),
        center=center,
        scale=scale,
        mean=pca.mean_,
        axes=pca.components_,
        explained=pca.explained_variance_ratio_,
        points=points.astype(np.float16),
        pca=pca.transform(points).astype(np.float32),
        tsne=tsne.astype(np.float32),
        labels=np.array([str(label) for label in labels]),
    )
