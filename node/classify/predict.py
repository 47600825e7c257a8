"""Assess one lesion, and abstain where the classifier cannot know."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.classify.contributions import explain_case
from node.classify.model import Classifier
from node.domain.code import Code
from node.domain.features import FeatureVector
from node.domain.finding import BENIGN, INDETERMINATE, MALIGNANT, Finding


@dataclass(frozen=True, kw_only=True)
class AbstainRule:
    """When a lesion is left indeterminate.

    Parameters
    ----------
    low, high : float
        Probabilities of malignancy between these are too close to call.
    novelty_limit : float
        Largest novelty (see ``Classifier.measure_novelty``) that the classifier may judge.
    """

    low: float
    high: float
    novelty_limit: float

    def assess(self, probability: float, novelty: float) -> tuple[Code, str]:
        """Return the assessment, and the reason if it is indeterminate."""
        if novelty > self.novelty_limit:
            return INDETERMINATE, (
                f"outside the training range: novelty {novelty:.2f}, limit {self.novelty_limit:.2f}"
            )
        if self.low <= probability < self.high:
            return INDETERMINATE, (
                f"probability between {self.low:.2f} and {self.high:.2f}: too close to call"
            )
        return (MALIGNANT if probability >= self.high else BENIGN), ""


def classify_lesion(vector: FeatureVector, classifier: Classifier, rule: AbstainRule) -> Finding:
    """Assess a lesion from its features.

    Only features that the classifier uses must be defined. Where one that the tumour type needs is
    not, the type stays empty.

    Raises
    ------
    ValueError
        If the features are not those of the classifier, by name and order.
    """
    if vector.names != classifier.names:
        raise ValueError(f"profile {vector.profile} does not hold the classifier's features")
    used = {
        classifier.names[i]: float(vector.values[i])
        for i in classifier.malignancy_columns
        if not np.isnan(vector.values[i])
    }
    undefined = len(classifier.malignancy_columns) - len(used)
    if undefined:
        return Finding(
            lesion_number=vector.lesion_number,
            malignancy_probability=None,
            assessment=INDETERMINATE,
            reason=(
                f"{undefined} of the {len(classifier.malignancy_columns)} features that the "
                "classifier uses are undefined: lesion too small"
            ),
            features=used,
        )
    values = vector.values[None]
    probability = float(classifier.malignancy.predict_proba(values)[0, 1])
    assessment, reason = rule.assess(probability, float(classifier.measure_novelty(values)[0]))
    by_type = _type_probabilities(values, classifier)
    return Finding(
        lesion_number=vector.lesion_number,
        malignancy_probability=probability,
        assessment=assessment,
        reason=reason,
        predicted_type=max(by_type, key=lambda name: by_type[name]) if by_type else "",
        type_probabilities=by_type,
        features=used,
        contributions=explain_case(vector.values, classifier),
    )


def _type_probabilities(values: NDArray[np.float64], classifier: Classifier) -> dict[str, float]:
    columns: Sequence[int] = list(classifier.type_columns)
    if classifier.tumour_type is None or np.isnan(values[:, columns]).any():
        return {}
    shares = classifier.tumour_type.predict_proba(values)[0]
    return {name: float(s) for name, s in zip(classifier.type_names, shares, strict=True)}
