"""What pushed a case: exact for a linear kernel, and of the right sign for others."""

import numpy as np
import pytest
from factories_tables import QUICK, make_table
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import RobustScaler

from node.classify.contributions import explain_case
from node.classify.model import Classifier
from node.training.calibrate import calibrate, find_logit_slope
from node.training.fit_svm import fit_genome
from node.training.svm_objective import Genome


def make_classifier(kernel: str, method: str = "sigmoid") -> Classifier:
    table = make_table()
    genome = Genome(kernel=kernel, log2_c=0.0, log2_gamma=0.0, columns=(0, 1, 2, 3))
    svm = fit_genome(genome, table.values, table.malignant, QUICK.scaling)
    calibration = calibrate(
        svm, table.values, table.malignant, table.patients, method=method, seed=1
    )
    scaler = RobustScaler().fit(table.values)
    return Classifier(
        names=table.names,
        malignancy=calibration.estimator,
        malignancy_columns=genome.columns,
        scaler=scaler,
        covariance=LedoitWolf().fit(scaler.transform(table.values)),
        logit_slope=find_logit_slope(svm, table.values, table.malignant),
    )


def logit(classifier: Classifier, values: np.ndarray) -> float:
    p = classifier.malignancy.predict_proba(values[None])[0, 1]
    return float(np.log(p / (1 - p)))


def test_linear_contributions_add_up_to_the_distance_from_the_median_lesion():
    classifier = make_classifier("linear")
    case = np.array([2.0, 0.5, -1.0, 0.3, 9.0, 9.0, 9.0, 9.0])
    found = explain_case(case, classifier, count=8)
    assert set(found) == {"feature_0", "feature_1", "feature_2", "feature_3"}
    apart = logit(classifier, case) - logit(classifier, classifier.scaler.center_)
    assert sum(found.values()) == pytest.approx(apart, rel=1e-6)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_the_feature_that_carries_the_signal_comes_first_with_its_sign(method):
    classifier = make_classifier("rbf", method)
    case = classifier.scaler.center_.copy()
    case[0] += 3.0
    found = explain_case(case, classifier, count=2)
    assert next(iter(found)) == "feature_0"
    assert found["feature_0"] > 0
    assert len(found) <= 2
    case[0] -= 6.0
    assert explain_case(case, classifier)["feature_0"] < 0


def test_the_median_lesion_has_nothing_to_explain():
    classifier = make_classifier("rbf")
    assert explain_case(classifier.scaler.center_, classifier) == {}
