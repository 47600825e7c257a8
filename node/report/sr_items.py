"""Content items that several parts of the structured report are made of."""

import math

from highdicom.sr import (
    AlgorithmIdentification,
    Measurement,
    RelationshipTypeValues,
    TextContentItem,
)

from node.domain.code import Code
from node.report.provenance import SHORT_TEXT, concept, plain_text


def text_item(name: Code, text: str) -> TextContentItem:
    """Free text that the report contains."""
    return TextContentItem(
        name=concept(name),
        value=plain_text(text, SHORT_TEXT),
        relationship_type=RelationshipTypeValues.CONTAINS,
    )


def number_item(
    name: Code,
    value: float,
    unit: Code,
    algorithm: AlgorithmIdentification | None = None,
    derivation: Code | None = None,
) -> Measurement | None:
    """Return a NUM item; None for a value that is not a number, which DICOM cannot write."""
    if not math.isfinite(value):
        return None
    return Measurement(
        name=concept(name),
        value=float(value),
        unit=concept(unit),
        algorithm_id=algorithm,
        derivation=None if derivation is None else concept(derivation),
    )
