"""Who made a result: equipment, algorithm, series texts, dates."""

import math
from collections.abc import Sequence
from typing import Any

from highdicom import AlgorithmIdentificationSequence, ContributingEquipment
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

import node
from node.domain.code import Code
from node.domain.report import ModelIdentity
from node.domain.spelling import spell_plainly
from node.report.sources import content_moment, copy_identity

PRODUCT_NAME = "OncoNode"
RESEARCH_NOTICE = "research use, not for diagnosis"
LONG_STRING = 64
SHORT_TEXT = 1024


def concept(code: Code) -> CodedConcept:
    """The highdicom form of a code."""
    return CodedConcept(code.value, code.scheme, plain_text(code.meaning, LONG_STRING))


def plain_text(text: str, longest: int) -> str:
    """Make our own words fit any character set: ASCII, no line breaks, not too long.

    Results keep the character set of their source; patient attributes are copied and never pass
    through here.
    """
    return spell_plainly(text)[:longest]


def significant(value: float, digits: int = 6) -> float:
    """Round to so many significant digits; noise behind them would give results new UIDs."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))


def algorithm_of(name: str, model: ModelIdentity) -> AlgorithmIdentificationSequence:
    """Algorithm identification for one part of a model."""
    return AlgorithmIdentificationSequence(
        name=plain_text(name, LONG_STRING),
        family=codes.DCM.ArtificialIntelligence,
        version=plain_text(model.version, LONG_STRING),
        source=plain_text(model.manufacturer, LONG_STRING),
        parameters={"bundle": plain_text(model.name, LONG_STRING), "sha256": model.digest},
    )


def equipment_of(model: ModelIdentity) -> dict[str, Any]:
    """Arguments for highdicom that fill the General Equipment module."""
    return {
        "manufacturer": plain_text(model.manufacturer, LONG_STRING),
        "manufacturer_model_name": PRODUCT_NAME,
        "device_serial_number": model.digest[:16],
        "software_versions": [
            plain_text(node.__version__, LONG_STRING),
            plain_text(f"{model.name} {model.version}", LONG_STRING),
        ],
    }


def series_description(kind: str, model: ModelIdentity) -> str:
    """Series description that says what it is and that it is not for diagnosis."""
    tail = f" ({RESEARCH_NOTICE})"
    head = plain_text(f"AI {kind} {model.name} {model.version}", LONG_STRING - len(tail))
    return head + tail


def stamp(derived: Dataset, *, sources: Sequence[Dataset], model: ModelIdentity) -> None:
    """Complete a result of highdicom with identity, dates and equipment.

    Parameters
    ----------
    derived : Dataset
        Changed in place.
    sources : sequence of Dataset
        Headers as they were read.
    model : ModelIdentity
    """
    copy_identity(derived, sources[0])
    date, time = content_moment(sources[0])
    derived.InstanceCreationDate = derived.ContentDate = derived.SeriesDate = date
    derived.InstanceCreationTime = derived.ContentTime = derived.SeriesTime = time
    derived.ContributingEquipmentSequence = [
        *_without_run_time(derived.get("ContributingEquipmentSequence", ())),
        _node_as_equipment(model),
    ]


def _without_run_time(items: Sequence[Dataset]) -> list[Dataset]:
    for item in items:  # highdicom names itself and the scanner; the former with the time of now
        if item.get("ManufacturerModelName") == "highdicom" and "ContributionDateTime" in item:
            del item.ContributionDateTime
    return list(items)


def _node_as_equipment(model: ModelIdentity) -> Dataset:
    item = ContributingEquipment(
        purpose_of_reference=codes.DCM.ProcessingEquipment,
        contribution_description=f"Segmentation and classification, {RESEARCH_NOTICE}",
        **equipment_of(model),
    )
    item.DeviceUID = model.device_uid
    return item
