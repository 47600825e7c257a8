"""Elastic deformation: a smooth random displacement on a coarse grid of control points.

References
----------
Rueckert et al., IEEE Trans Med Imaging 18(8), 1999, doi:10.1109/42.796284 (free-form deformation
by cubic B-splines); Choi, Lee, Graphical Models 62(6), 2000, doi:10.1006/gmod.2000.0531 (a grid
that is displaced by less than 0.48 of its spacing does not fold).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

#: Control points within a window, along each axis.
INTERVALS = 6
LARGEST_SHARE = 0.4


def draw_displacement(
    size: int, rng: np.random.Generator, *, strength: float
) -> NDArray[np.float32]:
    """Draw a displacement field.

    Parameters
    ----------
    size : int
        Rows and columns of the window.
    rng : numpy.random.Generator
    strength : float
        Standard deviation of the control points' displacement is drawn between 0 and this, in
        pixels; no point moves so far that the window could fold.

    Returns
    -------
    ndarray of float32, shape (2, size, size)
        Displacement along rows and columns, in pixels.
    """
    basis = _basis(size)
    limit = LARGEST_SHARE * size / INTERVALS
    points = rng.standard_normal((2, basis.shape[1], basis.shape[1]))
    points = np.clip(points * rng.uniform(0, strength), -limit, limit)
    return np.asarray(basis @ points @ basis.T, np.float32)


@lru_cache(maxsize=8)
def _basis(size: int) -> NDArray[np.float64]:
    """Weights of the control points at every pixel, shape (size, points)."""
    knots = np.arange(-3, INTERVALS + 4, dtype=float) * (size - 1) / INTERVALS
    pixels = np.minimum(np.arange(size, dtype=float), (size - 1) * (1 - 1e-12))
    return np.asarray(BSpline.design_matrix(pixels, knots, 3).toarray())
