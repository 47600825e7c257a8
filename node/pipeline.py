"""Table of contents of the node's work: a series, or several bound by role, through all stages.

``STAGES`` is the walk. Each stage takes a ``Case``, does one thing, and returns it with one more
part filled in; stages know nothing of each other. ``SEGMENTERS`` says how each kind of bundle
finds its lesions.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import structlog

from node.case import Case
from node.case_remarks import tell_parts, tell_roles, tell_thickness
from node.classify.predict import classify_lesion
from node.compare.exams import compare_exams
from node.config.settings import ReportSettings
from node.domain.errors import InputRejected
from node.domain.model_facts import TrainingCloud
from node.domain.report import Report
from node.domain.study import Series
from node.domain.triage import decide_triage
from node.domain.volume import Volume
from node.registry.figures import read_figures
from node.registry.fit import check_all_fit
from node.registry.golden import GoldenInput, GoldenOutput, compare_golden, read_golden
from node.report.messages.write import write_messages
from node.report.write import write_evidence
from node.segment.lesions import find_lesions
from node.segment.network import Network
from node.segment.nodule import NoduleNetwork, find_nodules
from node.toolbox import Toolbox, open_toolbox
from node.volume.read import read_volume
from node.volume.resample_channels import resample_channel

__all__ = ["STAGES", "Case", "Toolbox", "check_golden", "open_toolbox", "run_golden", "run_stages"]

log = structlog.get_logger()

WARN_BELOW_COVERAGE = 0.9
"""Share of the reference's tissue that another role should show."""


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
        source_paths=[
            instance.path
            for instance in case.series.instances
            if instance.sop_instance_uid == case.volume.source_uids[0]
        ],
        out_dir=case.out_dir,
        prefix=case.prefix,
        at=datetime.now(UTC),
    )
    return replace(case, evidence=evidence, triage=triage)


def _locate(case: Case) -> TrainingCloud | None:
    projection = case.toolbox.projection
    return None if projection is None else projection.locate(case.features)


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
