"""The SVM of a genome: one for two classes, one against the rest for more."""

import numpy as np
import pytest
from sklearn.svm import SVC

from node.training.svm_objective import Genome, build_svc

GENOME = Genome(kernel="rbf", log2_c=1.0, log2_gamma=-1.0, columns=(0, 1, 2))


@pytest.fixture
def rings():
    """Three classes that overlap, one of them with few lesions."""
    rng = np.random.default_rng(3)
    names = np.array(["glioma"] * 40 + ["meningioma"] * 30 + ["pituitary"] * 10)
    centres = {"glioma": (0, 0, 0), "meningioma": (1, 1, 0), "pituitary": (0, 1, 1)}
    return np.array([rng.normal(centres[name], 1.0) for name in names]), names


def test_two_classes_are_told_apart_by_one_svm(rings):
    values, names = rings
    svc = build_svc(GENOME, names == "glioma").fit(values, names == "glioma")
    assert isinstance(svc, SVC)
    assert svc.decision_function(values).shape == (80,)


def test_each_of_three_classes_is_told_from_all_others(rings):
    values, names = rings
    decision = build_svc(GENOME, names).fit(values, names).decision_function(values)
    assert decision.shape == (80, 3)
    for column, name in zip(decision.T, np.unique(names), strict=True):
        alone = build_svc(GENOME, names == name).fit(values, names == name)
        np.testing.assert_allclose(column, alone.decision_function(values))
