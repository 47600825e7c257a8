"""What a Dask worker does with one job: read, segment, measure, classify, report, record."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from node.assemble.headers import read_series
from node.assemble.validate import ANY_PART, check_all_series
from node.bootstrap.auditing import open_trail, tell_access, tell_tampering
from node.bootstrap.configuring import version_store
from node.bootstrap.following import ConfigFollower
from node.bootstrap.lease import LeaseKeeper, LeaseLost
from node.bootstrap.parts import Parts
from node.bootstrap.pointing import find_prompts, sources_of
from node.bootstrap.priors.looking import look_in_archives
from node.bootstrap.readers import readers_of
from node.bootstrap.refusing import tell_of_rejected
from node.config.load import load_settings
from node.deliver.addressees import addressees, messages_for
from node.domain.errors import InputRejected, Problem, SetupFault
from node.domain.prompt import Prompt
from node.domain.report import Evidence
from node.domain.study import InstanceRef, Series
from node.domain.triage import TriageRule
from node.jobs.failure import record_failure
from node.jobs.job import Job
from node.jobs.outbox import GoesTo
from node.pipeline import Case, Toolbox, check_golden, open_toolbox, run_stages
from node.result import summarize_case
from node.telemetry.audit.trail import AuditTrail

log = structlog.get_logger()

SILENT_S = 60.0
SILENT_LEASES = 3
"""A worker whose threads cannot run for the longer of both is ended: its job is another's then."""

_configured: list[Parts] = []


def configure_worker(parts: Parts) -> None:
    """Say what this process works by; one of a foreign cluster reads the files itself."""
    _configured[:] = [parts]


@cache
def _parts() -> Parts:
    return _configured[0] if _configured else Parts(settings=load_settings())


@cache
def _trail() -> AuditTrail:
    return open_trail(_parts(), "worker")


@cache
def _follower() -> ConfigFollower | None:
    """Of a worker of the node's own; one of a foreign cluster works by the files of its start."""
    parts = _parts()
    if parts.applied is None:
        return None
    store = version_store(parts.settings.node.data_dir)
    return ConfigFollower(store, "worker", parts.applied.version.number, parts.take_up)


@cache
def _toolbox(bundle: str) -> Toolbox:
    """Load a bundle once per worker, and prove it on its golden case before first use."""
    toolbox = open_toolbox(_parts().models.get(bundle))
    check_golden(toolbox)
    log.info("bundle.loaded", bundle=bundle, digest=toolbox.bundle.digest)
    return toolbox


def warm_up() -> None:
    """Load every bundle that a rule names, so that the first study does not wait for it."""
    for bundle in sorted({rule.bundle for rule in _parts().settings.routing}):
        _toolbox(bundle)


def run_job(job_id: str, owner: str) -> None:
    """Do one job under its lease; every outcome goes to the ledger.

    Parameters
    ----------
    job_id : str
    owner : str
        Token of the claim.
    """
    parts = _parts()
    follower = _follower()
    if follower is not None:
        follower.look()
    jobs = parts.settings.node.jobs
    with (
        structlog.contextvars.bound_contextvars(job_id=job_id),
        LeaseKeeper(
            parts.ledger,
            job_id,
            owner,
            every_s=jobs.lease_s / 3,
            timeouts_s=jobs.stage_timeouts_s,
            silent_s=max(SILENT_S, SILENT_LEASES * jobs.lease_s),
        ) as lease,
        ExitStack() as fetched,
    ):
        try:
            _work(parts, job_id, owner, lease, fetched)
        except LeaseLost:
            log.warning("job.abandoned")
        except Exception as error:  # noqa: BLE001 - the boundary: the failure table decides
            log.warning("job.failed", error=type(error).__name__)
            if isinstance(error, SetupFault):
                tell_tampering(_trail(), error)
            job = record_failure(parts.ledger, job_id, owner, error)
            if isinstance(error, InputRejected):
                tell_of_rejected(parts, job, error.problems)


