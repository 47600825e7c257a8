"""What goes back: the facts of a report, and the DICOM objects made from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from node.domain.code import Code
from node.domain.finding import Finding
from node.domain.intake import Completeness, DocumentRef
from node.domain.model_facts import ModelFigure, TrainingCloud
from node.domain.prior import Comparison
from node.domain.prompt import Prompt
from node.domain.segmentation import Segmentation
from node.domain.triage import Triage


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Which trained model speaks.

    Parameters
    ----------
    name, version : str
        Of the bundle, e.g. ``"brain-t1ce"`` and ``"1.0.0"``.
    digest : str
        SHA-256 over the bundle's manifest: changes with every trained model.
    device_uid : str
        Device UID derived from the digest, for ContributingEquipment and device observer.
    manufacturer : str
    anatomic_region : Code
        Where the bundle looks, e.g. brain.
    finding_type : Code
        What it segments, e.g. neoplasm.
    segmenter_name, classifier_name : str
        For the algorithm identification; no classifier name where the model has none.
    limitations : str
        One sentence for the report.
    """

    name: str
    version: str
    digest: str
    device_uid: str
    manufacturer: str
    anatomic_region: Code
    finding_type: Code
    segmenter_name: str
    classifier_name: str
    limitations: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Everything that SEG, SR and overlay are made from.

    Parameters
    ----------
    segmentation : Segmentation
    findings : tuple of Finding
        One for each lesion, in the order of their numbers; none if the model does not classify.
    model : ModelIdentity
    prompts_of : mapping of int to tuple of Prompt
        Lesion number -> where somebody had pointed at it; empty if the model finds lesions itself.
    remarks : tuple of str
        What a reader should know of this case, in sentences.
    completeness : Completeness
        Of the images that were evaluated; an incomplete one makes the report PARTIAL.
    predecessor : DocumentRef or None
        Report that this one takes the place of, made before further images came.
    comparison : Comparison or None
        With the latest earlier examination; None where none was looked for, or found.
    figures : mapping of str to ModelFigure
        Of the model on its test patients; see ``node.registry.figures``.
    cloud : TrainingCloud or None
        The lesions among those of the training; None where the bundle keeps none.
    triage : Triage
        What calls for attention first.
    """

    segmentation: Segmentation
    findings: tuple[Finding, ...]
    model: ModelIdentity
    prompts_of: Mapping[int, tuple[Prompt, ...]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    completeness: Completeness = field(default_factory=Completeness)
    predecessor: DocumentRef | None = None
    comparison: Comparison | None = None
    figures: Mapping[str, ModelFigure] = field(default_factory=dict)
    cloud: TrainingCloud | None = None
    triage: Triage = field(default_factory=Triage)


class EvidenceKind(StrEnum):
    """Kinds of object that a report turns into.

    ``RTSTRUCT``, ``SC`` and ``KO`` stand in for a SEG; ``PDF`` and those after it go to those who
    ask for them.
    """

    SEG = "seg"
    SR = "sr"
    OVERLAY = "overlay"
    CAPTURE = "capture"
    RTSTRUCT = "rtstruct"
    SC = "sc"
    KO = "ko"
    PDF = "pdf"
    PAPER = "paper"
    LABELMAP = "labelmap"
    FRACTIONAL = "fractional"
    PARAMETRIC_MAP = "parametric_map"
    ORU = "oru"
    FHIR = "fhir"


MESSAGES = frozenset({EvidenceKind.ORU, EvidenceKind.FHIR})
"""Told to a RIS or a FHIR server; no DICOM objects."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A result written to disk.

    Parameters
    ----------
    kind : EvidenceKind
    path : Path
    sop_class_uid, sop_instance_uid, series_instance_uid : str
        Empty for objects that are not DICOM (the PNGs).
    """

    kind: EvidenceKind
    path: Path
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    series_instance_uid: str = ""
