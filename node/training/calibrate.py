"""Turn decision values into probabilities, on patients that the SVM was not fitted to.

References
----------
Platt, Advances in Large Margin Classifiers, 1999 (sigmoid); Zadrozny, Elkan, KDD 2002,
doi:10.1145/775047.775151 (isotonic); Niculescu-Mizil, Caruana, ICML 2005,
doi:10.1145/1102351.1102430 (isotonic overfits below about a thousand cases); Van Calster et al.,
BMC Med 17, 2019, doi:10.1186/s12916-019-1466-7 (why it matters, and what few patients allow).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from node.domain.errors import SetupFault
from node.evaluation.calibration import measure_brier
from node.evaluation.discrimination import bootstrap_mean
from node.training.svm_objective import split_by_patient

METHODS = ("sigmoid", "isotonic")


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """A calibrated classifier, and how the way was chosen.

    Parameters
    ----------
    estimator : CalibratedClassifierCV
    method : str
        ``sigmoid`` or ``isotonic``.
    brier : dict of str to float
        Of each way that was tried, in cross-validation by patient; empty where there were too few
        patients for it.
    probability : ndarray, shape (n, classes)
        Of the calibration lesions, each by a calibration that did not see its patient, by the
        chosen way; where there were too few patients, by the calibration that did.
    """

    estimator: CalibratedClassifierCV
    method: str
    brier: dict[str, float]
    probability: NDArray[np.float64]


def calibrate(
    fitted: Any,
    values: NDArray[np.float64],
    labels: NDArray[Any],
    patients: NDArray[Any],
    *,
    method: str,
    seed: int,
) -> Calibration:
    """Calibrate a fitted classifier.

    Parameters
    ----------
    fitted : estimator
        With ``decision_function``; it stays as it is.
    values : ndarray, shape (n, features)
    labels, patients : ndarray, shape (n,)
        Of patients whom the classifier was not fitted to; every class must be there.
    method : str
        ``sigmoid``, ``isotonic`` or ``choose``: Platt's, unless the Brier score of isotonic
        regression in cross-validation by patient is smaller beyond chance (the 95 % interval of the
        gain, by bootstrap over patients, lies above 0). Isotonic regression makes ties, which cost
        AUC, and calls few cases certain.
    seed : int
    """
    tried = METHODS if method == "choose" else (method,)
    try:
        folds = split_by_patient(labels, patients, folds=3, seed=seed)
    except SetupFault:  # too few patients to choose by
        estimator = _fit(fitted, values, labels, tried[0])
        probability = estimator.predict_proba(values)
        return Calibration(estimator=estimator, method=tried[0], brier={}, probability=probability)
    found: dict[str, NDArray[np.float64]] = {}
    for name in tried:
        found[name] = np.zeros((len(labels), len(np.unique(labels))))
        for fitting, judging in folds:
            one = _fit(fitted, values[fitting], labels[fitting], name)
            found[name][judging] = one.predict_proba(values[judging])
    truth = labels[:, None] == np.unique(labels)[None]
    brier = {name: measure_brier(truth, shares) for name, shares in found.items()}
    chosen = tried[0]
    if method == "choose":
        errors = [((found[name] - truth) ** 2).sum(axis=1) / 2 for name in METHODS]
        rng = np.random.default_rng(seed)
        low, _ = bootstrap_mean(patients, errors[0] - errors[1], rng=rng)
        chosen = "isotonic" if low > 0 else "sigmoid"
    return Calibration(
        estimator=_fit(fitted, values, labels, chosen),
        method=chosen,
        brier=brier,
        probability=found[chosen],
    )


def find_logit_slope(fitted: Any, values: NDArray[np.float64], labels: NDArray[Any]) -> float:
    """Return the change of Platt's logit per unit of the decision value of a binary classifier."""
    sigmoid = _fit(fitted, values, labels, "sigmoid")
    return -float(sigmoid.calibrated_classifiers_[0].calibrators[0].a_)


def _fit(
    fitted: Any, values: NDArray[np.float64], labels: NDArray[Any], method: str
) -> CalibratedClassifierCV:
    # A frozen estimator is fitted no more, so the folds only pass the data through it; two ask for
    # no more than two lesions of each class.
    return CalibratedClassifierCV(FrozenEstimator(fitted), method=method, cv=2).fit(values, labels)