def _work(parts: Parts, job_id: str, owner: str, lease: LeaseKeeper, fetched: ExitStack) -> None:
    job = parts.ledger.get(job_id)
    lease.enter_stage("load")
    toolbox = _toolbox(job.bundle)
    tell_access(_trail(), parts, job)
    series, companions = _read_series(parts, job, toolbox)
    prompts, pointing = _read_prompts(parts, job, series, toolbox)
    # Each claim writes to a folder of its own; the one that keeps the lease is the one that counts.
    found = look_in_archives(parts, job, series, toolbox.bundle.identity, fetched=fetched)
    results = parts.spool.results_dir(job_id)
    attempt = results / owner.rpartition("/")[2]
    case = run_stages(
        Case(
            series=series,
            companions=companions,
            prompts=prompts,
            pointing=pointing,
            intake=job.intake,
            prior=found.prior,
            warnings=found.remarks,
            toolbox=toolbox,
            out_dir=attempt,
            prefix=toolbox.bundle.manifest.name,
            settings=parts.settings.node.report,
            readers=readers_of(parts.settings, job.destinations),
            messages=messages_for(
                peer for peer in parts.settings.peers if peer.name in job.destinations
            ),
            triage_rule=TriageRule(**parts.settings.node.triage.model_dump()),
        ),
        on_stage=lease.enter_stage,
    )
    peers = {peer.name: peer for peer in parts.settings.peers}
    record_results(
        parts,
        job_id,
        owner,
        folder=attempt,
        evidence=case.evidence,
        result=summarize_case(case),
        goes_to=addressees(peers, case.triage),
    )


def record_results(
    parts: Parts,
    job_id: str,
    owner: str,
    *,
    folder: Path,
    evidence: Sequence[Evidence],
    result: Mapping[str, Any],
    goes_to: GoesTo,
) -> None:
    """Write results into the ledger once they are on the disk; other attempts are removed.

    Parameters
    ----------
    parts : Parts
    job_id, owner : str
    folder : Path
        Of this attempt; beside it are those of others that lost their lease.
    evidence, result, goes_to
        See ``Ledger.finish``.
    """
    parts.spool.make_durable(folder)
    parts.ledger.finish(job_id, owner, evidence=evidence, result=result, goes_to=goes_to)
    for other in folder.parent.iterdir():
        if other != folder and parts.ledger.get(job_id).result == result:
            shutil.rmtree(other)


def _read_series(parts: Parts, job: Job, toolbox: Toolbox) -> tuple[Series, dict[str, Series]]:
    """Read the series of a job: the reference, and by role the others, in the job's order."""
    roles = [role.name for role in toolbox.bundle.manifest.roles][1:]
    if len(job.series_instance_uids) != 1 + len(roles):
        raise SetupFault(
            f"the job names {len(job.series_instance_uids)} series, the bundle {job.bundle} asks "
            f"for {1 + len(roles)}: it was changed since; send the study again"
        )
    received = [
        item
        for item in parts.store.received_of(job.study_instance_uid)
        if item.series_instance_uid in job.series_instance_uids
    ]
    if {item.series_instance_uid for item in received} != set(job.series_instance_uids):
        raise InputRejected(
            [
                Problem(
                    code="objects-gone",
                    found="no object of a series of the job",
                    expected="the objects that were received",
                    remedy="send the study again: its files were purged",
                    uid=job.study_instance_uid,
                )
            ]
        )
    by_uid = {series.series_instance_uid: series for series in read_series(received).series}
    series, *others = check_all_series(
        (by_uid[uid] for uid in job.series_instance_uids),
        minimum_slices=parts.settings.node.assemble.minimum_slices,
        choices=(job.intake.part(k) or ANY_PART for k in range(len(job.series_instance_uids))),
        let_gaps_pass=job.intake.completeness.is_partial,
    )
    return series, dict(zip(roles, others, strict=True))


def _read_prompts(
    parts: Parts, job: Job, series: Series, toolbox: Toolbox
) -> tuple[tuple[Prompt, ...], tuple[InstanceRef, ...]]:
    """Read what the study's objects point at, for a bundle that needs it."""
    if toolbox.bundle.manifest.kind != "nodule":
        return (), ()
    study = read_series(parts.store.received_of(job.study_instance_uid))
    rules = {rule.name: rule for rule in parts.settings.routing}
    results = parts.ledger.results_of(job.study_instance_uid)
    prompts = find_prompts(study, series, rules.get(job.rule), results=results).prompts
    return prompts, sources_of(study, prompts)
