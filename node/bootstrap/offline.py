"""``onconode process``: the pipeline over a folder, without a network."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from node.assemble.folder import scan_folder
from node.assemble.prompts import PointedAt
from node.assemble.select import sort_study
from node.assemble.validate import check_all_series
from node.bootstrap.explain import write_explanation
from node.bootstrap.pointing import Seeds, find_prompts, needs_prompts, sources_of
from node.bootstrap.priors.finding import FoundPrior
from node.bootstrap.priors.looking import look_in_folders
from node.bootstrap.readers import readers_of
from node.bootstrap.roles import roles_of
from node.config.settings import PartChoice, ReportSettings, RoutingRule, SeriesMatch, Settings
from node.domain.errors import InputRejected, Problem
from node.domain.report import MESSAGES, EvidenceKind
from node.domain.study import Study
from node.domain.triage import TriageRule
from node.language import Language, Readers
from node.pipeline import Case, Toolbox, open_toolbox, run_stages
from node.registry.store import ModelStore
from node.result import SCHEMA_VERSION, summarize_case

log = structlog.get_logger()


def process_folder(
    directory: Path,
    out: Path,
    bundle: str | None,
    settings: Settings,
    seeds: Seeds | None = None,
    *,
    priors: Sequence[Path] = (),
    explain: bool = False,
    messages: bool = False,
    papers: Collection[Language] = (),
) -> list[dict[str, Any]]:
    """Process every study of a folder as the node would.

    Parameters
    ----------
    directory : Path
        DICOM files at any depth.
    out : Path
        Receives ``*_seg.dcm``, ``*_sr.dcm``, ``*_overlay.png`` and ``result.json`` for a single
        study; a folder for each study (named by its UID) where there are several.
    bundle : str or None
        Used for every CT or MR series instead of what the routing rules say, also for a series
        of a single slice. Roles that a rule for this bundle tells apart are kept.
    settings : Settings
    seeds : Seeds, optional
        Points for bundles that refine what somebody points at, instead of the study's objects.
    priors : sequence of Path
        Folders, or structured reports, of earlier examinations to compare with.
    explain : bool
        Write ``*_explain.png``, too: the lesions among those of the training.
    messages : bool
        Write ``*_oru.hl7`` and ``*_fhir.json``, too, as receivers of messages get them.
    papers : collection of {"en", "zh"}
        Languages of further PDF reports, besides what the settings ask for.

    Returns
    -------
    list of dict
        One result for each study, refused ones with their problems; as in ``result.json``.

    Raises
    ------
    InputRejected
        If the folder holds no DICOM study at all.
    SetupFault
        If the bundle is missing or changed.
    """
    contents = scan_folder(directory)
    if not contents.studies:
        raise InputRejected(contents.problems or [_empty(directory)])
    models = ModelStore(settings.node.models_dir)
    run = _Run(
        rules=settings.routing if bundle is None else _rules_for(bundle, models, settings.routing),
        minimum_slices=settings.node.assemble.minimum_slices if bundle is None else 1,
        models=models,
        report=settings.node.report,
        triage=TriageRule(**settings.node.triage.model_dump()),
        seeds=seeds,
        priors=tuple(priors),
        explain=explain,
        messages=MESSAGES if messages else frozenset(),
        readers=readers_of(settings, papers=papers),
    )
    results = []
    for study in contents.studies:
        place = out if len(contents.studies) == 1 else out / study.study_instance_uid
        place.mkdir(parents=True, exist_ok=True)
        try:
            result = _process(study, place, run)
        except InputRejected as rejected:
            result = _refusal(study, rejected.problems)
        result["files_left_out"] = [str(problem) for problem in contents.problems]
        (place / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        results.append(result)
    return results


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What all studies of a folder share; bundles are loaded once."""

    rules: tuple[RoutingRule, ...]
    minimum_slices: int
    models: ModelStore
    report: ReportSettings
    readers: Readers
    triage: TriageRule
    seeds: Seeds | None = None
    priors: tuple[Path, ...] = ()
    explain: bool = False
    messages: frozenset[EvidenceKind] = frozenset()
    toolboxes: dict[str, Toolbox] = field(default_factory=dict)

    def toolbox(self, name: str) -> Toolbox:
        if name not in self.toolboxes:
            self.toolboxes[name] = open_toolbox(self.models.get(name))
        return self.toolboxes[name]


def _process(study: Study, place: Path, run: _Run) -> dict[str, Any]:
    sorted_study = sort_study(study, run.rules, partial(roles_of, run.models))
    if not sorted_study.selections:
        raise InputRejected(sorted_study.left_out)
    selection = sorted_study.selections[0]
    series, *others = check_all_series(
        selection.all_series, minimum_slices=run.minimum_slices, choices=selection.choices
    )
    pointed = PointedAt()
    if needs_prompts(run.models, selection.rule.bundle):
        pointed = find_prompts(study, series, selection.rule, seeds=run.seeds)
    toolbox = run.toolbox(selection.rule.bundle)
    found = FoundPrior()
    if run.priors:
        found = look_in_folders(run.priors, series, toolbox.bundle.identity)
    case = run_stages(
        Case(
            series=series,
            companions=dict(zip(selection.companions, others, strict=True)),
            prompts=pointed.prompts,
            pointing=sources_of(study, pointed.prompts),
            prior=found.prior,
            warnings=found.remarks,
            toolbox=toolbox,
            out_dir=place,
            prefix=toolbox.bundle.manifest.name,
            settings=run.report,
            readers=run.readers,
            triage_rule=run.triage,
            messages=run.messages,
        )
    )
    picture = write_explanation(case) if run.explain else None
    return {
        **summarize_case(case),
        "explanation": picture.name if picture else "",
        "series_left_out": [str(problem) for problem in sorted_study.left_out],
        "regions_ignored": [str(problem) for problem in pointed.ignored],
    }


def _rules_for(
    bundle: str, models: ModelStore, rules: Sequence[RoutingRule]
) -> tuple[RoutingRule, ...]:
    """Take a series of the bundle's modality, or else any, which is refused with the reason."""
    task = bundle.partition("/")[0]
    told = [rule for rule in rules if rule.bundle.partition("/")[0] == task]
    return tuple(
        RoutingRule(
            name="command-line",
            match=SeriesMatch(modality=modality),
            bundle=bundle,
            destinations=("none",),
            roles=next((rule.roles for rule in told if rule.roles), {}),
            prompt_labels=next((rule.prompt_labels for rule in told), ()),
            part=next((rule.part for rule in told), PartChoice()),
        )
        for modality in (models.manifest(bundle).accepts.modality, ("CT", "MR"))
    )


def _refusal(study: Study, problems: tuple[Problem, ...]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "refused",
        "study_instance_uid": study.study_instance_uid,
        "problems": [
            {
                name: getattr(problem, name)
                for name in ("code", "found", "expected", "remedy", "tag", "uid")
            }
            for problem in problems
        ],
    }


def _empty(directory: Path) -> Problem:
    return Problem(
        code="no-dicom",
        found=f"no DICOM file in {directory.name}",
        expected="at least one CT or MR series",
        remedy="name the folder that holds the DICOM files",
    )
