"""``onconode process``: the pipeline over a folder, without a network."""

import json
from pathlib import Path
from typing import Any

import structlog

from node.assemble.folder import scan_folder
from node.assemble.select import sort_study
from node.assemble.validate import check_series
from node.config.settings import RoutingRule, SeriesMatch, Settings
from node.domain.errors import InputRejected, Problem
from node.domain.study import Study
from node.pipeline import Case, Toolbox, open_toolbox, run_stages
from node.registry.store import ModelStore
from node.result import SCHEMA_VERSION, summarize_case

log = structlog.get_logger()


def process_folder(
    directory: Path, out: Path, bundle: str | None, settings: Settings
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
        Used for every CT or MR series instead of what the routing rules say.
    settings : Settings

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
    rules = settings.routing if bundle is None else (_rule_for(bundle),)
    toolboxes: dict[str, Toolbox] = {}
    results = []
    for study in contents.studies:
        place = out if len(contents.studies) == 1 else out / study.study_instance_uid
        place.mkdir(parents=True, exist_ok=True)
        try:
            result = _process(study, place, rules, settings, toolboxes)
        except InputRejected as rejected:
            result = _refusal(study, rejected.problems)
        result["files_left_out"] = [str(problem) for problem in contents.problems]
        (place / "result.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        results.append(result)
    return results


def _process(
    study: Study,
    place: Path,
    rules: tuple[RoutingRule, ...],
    settings: Settings,
    toolboxes: dict[str, Toolbox],
) -> dict[str, Any]:
    sorted_study = sort_study(study, rules)
    if not sorted_study.selections:
        raise InputRejected(sorted_study.left_out)
    selection = sorted_study.selections[0]
    series = check_series(selection.series, minimum_slices=settings.node.assemble.minimum_slices)
    name = selection.rule.bundle
    if name not in toolboxes:
        toolboxes[name] = open_toolbox(ModelStore(settings.node.models_dir).get(name))
    toolbox = toolboxes[name]
    case = run_stages(
        Case(
            series=series,
            toolbox=toolbox,
            out_dir=place,
            prefix=toolbox.bundle.manifest.name,
            settings=settings.node.report,
        )
    )
    return {
        **summarize_case(case),
        "series_left_out": [str(problem) for problem in sorted_study.left_out],
    }


def _rule_for(bundle: str) -> RoutingRule:
    return RoutingRule(
        name="command-line",
        match=SeriesMatch(modality=("CT", "MR")),
        bundle=bundle,
        destinations=("none",),
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
