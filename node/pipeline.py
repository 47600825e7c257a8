"""Table of contents of the node's work: a series, or several bound by role, through all stages.

``STAGES`` is the walk. Each stage takes a ``Case``, does one thing, and returns it with one more
part filled in; stages know nothing of each other. ``SEGMENTERS`` says how each kind of bundle
finds its lesions.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import structlog

from node.classify.model import Classifier
from node.classify.predict import AbstainRule, classify_lesion
from node.classify.projection import PROJECTION_FILE, Projection
from node.compare.exams import compare_exams
from node.config.settings import ReportSettings
from node.domain.errors import InputRejected
from node.domain.features import FeatureVector
from node.domain.finding import Finding
from node.domain.intake import Intake
from node.domain.model_facts import TrainingCloud
from node.domain.prior import Comparison, PriorResult
from node.domain.prompt import Prompt
from node.domain.report import Evidence, EvidenceKind, Report
from node.domain.segmentation import Segmentation
from node.domain.study import InstanceRef, Series
from node.domain.triage import Triage, TriageRule, decide_triage
from node.domain.volume import Volume
from node.language import Readers
from node.radiomics.extract import ExtractionSpec, Extractor
from node.radiomics.profiles import PROFILES
from node.registry.bundle import Bundle
from node.registry.figures import read_figures
from node.registry.fit import check_all_fit
from node.registry.golden import GoldenInput, GoldenOutput, compare_golden, read_golden
from node.registry.manifest import ClassifierEntry
from node.report.messages.write import write_messages
from node.report.write import write_evidence
from node.segment.lesions import LesionSpec, find_lesions
from node.segment.network import Network
from node.segment.nodule import NoduleNetwork, find_nodules
from node.segment.nodule_patches import NoduleInputSpec
from node.segment.preprocess import InputSpec
from node.volume.read import read_volume
from node.volume.resample_channels import resample_channel

log = structlog.get_logger()

WARN_BELOW_COVERAGE = 0.9
"""Share of the reference's tissue that another role should show."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Toolbox:
    """A bundle, loaded: everything that is slow to load and serves many cases.

    ``extractor``, ``classifier`` and ``abstain`` are None in bundles that only segment;
    ``projection``, the training lesions, in those that keep none.
    """

    bundle: Bundle
    network: Network | NoduleNetwork
    lesions: LesionSpec
    extractor: Extractor | None
    classifier: Classifier | None
    abstain: AbstainRule | None
    projection: Projection | None = None


def open_toolbox(bundle: Bundle) -> Toolbox:
    """Load network, extractor and classifier of a bundle; needs TensorFlow."""
    manifest = bundle.manifest
    entry = manifest.classifier
    return Toolbox(
        bundle=bundle,
        network=load_network(bundle),
        lesions=LesionSpec(**manifest.lesions),
        extractor=Extractor(extraction_spec(entry)) if entry else None,
        classifier=Classifier.load(bundle.path / "classifier.skops") if entry else None,
        abstain=AbstainRule(
            low=entry.abstain_low, high=entry.abstain_high, novelty_limit=entry.novelty_limit
        )
        if entry
        else None,
        projection=_open_projection(bundle.path / PROJECTION_FILE) if entry else None,
    )


def _open_projection(path: Path) -> Projection | None:
    return Projection.load(path) if path.is_file() else None


def load_network(bundle: Bundle) -> Network | NoduleNetwork:
    """Load the network of a bundle, as its kind has it; needs TensorFlow."""
    path, numbers = bundle.path / "segmenter.keras", bundle.manifest.input
    if bundle.manifest.kind == "nodule":
        return NoduleNetwork.load(path, NoduleInputSpec(**numbers))  # type: ignore[arg-type]  # pydantic has checked the numbers
    return Network.load(path, InputSpec(**numbers))  # type: ignore[arg-type]  # pydantic has checked the numbers


def extraction_spec(entry: ClassifierEntry) -> ExtractionSpec:
    """Settings of the features that a bundle's classifier was trained on."""
    return ExtractionSpec(
        profile=PROFILES[entry.profile],
        spacing_mm=entry.spacing_mm,
        bin_width=entry.bin_width,
        foreground_fraction=entry.foreground_fraction,
        normalisation=entry.normalisation,
        slice_spacing_mm=entry.slice_spacing_mm,
    )


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


