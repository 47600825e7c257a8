"""What one run of the stages knows of its series: each stage fills in one more part."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.config.settings import ReportSettings
from node.domain.features import FeatureVector
from node.domain.finding import Finding
from node.domain.intake import Intake
from node.domain.prior import Comparison, PriorResult
from node.domain.prompt import Prompt
from node.domain.report import Evidence, EvidenceKind
from node.domain.segmentation import Segmentation
from node.domain.study import InstanceRef, Series
from node.domain.triage import Triage, TriageRule
from node.domain.volume import Volume
from node.language import Readers
from node.toolbox import Toolbox


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One series, with its companions, on its way through the stages.

    Parameters
    ----------
    series : Series
        Checked by ``assemble``: ordered slices, with a geometry. Where the bundle has roles, the
        series of the first one: the others come to its grid, and SEG and SR speak of it.
    companions : mapping of str to Series
        Role -> series, checked, for every role but the first.
    prompts : tuple of Prompt
        Where somebody pointed at lesions; for bundles of the kind "nodule".
    pointing : tuple of InstanceRef
        The objects that the prompts come from.
    toolbox : Toolbox
    out_dir : Path
        Where results are written.
    prefix : str
        Of the names of the result files.
    settings : ReportSettings
    readers : Readers
        Languages of pictures and PDF reports.
    intake : Intake
        How complete the study was, and the earlier report that this one takes the place of.
    volume : Volume
        Of ``series``.
    channels : tuple of Volume
        ``volume`` and, on its grid, those of the companions, in the order of the bundle's roles.
    prompts_of : mapping of int to tuple of Prompt
        Lesion number -> the prompts that led to it.
    prior : PriorResult or None
        Of an earlier examination, where one was found.
    comparison : Comparison or None
        With it.
    triage_rule : TriageRule
        Which results are flagged.
    triage : Triage
        The flags.
    messages : frozenset of EvidenceKind
        Which messages are written beside the objects: ``ORU``, ``FHIR``.
    warnings : tuple of str
        What a reader should know of this case, in sentences.
    seconds : dict of str to float
        Time that each finished stage took.
    """

    series: Series
    toolbox: Toolbox
    out_dir: Path
    prefix: str
    settings: ReportSettings
    readers: Readers = field(default_factory=Readers)
    companions: Mapping[str, Series] = field(default_factory=dict)
    prompts: tuple[Prompt, ...] = ()
    pointing: tuple[InstanceRef, ...] = ()
    intake: Intake = field(default_factory=Intake)
    volume: Volume | None = None
    channels: tuple[Volume, ...] = ()
    segmentation: Segmentation | None = None
    prompts_of: Mapping[int, tuple[Prompt, ...]] = field(default_factory=dict)
    features: tuple[FeatureVector, ...] = ()
    findings: tuple[Finding, ...] = ()
    prior: PriorResult | None = None
    comparison: Comparison | None = None
    triage_rule: TriageRule = field(default_factory=TriageRule)
    triage: Triage = field(default_factory=Triage)
    messages: frozenset[EvidenceKind] = frozenset()
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
