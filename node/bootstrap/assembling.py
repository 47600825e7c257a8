"""Quiet studies -> jobs: what the dispatcher's first clock does."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import structlog
from sqlalchemy.exc import SQLAlchemyError

from node.assemble.completeness import AskCounts, FetchMissing
from node.assemble.digest import digest_instances
from node.assemble.headers import read_series
from node.assemble.own import is_own
from node.bootstrap.completing import count_asker, missing_fetcher
from node.bootstrap.parts import Parts
from node.bootstrap.planning import NotEvaluable, Outlook, add_work, look_at
from node.bootstrap.refusing import tell_not_evaluable
from node.bootstrap.replaying import remember
from node.config.settings import AssembleSettings
from node.domain.errors import InputRejected, OncoNodeError, Problem
from node.domain.study import Study
from node.jobs.backoff import Backoff
from node.jobs.failure import describe_bug
from node.storage.clock import utc_now
from node.storage.instances import ReceivedInstance

log = structlog.get_logger()

RETRY = Backoff(first_s=1, maximum_s=900)
"""Waits before a study that tripped over a bug is looked at again."""


@dataclass(frozen=True, kw_only=True)
class _Tripped:
    times: int
    not_before_s: float


@dataclass(frozen=True, kw_only=True)
class _Waiting:
    seen: datetime
    not_before_s: float


class Assembler:
    """Makes a job, or a rejection with its reasons, of every study that fell quiet.

    A study that is known to lack images waits for them up to a limit after its latest object, and
    is then processed as it is. A study that trips over a bug holds up no other: it is told of as
    refused, stays to be assembled, and is tried again ever more seldom, and at every start.

    Parameters
    ----------
    parts : Parts
    ask_counts : AskCounts, optional
        Asks how much of a study its source has.
    fetch_missing : FetchMissing, optional
        Has missing images sent.
    clock : callable
        Seconds that only go forward.
    now : callable
        Time of day, as objects are received.
    since : datetime, optional
        When the node began to listen. Whoever was cut off before has the quiet time to come back:
        the time in which nobody could send is no quiet.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        ask_counts: AskCounts | None = None,
        fetch_missing: FetchMissing | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        since: datetime | None = None,
    ) -> None:
        self._parts = parts
        self._ask_counts = ask_counts or count_asker(parts)
        self._fetch_missing = fetch_missing or missing_fetcher(parts)
        self._clock = clock
        self._now = now
        self._since = since or datetime.min.replace(tzinfo=UTC)
        self._tripped: dict[str, _Tripped] = {}
        self._waiting: dict[str, _Waiting] = {}

    def tick(self) -> int:
        """Look at every quiet study that is due; return how many there were.

        Raises
        ------
        OncoNodeError, SQLAlchemyError
            When no study could be looked at now.
        """
        settings = self._parts.settings.node.assemble
        shortest_s = min([settings.quiet_time_s, *settings.quiet_time_by_ae.values()])
        before = self._now() - timedelta(seconds=shortest_s)
        if before < self._since:
            return 0
        studies = self._parts.store.quiet_studies(before=before)
        due = [study for study in studies if self._is_quiet(study) and self._is_due(study)]
        for study in due:
            self._try(study)
        return len(due)

    def _is_quiet(self, study_instance_uid: str) -> bool:
        """Whether it is so by the time of its sender, where senders have times of their own."""
        settings = self._parts.settings.node.assemble
        if not settings.quiet_time_by_ae:
            return True
        store = self._parts.store
        quiet_s = quiet_time_of(store.last_sender(study_instance_uid), settings)
        heard = max(store.last_received(study_instance_uid), self._since)
        return heard < self._now() - timedelta(seconds=quiet_s)

    def _is_due(self, study_instance_uid: str) -> bool:
        tripped = self._tripped.get(study_instance_uid)
        if tripped is not None and self._clock() < tripped.not_before_s:
            return False
        waiting = self._waiting.get(study_instance_uid)
        return (
            waiting is None
            or self._clock() >= waiting.not_before_s
            or self._parts.store.last_received(study_instance_uid) != waiting.seen
        )

    def _try(self, study_instance_uid: str) -> None:
        try:
            self._assemble(study_instance_uid)
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

    def _assemble(self, study_instance_uid: str) -> None:
        parts = self._parts
        seen = parts.store.last_received(study_instance_uid)
        received = parts.store.received_of(study_instance_uid)
        own = parts.ledger.sent_among(item.instance.sop_instance_uid for item in received)
        foreign = tuple(item for item in received if item.instance.sop_instance_uid not in own)
        # without own results, or each refusal would be a new one when these come back
        digest = digest_instances(item.instance for item in foreign)
        try:
            self._plan(study_instance_uid, foreign, seen)
        except InputRejected as rejected:
            job = parts.ledger.add_rejected(
                study_instance_uid=study_instance_uid,
                calling_ae_title=received[-1].calling_ae_title,
                content_digest=digest,
                problems=rejected.problems,
            )
            if isinstance(rejected, NotEvaluable):
                tell_not_evaluable(parts, job, rejected)
        if study_instance_uid in self._waiting:
            return
        parts.store.mark_assembled(study_instance_uid, seen_last_received_at=seen, digest=digest)

    def _plan(self, uid: str, foreign: tuple[ReceivedInstance, ...], seen: datetime) -> None:
        """Make a job of a study, refuse it, or let it wait."""
        self._waiting.pop(uid, None)
        study = self._without_own(read_series(foreign)) if foreign else None
        if study is None or not study.series:
            log.info("study.ignored", study_instance_uid=uid, reason="own results")
            return
        if self._parts.settings.node.jobs.keep_headers_days:
            remember(self._parts.past, study)
        outlook = look_at(self._parts, study, self._count(study))
        left_s = self._patience_s(seen)
        if outlook.may_improve and left_s > 0:
            self._wait(uid, seen, outlook, left_s)
        elif outlook.selection is None and not outlook.problems:
            log.info("study.ignored", study_instance_uid=uid, reason="nothing to analyse")
        else:
            add_work(self._parts, study, outlook)
            arrival = str(outlook.completeness)
            log.info("study.assembled", study_instance_uid=uid, completeness=arrival)

    def _devices(self) -> frozenset[str]:
        return self._parts.models.device_uids()

    def _without_own(self, study: Study) -> Study:
        """Leave out what this node has made, also where its names were taken out."""
        devices = self._devices()
        kept = tuple(series for series in study.series if not is_own(series, devices))
        left_out = len(study.series) - len(kept)
        if left_out:
            uid = study.study_instance_uid
            log.info("series.own", study_instance_uid=uid, series=left_out)
        return replace(study, series=kept)

    def _patience_s(self, seen: datetime) -> float:
        """Seconds that a study may still wait for what it lacks."""
        limit_s = self._parts.settings.node.assemble.incomplete_wait_s
        return limit_s - (self._now() - seen).total_seconds()

    def _wait(self, uid: str, seen: datetime, outlook: Outlook, left_s: float) -> None:
        again_s = min(self._parts.settings.node.assemble.incomplete_check_s, left_s)
        missing = sum(outlook.missing.values())
        fetching = self._fetch(uid, outlook.missing)
        self._waiting[uid] = _Waiting(seen=seen, not_before_s=self._clock() + again_s)
        log.warning(
            "study.incomplete",
            study_instance_uid=uid,
            missing=missing,
            fetching=fetching,
            again_in_s=round(again_s, 1),
            patience_s=round(left_s, 1),
        )

    def _count(self, study: Study) -> Mapping[str, int] | None:
        if self._ask_counts is None:
            return None
        try:
            return self._ask_counts(study.study_instance_uid)
        except OncoNodeError as error:  # the study does not depend on who could tell more of it
            log.warning("counts.unknown", error=str(error))
            return None

    def _fetch(self, study_instance_uid: str, missing: Mapping[str, int]) -> bool:
        if self._fetch_missing is None:
            return False
        try:
            return self._fetch_missing(study_instance_uid, missing)
        except OncoNodeError as error:
            log.warning("missing.not_fetched", error=str(error))
            return False


def quiet_time_of(calling_ae_title: str, settings: AssembleSettings) -> float:
    """Seconds of quiet after which a study of a sender is looked at."""
    sender = calling_ae_title.strip().casefold()
    for pattern, quiet_s in settings.quiet_time_by_ae.items():
        if fnmatchcase(sender, pattern.casefold().replace("[", "[[]")):
            return quiet_s
    return settings.quiet_time_s
