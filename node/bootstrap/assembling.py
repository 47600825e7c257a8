"""Quiet studies -> jobs: what the dispatcher's first clock does."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from node.assemble.digest import digest_case, digest_instances
from node.assemble.headers import read_series
from node.assemble.select import sort_study
from node.assemble.validate import check_all_series
from node.bootstrap.parts import Parts
from node.bootstrap.pointing import find_prompts, needs_prompts, sources_of
from node.bootstrap.roles import roles_of
from node.domain.errors import InputRejected, OncoNodeError, Problem
from node.domain.study import InstanceRef, Study
from node.jobs.backoff import Backoff
from node.jobs.failure import describe_bug
from node.storage.clock import utc_now
from node.storage.instances import ReceivedInstance

log = structlog.get_logger()

SILENT = frozenset({"own-result", "other-modality"})
"""Reasons that need no answer: nobody expects findings for a report or for the node's own SEG."""


RETRY = Backoff(first_s=1, maximum_s=900)
"""Waits before a study that tripped over a bug is looked at again."""


@dataclass(frozen=True, kw_only=True)
class _Tripped:
    times: int
    not_before_s: float


class Assembler:
    """Makes a job, or a rejection with its reasons, of every study that fell quiet.

    A study that trips over a bug holds up no other: it is told of as refused, stays to be
    assembled, and is tried again ever more seldom, and at every start.

    Parameters
    ----------
    parts : Parts
    clock : callable
        Seconds that only go forward.
    """

    def __init__(self, parts: Parts, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._clock = clock
        self._tripped: dict[str, _Tripped] = {}

    def tick(self) -> int:
        """Look at every quiet study that is due; return how many there were.

        Raises
        ------
        OncoNodeError, SQLAlchemyError
            When no study could be looked at now.
        """
        quiet = timedelta(seconds=self._parts.settings.node.assemble.quiet_time_s)
        studies = self._parts.store.quiet_studies(before=utc_now() - quiet)
        due = [study for study in studies if self._is_due(study)]
        for study in due:
            self._try(study)
        return len(due)

    def _is_due(self, study_instance_uid: str) -> bool:
        tripped = self._tripped.get(study_instance_uid)
        return tripped is None or self._clock() >= tripped.not_before_s

    def _try(self, study_instance_uid: str) -> None:
        try:
            _assemble(self._parts, study_instance_uid)
        except (OncoNodeError, SQLAlchemyError):
            raise  # not the study's fault
        except Exception as error:  # noqa: BLE001 - a process boundary: the other studies go on
            self._tell_bug(study_instance_uid, describe_bug(error))
        else:
            self._tripped.pop(study_instance_uid, None)

    def _tell_bug(self, study_instance_uid: str, bug: str) -> None:
        before = self._tripped.get(study_instance_uid)
        times = 1 if before is None else before.times + 1
        wait_s = RETRY.delay(times).total_seconds()
        self._tripped[study_instance_uid] = _Tripped(
            times=times, not_before_s=self._clock() + wait_s
        )
        log.error(
            "study.tripped", study_instance_uid=study_instance_uid, error=bug, again_in_s=wait_s
        )
        received = self._parts.store.received_of(study_instance_uid)
        self._parts.ledger.add_rejected(
            study_instance_uid=study_instance_uid,
            calling_ae_title=received[-1].calling_ae_title,
            content_digest=digest_instances(item.instance for item in received),
            problems=[
                Problem(
                    code="internal-error",
                    uid=study_instance_uid,
                    found=bug,
                    expected="a study that can be assembled or refused",
                    remedy="report this bug; the study is tried again at the next start",
                )
            ],
        )


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
    sorted_study = sort_study(study, parts.settings.routing, partial(roles_of, parts.models))
    if not sorted_study.selections:
        told: tuple[Problem, ...] = sorted_study.left_out
        if all(problem.code in SILENT for problem in told):
            log.info("study.ignored", study_instance_uid=study.study_instance_uid)
            return
        raise InputRejected(told)
    for selection in sorted_study.selections:
        all_series = check_all_series(
            selection.all_series, minimum_slices=parts.settings.node.assemble.minimum_slices
        )
        pointing: tuple[InstanceRef, ...] = ()
        if needs_prompts(parts.models, selection.rule.bundle):
            pointed = find_prompts(study, all_series[0], selection.rule)
            pointing = sources_of(study, pointed.prompts)
        parts.ledger.add_job(
            study_instance_uid=study.study_instance_uid,
            series_instance_uids=[series.series_instance_uid for series in all_series],
            bundle=selection.rule.bundle,
            rule=selection.rule.name,
            destinations=selection.rule.destinations,
            calling_ae_title=received[-1].calling_ae_title,
            content_digest=digest_case(all_series, pointing),
        )