def read(case: Case) -> Case:
    """Check that the bundle was made for such series, and decode them on one grid."""
    check_all_fit((case.series, *case.companions.values()), case.toolbox.bundle)
    volume = read_volume(case.series)
    channels = [volume]
    warnings = [*case.warnings, *tell_thickness(case.series), *tell_parts(case)]
    for role, series in case.companions.items():
        channel = resample_channel(read_volume(series), volume)
        channels.append(channel.volume)
        if channel.covered < WARN_BELOW_COVERAGE:
            warnings.append(
                f"{role} covers {channel.covered:.0%} of the tissue in the first role's series"
            )
        if not (volume.frame_of_reference_uid and channel.volume.frame_of_reference_uid):
            warnings.append(f"no frame of reference: {role} is taken to lie where it says")
    return replace(case, volume=volume, channels=tuple(channels), warnings=tuple(warnings))


def tell_parts(case: Case) -> list[str]:
    """Say which volume of a series was taken, where it holds several."""
    told = []
    for series in (case.series, *case.companions.values()):
        if series.part is not None:
            number = series.attributes.get("SeriesNumber") or "unknown"
            told.append(f"series number {number}: {series.part} (by {series.part.chosen_by})")
    return told


def tell_thickness(series: Series) -> list[str]:
    """Warn of a volume that rests on the thickness of a single slice."""
    if len(series.slices) != 1:
        return []
    known = any(series.attributes.get(name) for name in ("SliceThickness", "SpacingBetweenSlices"))
    thickness_mm = series.geometry.spacing_mm[0] if series.geometry else 0.0
    told = f"{thickness_mm:g} mm" + ("" if known else ", assumed as the header names none")
    return [f"one slice only: volumes are areas times its thickness ({told})"]


def segment_slices(case: Case) -> Case:
    """Mark every voxel of the whole series, and take what hangs together for a lesion."""
    tools = case.toolbox
    assert case.volume is not None
    assert isinstance(tools.network, Network)
    probability = tools.network.predict(case.channels)
    segmentation = find_lesions(
        case.volume, probability, tools.lesions, model_digest=tools.bundle.digest
    )
    return replace(case, segmentation=segmentation)


def segment_nodules(case: Case) -> Case:
    """Outline the nodule at every prompt, and warn of prompts where there is none."""
    tools = case.toolbox
    assert case.volume is not None
    assert isinstance(tools.network, NoduleNetwork)
    found = find_nodules(
        case.volume, case.prompts, tools.network, tools.lesions, model_digest=tools.bundle.digest
    )
    told = [f"no nodule at {problem.tag}: {problem.found}" for problem in found.absent]
    return replace(
        case,
        segmentation=found.segmentation,
        prompts_of=found.prompts_of,
        warnings=(*case.warnings, *told),
    )


SEGMENTERS: Mapping[str, Callable[[Case], Case]] = MappingProxyType(
    {
        "slices": segment_slices,
        "nodule": segment_nodules,
    }
)
"""Kind of bundle -> how it finds lesions."""


def segment(case: Case) -> Case:
    """Find the lesions, as the kind of the bundle has it."""
    return SEGMENTERS[case.toolbox.bundle.manifest.kind](case)


def measure(case: Case) -> Case:
    """Extract the radiomics features of every lesion, if the bundle uses any."""
    assert case.volume is not None
    assert case.segmentation is not None
    extractor = case.toolbox.extractor
    if extractor is None:
        return case
    vectors = [
        extractor.extract(case.volume, case.segmentation, lesion)
        for lesion in case.segmentation.lesions
    ]
    return replace(case, features=tuple(vectors))


def classify(case: Case) -> Case:
    """Assess every lesion, if the bundle has a classifier."""
    classifier, abstain = case.toolbox.classifier, case.toolbox.abstain
    if classifier is None or abstain is None:
        return case
    findings = [classify_lesion(vector, classifier, abstain) for vector in case.features]
    return replace(case, findings=tuple(findings))


def compare(case: Case) -> Case:
    """Compare with an earlier result, where one was found; what fails there is a remark."""
    if case.prior is None:
        return case
    assert case.volume is not None
    assert case.segmentation is not None
    images: Volume | None = None
    told: tuple[str, ...] = ()
    try:
        images = read_volume(case.prior.series) if case.prior.series else None
    except InputRejected as rejected:
        told = (f"earlier images cannot be read: {rejected.problems[0].found}",)
    try:
        compared = compare_exams(case.volume, case.segmentation, case.prior, images)
    except (RuntimeError, ValueError, ArithmeticError) as error:
        log.warning("comparison.failed", error=type(error).__name__)
        told += ("the comparison with the earlier examination failed",)
        return replace(case, warnings=(*case.warnings, *told))
    return replace(
        case,
        segmentation=compared.segmentation,
        comparison=compared.comparison,
        warnings=(*case.warnings, *told),
    )


