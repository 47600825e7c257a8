"""The classifier of a bundle as it lies on disk: a skops file, never pickle."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Problem, SetupFault

#: The only types beyond NumPy's and scikit-learn's own that a classifier file may name.
TRUSTED: tuple[str, ...] = (
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
        ``predict_proba`` gives benign, malignant.
    malignancy_columns : tuple of int
        Columns that the genetic search kept for it.
    tumour_type : estimator
        ``predict_proba`` over ``type_names``.
    type_names : tuple of str
    novelty : estimator
        ``mahalanobis`` gives the squared distance from the training features after scaling.
    """

    names: tuple[str, ...]
    malignancy: Any
    malignancy_columns: tuple[int, ...]
    tumour_type: Any
    type_names: tuple[str, ...]
    scaler: Any
    covariance: Any

    def measure_novelty(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mahalanobis distance per root of dimension (about 1 for training cases), shape (n,)."""
        scaled = self.scaler.transform(values)
        squared = self.covariance.mahalanobis(scaled)
        return np.asarray(np.sqrt(squared / scaled.shape[1]))

    def save(self, path: Path) -> None:
        """Write as skops."""
        from skops import io

        io.dump({name: getattr(self, name) for name in self.__dataclass_fields__}, path)

    @classmethod
    def load(cls, path: Path) -> "Classifier":
        """Read from skops.

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
        for name in ("names", "malignancy_columns", "type_names"):
            content[name] = tuple(content[name])
        return cls(**content)
