"""The classifier of a bundle as it lies on disk: a skops file, never pickle."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Problem, SetupFault

#: The only types beyond NumPy's and scikit-learn's own that a classifier file may name.
TRUSTED: tuple[str, ...] = (
    "scipy.interpolate._interpolate.interp1d",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.covariance._shrunk_covariance.LedoitWolf",
    "sklearn.frozen._frozen.FrozenEstimator",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Classifier:
    """Fitted estimators over one ordered list of features.

    Parameters
    ----------
    names : tuple of str
        Features in the order of the columns.
    malignancy : estimator
        ``predict_proba`` gives benign, malignant; of the columns it reads only its own.
    malignancy_columns : tuple of int
        Columns that the genetic search kept for it.
    scaler : estimator
        Scales all columns robustly; its ``center_`` holds the medians of the training lesions.
    covariance : estimator
        ``location_`` and ``covariance_`` of the scaled novelty columns of the training lesions.
    tumour_type : estimator, optional
        ``predict_proba`` over ``type_names``; None where only malignancy is judged.
    type_names : tuple of str
    type_columns : tuple of int
        Columns that the genetic search kept for it. Files from before it was noted: all.
    novelty_columns : tuple of int
        Columns that the novelty is measured over. Files from before it was noted: all.
    logit_slope : float, optional
        Change of the malignancy's logit per unit of the SVM's decision value, by Platt's fit. None
        in files from before it was noted: read from the calibration.
    """

    names: tuple[str, ...]
    malignancy: Any
    malignancy_columns: tuple[int, ...]
    scaler: Any
    covariance: Any
    tumour_type: Any = None
    type_names: tuple[str, ...] = ()
    type_columns: tuple[int, ...] = ()
    novelty_columns: tuple[int, ...] = ()
    logit_slope: float | None = None

    def __post_init__(self) -> None:
        every = tuple(range(len(self.names)))
        if not self.novelty_columns:
            object.__setattr__(self, "novelty_columns", every)
        if self.tumour_type is not None and not self.type_columns:
            object.__setattr__(self, "type_columns", every)

    def measure_novelty(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mahalanobis distance per root of dimension (about 1 for training cases).

        Features that are undefined for a case do not count for it: the distance is that of the
        others, by the marginal of the normal distribution.

        Parameters
        ----------
        values : ndarray, shape (n, features)

        Returns
        -------
        ndarray of float64, shape (n,)
            NaN where no feature is defined.
        """
        scaled = self.scaler.transform(values)[:, list(self.novelty_columns)]
        apart = scaled - self.covariance.location_
        return np.array([self._measure_distance(row) for row in apart])

    def _measure_distance(self, apart: NDArray[np.float64]) -> float:
        known = np.flatnonzero(~np.isnan(apart))
        if not len(known):
            return float("nan")
        if len(known) == len(apart):
            squared = apart @ self.covariance.precision_ @ apart
        else:
            marginal = self.covariance.covariance_[np.ix_(known, known)]
            squared = apart[known] @ np.linalg.solve(marginal, apart[known])
        return float(np.sqrt(squared / len(known)))

    def save(self, path: Path) -> None:
        """Write as skops."""
        from skops import io

        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        io.dump(content, path, compression=zipfile.ZIP_DEFLATED)

    @classmethod
    def load(cls, path: Path) -> "Classifier":
        """Read from skops; fields that an older file lacks get their defaults.

        Raises
        ------
        SetupFault
            If the file asks for a type that a classifier never needs.
        """
        from skops import io

        unknown = set(io.get_untrusted_types(file=path)) - set(TRUSTED)
        if unknown:
            raise SetupFault(
                str(
                    Problem(
                        code="classifier-untrusted",
                        found=f"types {sorted(unknown)}",
                        expected="scikit-learn estimators of the project's own making",
                        remedy="do not load this file; restore the bundle from its release",
                        tag=path.name,
                    )
                )
            )
        content: dict[str, Any] = io.load(path, trusted=list(TRUSTED))
        for name in (
            "names",
            "malignancy_columns",
            "type_names",
            "type_columns",
            "novelty_columns",
        ):
            content[name] = tuple(content.get(name, ()))
        return cls(**content)
