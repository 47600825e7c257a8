"""Radiomics features of one lesion, in a fixed order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import read_only


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureVector:
    """Named feature values.

    Parameters
    ----------
    names : tuple of str
        PyRadiomics names, e.g. ``"original_glcm_Contrast"``; the order is the profile's.
    values : ndarray of float64, shape (n,), read-only
        NaN where a feature is undefined for this lesion.
    profile : str
        Name of the feature profile that fixed names and order.
    lesion_number : int
        Lesion that they describe.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    profile: str
    lesion_number: int

    def __post_init__(self) -> None:
        values = read_only(self.values, np.float64)
        if values.shape != (len(self.names),):
            raise ValueError(f"{len(self.names)} names but values of shape {values.shape}")
        object.__setattr__(self, "values", values)
