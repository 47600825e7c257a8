"""Quiet studies -> jobs: what the dispatcher's first clock does."""

from datetime import timedelta

import structlog

from node.assemble.digest import content_digest, digest_instances
from node.assemble.headers import read_series
from node.assemble.select import sort_study
from node.assemble.validate import check_series
from node.bootstrap.parts import Parts
from node.domain.errors import InputRejected, Problem
from node.domain.study import Study
from node.storage.clock import utc_now
from node.storage.instances import ReceivedInstance

log = structlog.get_logger()

SILENT = frozenset({"own-result", "other-modality"})
"""Reasons that need no answer: nobody expects findings for a report or for the node's own SEG."""


def assemble_quiet(parts: Parts) -> int:
    """Make a job, or a rejection with its reasons, of every study that fell quiet.

    Returns
    -------
    int
        Studies that were looked at.
    """
    quiet = timedelta(seconds=parts.settings.node.assemble.quiet_time_s)
    studies = parts.store.quiet_studies(before=utc_now() - quiet)
    for study_instance_uid in studies:
        _assemble(parts, study_instance_uid)
    return len(studies)


def _assemble(parts: Parts, study_instance_uid: str) -> None:
    seen = parts.store.last_received(study_instance_uid)
    received = parts.store.received_of(study_instance_uid)
    sender = received[-1].calling_ae_title
    digest = digest_instances(item.instance for item in received)
    try:
        _plan(parts, read_series(received), received)
    except InputRejected as rejected:
        parts.ledger.add_rejected(
            study_instance_uid=study_instance_uid,
            calling_ae_title=sender,
            content_digest=digest,
            problems=rejected.problems,
        )
    parts.store.mark_assembled(study_instance_uid, seen_last_received_at=seen, digest=digest)


def _plan(parts: Parts, study: Study, received: tuple[ReceivedInstance, ...]) -> None:
    sorted_study = sort_study(study, parts.settings.routing)
    if not sorted_study.selections:
        told: tuple[Problem, ...] = sorted_study.left_out
        if all(problem.code in SILENT for problem in told):
            log.info("study.ignored", study_instance_uid=study.study_instance_uid)
            return
        raise InputRejected(told)
    for selection in sorted_study.selections:
        series = check_series(
            selection.series, minimum_slices=parts.settings.node.assemble.minimum_slices
        )
        parts.ledger.add_job(
            study_instance_uid=study.study_instance_uid,
            series_instance_uids=[series.series_instance_uid],
            bundle=selection.rule.bundle,
            rule=selection.rule.name,
            destinations=selection.rule.destinations,
            calling_ae_title=received[-1].calling_ae_title,
            content_digest=content_digest(series),
        )