def report(case: Case) -> Case:
    """Write SEG, SR and overlay; the SEG is decoded again and compared with the mask."""
    assert case.volume is not None
    assert case.segmentation is not None
    triage = decide_triage(
        case.segmentation.lesions, case.findings, case.comparison, case.triage_rule
    )
    told = Report(
        segmentation=case.segmentation,
        findings=case.findings,
        model=case.toolbox.bundle.identity,
        prompts_of=case.prompts_of,
        remarks=(*tell_roles(case), *case.warnings),
        completeness=case.intake.completeness,
        predecessor=case.intake.predecessor,
        comparison=case.comparison,
        figures=read_figures(case.toolbox.bundle),
        cloud=_locate(case),
        triage=triage,
    )
    source_paths = [instance.path for instance in case.series.instances]
    evidence = write_evidence(
        told,
        case.volume,
        source_paths=source_paths,
        pointing_paths=[instance.path for instance in case.pointing],
        out_dir=case.out_dir,
        prefix=case.prefix,
        settings=case.settings,
        readers=case.readers,
    )
    evidence += write_messages(
        told,
        case.volume,
        kinds=case.messages,
        evidence=evidence,
        source_paths=source_paths,
        out_dir=case.out_dir,
        prefix=case.prefix,
        at=datetime.now(UTC),
    )
    return replace(case, evidence=evidence, triage=triage)


def _locate(case: Case) -> TrainingCloud | None:
    projection = case.toolbox.projection
    return None if projection is None else projection.locate(case.features)


def tell_roles(case: Case) -> list[str]:
    """Say in which series of the study the network looked, where there are several."""
    roles = [role.name for role in case.toolbox.bundle.manifest.roles]
    if not case.companions:
        return []
    series = {roles[0]: case.series, **case.companions}
    told = [
        f"{role} = series number {series[role].attributes.get('SeriesNumber') or 'unknown'}"
        for role in roles
    ]
    return [f"Read together, on the grid of the first: {', '.join(told)}."]


Stage = Callable[[Case], Case]

STAGES: tuple[tuple[str, Stage], ...] = (
    ("read", read),
    ("segment", segment),
    ("radiomics", measure),
    ("classify", classify),
    ("compare", compare),
    ("report", report),
)


def run_stages(case: Case, *, on_stage: Callable[[str], object] = str) -> Case:
    """Take a case through all stages.

    Parameters
    ----------
    case : Case
    on_stage : callable
        Called with the name of each stage before it starts; may raise to stop the work.

    Returns
    -------
    Case
        With every part filled in.

    Raises
    ------
    InputRejected
        If the bundle was not made for such a series, or its pixels cannot be decoded.
    """
    for name, stage in STAGES:
        on_stage(name)
        start = time.perf_counter()
        case = stage(case)
        case.seconds[name] = round(time.perf_counter() - start, 3)
    return case


def run_golden(toolbox: Toolbox, given: GoldenInput) -> GoldenOutput:
    """Make of a golden input what the stages would: mask, features and probability."""
    case = Case(
        series=Series(
            series_instance_uid=given.volume.series_instance_uid,
            study_instance_uid=given.volume.study_instance_uid,
            modality=given.volume.modality,
            instances=(),
        ),
        toolbox=toolbox,
        out_dir=Path(),
        prefix="",
        settings=ReportSettings(),
        prompts=given.prompts,
        volume=given.volume,
        channels=given.channels,
    )
    for stage in (segment, measure, classify):
        case = stage(case)
    assert case.segmentation is not None
    finding = case.findings[0] if case.findings else None
    probability = finding.malignancy_probability if finding else None
    return GoldenOutput(
        mask=case.segmentation.labels > 0,
        values=case.features[0].values if case.features else np.empty(0),
        probability=float("nan") if probability is None else probability,
    )


def check_golden(toolbox: Toolbox) -> None:
    """Run the bundle's golden case.

    Raises
    ------
    SetupFault
        If something else comes out than when the bundle was packaged.
    """
    given, expected = read_golden(toolbox.bundle.path / "golden")
    name = f"{toolbox.bundle.manifest.name}/{toolbox.bundle.manifest.version}"
    compare_golden(run_golden(toolbox, given), expected, bundle=name)
