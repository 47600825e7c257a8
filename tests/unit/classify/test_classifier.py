"""Fit, save, load, assess, abstain."""

import numpy as np
import pytest
from factories_tables import QUICK, make_table
from sklearn.covariance import LedoitWolf
from skops import io

from node.classify.model import Classifier
from node.classify.predict import AbstainRule, classify_lesion
from node.domain.errors import SetupFault
from node.domain.features import FeatureVector
from node.domain.finding import BENIGN, INDETERMINATE, MALIGNANT
from node.training.fit_svm import fit_classifier

# Dear features: only some are kept, and others for the type than for malignancy.
DEAR = QUICK.model_copy(update={"feature_charge": 0.02, "generations": 6, "calibration": "sigmoid"})
RULE = AbstainRule(low=0.4, high=0.6, novelty_limit=2.0)


@pytest.fixture(scope="module")
def fitted():
    return fit_classifier(make_table(), settings=DEAR, seed=11)


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
    again = fit_classifier(type(table)(**{**fields, "values": spoilt}), settings=DEAR, seed=11)
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


def test_only_features_that_are_used_must_be_defined(classifier):
    assert 0 in classifier.malignancy_columns
    undefined = classify_lesion(vector(classifier, np.nan), classifier, RULE)
    assert undefined.assessment == INDETERMINATE
    assert undefined.malignancy_probability is None
    assert "undefined" in undefined.reason
    unused = set(range(len(classifier.names))) - {
        *classifier.malignancy_columns,
        *classifier.type_columns,
    }
    values = np.zeros(len(classifier.names))
    values[0] = 3.5
    whole = classify_lesion(vector(classifier, *values), classifier, RULE)
    values[list(unused)] = np.nan
    partly = classify_lesion(vector(classifier, *values), classifier, RULE)
    assert unused
    assert partly.assessment == MALIGNANT
    assert partly.malignancy_probability == whole.malignancy_probability
    assert partly.type_probabilities == whole.type_probabilities


def test_a_type_that_cannot_be_told_is_left_empty(classifier):
    only_type = set(classifier.type_columns) - set(classifier.malignancy_columns)
    values = np.zeros(len(classifier.names))
    values[0], values[list(only_type)] = 3.5, np.nan
    finding = classify_lesion(vector(classifier, *values), classifier, RULE)
    assert only_type
    assert finding.malignancy_probability > 0.6
    assert finding.predicted_type == ""
    assert finding.type_probabilities == {}


def test_novelty_of_a_part_is_that_of_the_marginal_distribution(classifier):
    values = np.full((1, len(classifier.names)), np.nan)
    values[0, 3] = 2.5
    place = classifier.novelty_columns.index(3)
    scaled = (2.5 - classifier.scaler.center_[3]) / classifier.scaler.scale_[3]
    apart = scaled - classifier.covariance.location_[place]
    expected = abs(apart) / np.sqrt(classifier.covariance.covariance_[place, place])
    assert classifier.measure_novelty(values) == pytest.approx(expected)


def test_novelty_of_training_cases_is_about_one(fitted):
    novelty = fitted.classifier.measure_novelty(fitted.fitting.values)
    assert np.sqrt((novelty**2).mean()) == pytest.approx(1, abs=0.15)


def test_a_table_of_one_type_gives_a_classifier_of_malignancy_alone(tmp_path):
    table = make_table()
    nodules = make_table(tumour_types=np.full(len(table.patients), "nodule"))
    fitted = fit_classifier(nodules, settings=QUICK, seed=11)
    fitted.classifier.save(tmp_path / "classifier.skops")
    loaded = Classifier.load(tmp_path / "classifier.skops")
    assert fitted.type_search is None
    finding = classify_lesion(vector(loaded, 3.5), loaded, RULE)
    assert finding.assessment == MALIGNANT
    assert finding.predicted_type == ""
    told = fit_classifier(table, settings=QUICK.model_copy(update={"tumour_type": False}), seed=11)
    assert told.classifier.tumour_type is None


def test_features_undefined_in_training_are_dropped_and_never_asked_for():
    table = make_table()
    values = table.values.copy()
    values[:, 5] = np.nan
    values[::40, 6] = np.nan
    fitted = fit_classifier(
        make_table(values=values),
        settings=QUICK.model_copy(update={"undefined_limit": 0.1}),
        seed=11,
    )
    assert "undefined" in fitted.choice.dropped["feature_5"]
    assert 5 not in fitted.choice.columns
    assert 6 in fitted.choice.columns
    assert not np.isnan(fitted.fitting.values[:, 6]).any()
    case = np.zeros(8)
    case[0], case[5] = 3.5, np.nan
    finding = classify_lesion(vector(fitted.classifier, *case), fitted.classifier, RULE)
    assert finding.malignancy_probability > 0.6


def test_rows_whose_malignancy_is_open_are_not_learnt_from():
    table = make_table()
    labelled = np.arange(len(table.patients)) % 3 != 0
    fitted = fit_classifier(make_table(labelled=labelled), settings=QUICK, seed=11)
    known = set(table.identifiers[labelled])
    assert set(fitted.fitting.identifiers) | set(fitted.calibrating.identifiers) <= known


def test_a_file_from_before_the_new_fields_gets_defaults(classifier, tmp_path):
    old = ("names", "malignancy", "malignancy_columns", "tumour_type", "type_names", "scaler")
    content = {name: getattr(classifier, name) for name in old}
    every = classifier.scaler.transform(make_table().values)
    content["covariance"] = LedoitWolf().fit(every)
    path = tmp_path / "classifier.skops"
    io.dump(content, path)
    loaded = Classifier.load(path)
    assert loaded.novelty_columns == loaded.type_columns == tuple(range(8))
    finding = classify_lesion(vector(loaded, 3.5), loaded, RULE)
    assert finding.assessment == MALIGNANT
    new = classify_lesion(vector(classifier, 3.5), classifier, RULE)
    assert finding.contributions == pytest.approx(new.contributions)


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
