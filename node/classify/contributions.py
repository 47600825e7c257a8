"""Which features pushed a case towards malignant or benign, and how far.

Each feature in turn is replaced by its median over the training lesions; the contribution is how
much the logit of the probability falls thereby. For a linear kernel that is exact and the sum over
all features is the distance from the median lesion; for others it is the usual approximation
(occlusion), which does not share out what two features do together.

References
----------
Zeiler, Fergus, ECCV 2014, doi:10.1007/978-3-319-10590-1_53 (occlusion); Robnik-Sikonja, Kononenko,
IEEE Trans Knowl Data Eng 20(5), 2008, doi:10.1109/TKDE.2007.190734.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.classify.model import Classifier


def explain_case(
    values: NDArray[np.float64], classifier: Classifier, *, count: int = 5
) -> dict[str, float]:
    """Return the features that count most for one case.

    Parameters
    ----------
    values : ndarray, shape (features,)
        The columns that the classifier uses are defined.
    classifier : Classifier
    count : int
        At most so many features.

    Returns
    -------
    dict of str to float
        PyRadiomics name -> change in the logit of malignancy that the feature's value makes,
        largest first; above 0 speaks for malignant. Features that change nothing are left out.
    """
    columns = list(classifier.malignancy_columns)
    cases = np.repeat(values[None], len(columns) + 1, axis=0)
    cases[np.arange(len(columns)), columns] = classifier.scaler.center_[columns]
    decision = _find_svm(classifier).decision_function(cases)
    change = _find_slope(classifier) * (decision[-1] - decision[:-1])
    order = np.argsort(-np.abs(change), kind="stable")[:count]
    return {classifier.names[columns[i]]: float(change[i]) for i in order if abs(change[i]) > 1e-12}


def _find_svm(classifier: Classifier) -> Any:
    """Return the SVM below the calibration; it is frozen, so that all folds hold the same one."""
    return classifier.malignancy.calibrated_classifiers_[0].estimator


def _find_slope(classifier: Classifier) -> float:
    if classifier.logit_slope is not None:
        return classifier.logit_slope
    # Platt: p = 1 / (1 + exp(a d + b)), so that the logit is -(a d + b).
    (sigmoid,) = classifier.malignancy.calibrated_classifiers_[0].calibrators
    return -float(sigmoid.a_)
