"""What the classifier says of one lesion."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from node.domain.code import Code

MALIGNANT = Code(value="21594007", scheme="SCT", meaning="Malignant")
BENIGN = Code(value="30807003", scheme="SCT", meaning="Benign")
INDETERMINATE = Code(value="280416009", scheme="SCT", meaning="Indeterminate")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Assessment of one lesion.

    Parameters
    ----------
    lesion_number : int
    malignancy_probability : float or None
        Calibrated, between 0 and 1; None when the classifier could not be applied.
    assessment : Code
        MALIGNANT, BENIGN or INDETERMINATE.
    reason : str
        Why the assessment is indeterminate; empty otherwise.
    predicted_type : str
        Most probable tumour type by the bundle's classifier, in words; empty if it has none.
    type_probabilities : mapping of str to float
        Probability of every tumour type that the bundle knows.
    features : mapping of str to float
        The features that the classifier used, by PyRadiomics name; undefined ones left out.
    contributions : mapping of str to float
        The features that counted most, by PyRadiomics name, largest first: change in the logit of
        malignancy against the median training lesion; above 0 speaks for malignant.
    """

    lesion_number: int
    malignancy_probability: float | None
    assessment: Code
    reason: str = ""
    predicted_type: str = ""
    type_probabilities: Mapping[str, float] = field(default_factory=dict)
    features: Mapping[str, float] = field(default_factory=dict)
    contributions: Mapping[str, float] = field(default_factory=dict)
