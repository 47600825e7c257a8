"""Fit, save, load, assess, abstain."""

import numpy as np
import pytest
from factories_tables import QUICK, make_table
from skops import io

from node.classify.model import Classifier
from node.classify.predict import AbstainRule, classify_lesion
from node.domain.errors import SetupFault
from node.domain.features import FeatureVector
from node.domain.finding import BENIGN, INDETERMINATE, MALIGNANT
from node.training.fit_svm import fit_classifier

RULE = AbstainRule(low=0.4, high=0.6, novelty_limit=2.0)


@pytest.fixture(scope="module")
def fitted():
    return fit_classifier(make_table(), settings=QUICK, seed=11)


@pytest.fixture(scope="module")
def classifier(fitted, tmp_path_factory) -> Classifier:
    """After a round trip through the file that is shipped."""
    path = tmp_path_factory.mktemp("classifier") / "classifier.skops"
    fitted.classifier.save(path)
    return Classifier.load(path)


def vector(classifier: Classifier, *values: float) -> FeatureVector:
    full = np.zeros(len(classifier.names))
    full[: len(values)] = values
    return FeatureVector(names=classifier.names, values=full, profile="test", lesion_number=2)


def test_the_file_gives_the_same_probabilities(fitted, classifier):
    values = make_table(seed=5).values
    for name in ("malignancy", "tumour_type"):
        before = getattr(fitted.classifier, name).predict_proba(values)
        assert np.array_equal(getattr(classifier, name).predict_proba(values), before)
    assert np.allclose(
        fitted.classifier.measure_novelty(values), classifier.measure_novelty(values)
    )


def test_test_patients_never_reach_the_fit(fitted):
    table = make_table()
    spoilt = table.values.copy()
    spoilt[table.parts == "test"] = 1e6
    fields = {name: getattr(table, name) for name in table.__dataclass_fields__}
    again = fit_classifier(type(table)(**{**fields, "values": spoilt}), settings=QUICK, seed=11)
    assert np.array_equal(
        again.classifier.malignancy.predict_proba(table.values),
        fitted.classifier.malignancy.predict_proba(table.values),
    )


def test_clear_cases_are_called(classifier):
    malignant = classify_lesion(vector(classifier, 3.5), classifier, RULE)
    assert malignant.assessment == MALIGNANT
    assert malignant.malignancy_probability > 0.6
    assert malignant.predicted_type == "glioma"
    assert malignant.lesion_number == 2
    benign = classify_lesion(vector(classifier, -0.5, 3.0), classifier, RULE)
    assert benign.assessment == BENIGN
    assert benign.predicted_type == "pituitary"
    assert sum(benign.type_probabilities.values()) == pytest.approx(1)
    assert set(benign.features) <= set(classifier.names)


def test_the_unknown_is_left_open_with_its_reason(classifier):
    strange = classify_lesion(vector(classifier, 40, -60, 50), classifier, RULE)
    assert strange.assessment == INDETERMINATE
    assert "outside the training range" in strange.reason
    close = AbstainRule(low=0.0, high=1.1, novelty_limit=99)
    between = classify_lesion(vector(classifier, 1.5), classifier, close)
    assert between.assessment == INDETERMINATE
    assert "too close to call" in between.reason
    undefined = classify_lesion(vector(classifier, np.nan), classifier, RULE)
    assert undefined.assessment == INDETERMINATE
    assert undefined.malignancy_probability is None
    assert "undefined" in undefined.reason


def test_other_features_are_a_bug(classifier):
    names = tuple(reversed(classifier.names))
    other = FeatureVector(
        names=names, values=np.zeros(len(names)), profile="other", lesion_number=1
    )
    with pytest.raises(ValueError, match="other"):
        classify_lesion(other, classifier, RULE)


def test_a_file_with_foreign_types_is_refused(tmp_path):
    class Foreign:
        pass

    path = tmp_path / "bad.skops"
    io.dump({"malignancy": Foreign()}, path)
    with pytest.raises(SetupFault, match="Foreign"):
        Classifier.load(path)
