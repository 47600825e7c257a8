"""Assess one lesion, and abstain where the classifier cannot know."""

from dataclasses import dataclass

import numpy as np

from node.classify.model import Classifier
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


def classify_lesion(vector: FeatureVector, classifier: Classifier, rule: AbstainRule) -> Finding:
    """Assess a lesion from its features.

    Raises
    ------
    ValueError
        If the features are not those of the classifier, by name and order.
    """
    if vector.names != classifier.names:
        raise ValueError(f"profile {vector.profile} does not hold the classifier's features")
    if np.isnan(vector.values).any():
        undefined = int(np.isnan(vector.values).sum())
        return Finding(
            lesion_number=vector.lesion_number,
            malignancy_probability=None,
            assessment=INDETERMINATE,
            reason=f"{undefined} of {len(vector.names)} features are undefined: lesion too small",
        )
    values = vector.values[None]
    probability = float(classifier.malignancy.predict_proba(values)[0, 1])
    types = classifier.tumour_type.predict_proba(values)[0]
    by_type = {name: float(share) for name, share in zip(classifier.type_names, types, strict=True)}
    novelty = float(classifier.measure_novelty(values)[0])
    assessment, reason = MALIGNANT if probability >= rule.high else BENIGN, ""
    if novelty > rule.novelty_limit:
        assessment = INDETERMINATE
        reason = (
            f"outside the training range: novelty {novelty:.2f}, limit {rule.novelty_limit:.2f}"
        )
    elif rule.low <= probability < rule.high:
        assessment = INDETERMINATE
        reason = f"probability between {rule.low:.2f} and {rule.high:.2f}: too close to call"
    return Finding(
        lesion_number=vector.lesion_number,
        malignancy_probability=probability,
        assessment=assessment,
        reason=reason,
        predicted_type=max(by_type, key=lambda name: by_type[name]),
        type_probabilities=by_type,
        features={
            classifier.names[i]: float(vector.values[i]) for i in classifier.malignancy_columns
        },
    )
