"""Remove what came to rest: long ago, or because the disk fills."""

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from heapq import merge
from pathlib import Path

import structlog

from node.bootstrap.auditing import share_of
from node.bootstrap.parts import Parts
from node.jobs.finished import Disposal, removable_jobs, studies_without_jobs
from node.jobs.job import Job
from node.storage.clock import utc_now
from node.storage.removal import forget_quarantined, note_deletion, remove_study
from node.storage.scratch import remove_abandoned
from node.storage.usage import MEGABYTE, DiskMarks, DiskRoom
from node.telemetry.audit.events import study_deleted
from node.telemetry.audit.trail import AuditTrail

log = structlog.get_logger()

BY_AGE = (Disposal.DELIVERED, Disposal.DISCARDED)
"""What goes after ``keep_days``. Failed jobs wait for a person, or for a full disk."""

_one_at_a_time = threading.Lock()

MARGIN = 1.1
"""The clean-up goes on until so much more is free than the soft mark, or it would begin anew."""


def purge(parts: Parts, before: datetime, *, trail: AuditTrail | None = None) -> int:
    """Remove what came to rest before a moment.

    Finished jobs, their studies where nothing else needs them, and studies that gave no work.

    Returns
    -------
    int
        Jobs removed.
    """
    count = 0
    with _one_at_a_time:
        for disposal in BY_AGE:
            for job in list(removable_jobs(parts.engine, disposal, before=before)):
                count += _attempt(
                    partial(remove_job, parts, job, before=before, reason="keep-days", trail=trail)
                )
        for study in studies_without_jobs(parts.engine, before=before):
            _attempt(
                partial(_remove_study, parts, study, before=before, reason="keep-days", trail=trail)
            )
    parts.past.forget_before(utc_now() - timedelta(days=parts.settings.node.jobs.keep_headers_days))
    return count


class Cleaner:
    """Keeps the disk from filling.

    Below the soft mark the oldest of what is finished goes first: delivered, then discarded
    (refused, cancelled, gave no work, quarantined), at last what failed without a result and is
    older than ``keep_days``. What is to be delivered, or was given up on the way, never goes.

    Parameters
    ----------
    parts : Parts
    free_bytes : callable, optional
        In the place of the file system's answer.
    trail : AuditTrail, optional
    now : callable
        Clock; aware UTC.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        free_bytes: Callable[[], int] | None = None,
        trail: AuditTrail | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._parts = parts
        self._trail = trail
        self._now = now
        self._room = disk_room(parts, free_bytes=free_bytes)

    def tick(self) -> int:
        """Look at the disk and remove what must go; return how many things went."""
        with _one_at_a_time:
            return self._tidy()

    def _tidy(self) -> int:
        node = self._parts.settings.node
        disk, count = node.disk, 0
        if abandoned := remove_abandoned(node.data_dir):
            log.warning("scratch.removed", folders=abandoned, reason="its process was killed")
        if disk.quarantine_mb:
            count = limit_quarantine(self._parts, disk.quarantine_mb * MEGABYTE)
        if not self._room.is_below_soft_mark():
            return count
        log.warning(
            "disk.low",
            free_bytes=self._room.free_bytes(),
            soft_bytes=self._room.marks.soft_bytes,
            clean_up=disk.clean_up,
        )
        return count + (self._make_room() if disk.clean_up else 0)

    def _make_room(self) -> int:
        wanted, count = self._room.marks.soft_bytes * MARGIN, 0
        for remove in self._candidates():
            count += _attempt(remove)
            if self._room.free_bytes() >= wanted:
                log.info("disk.cleaned", removed=count, free_bytes=self._room.free_bytes())
                return count
        log.error("disk.nothing_to_remove", removed=count, free_bytes=self._room.free_bytes())
        return count

    def _candidates(self) -> Iterator[Callable[[], object]]:
        """Yield what may go, in the order in which it goes."""
        now = self._now()
        yield from (remove for _, _, remove in self._jobs(Disposal.DELIVERED, before=now))
        studies = list(self._studies(before=now))
        quarantined = list(self._quarantined())
        discarded = merge(
            self._jobs(Disposal.DISCARDED, before=now), studies, quarantined, key=lambda c: c[0]
        )
        yield from (remove for _, _, remove in discarded)
        keep = timedelta(days=self._parts.settings.node.jobs.keep_days)
        yield from (remove for _, _, remove in self._jobs(Disposal.FAILED, before=now - keep))

    def _jobs(
        self, disposal: Disposal, *, before: datetime
    ) -> Iterator[tuple[datetime, str, Callable[[], object]]]:
        for job in removable_jobs(self._parts.engine, disposal, before=before):
            yield job.updated_at, job.job_id, self._removal_of(job)

    def _removal_of(self, job: Job) -> Callable[[], object]:
        return lambda: remove_job(
            self._parts, job, before=self._now(), reason="soft-mark", trail=self._trail
        )

    def _studies(self, *, before: datetime) -> Iterator[tuple[datetime, str, Callable[[], object]]]:
        for study in studies_without_jobs(self._parts.engine, before=before):
            try:
                at = self._parts.store.last_received(study)
            except KeyError:
                continue
            yield at, study, self._removal_of_study(study)

    def _removal_of_study(self, study: str) -> Callable[[], object]:
        return lambda: _remove_study(
            self._parts, study, before=self._now(), reason="soft-mark", trail=self._trail
        )

    def _quarantined(self) -> Iterator[tuple[datetime, str, Callable[[], object]]]:
        for at, path, size in _quarantine_by_age(self._parts):
            yield at, path.name, self._removal_of_quarantined(path, size)

    def _removal_of_quarantined(self, path: Path, size: int) -> Callable[[], object]:
        return lambda: _remove_quarantined(self._parts, [(path, size)], reason="soft-mark")


def _attempt(remove: Callable[[], object]) -> bool:
    """Remove one thing; a fault with it, such as files of another user, must not keep the rest."""
    try:
        return remove() is not False
    except OSError as error:
        log.error("disk.not_removed", error=type(error).__name__, place=str(error.filename))
        return False


def disk_room(parts: Parts, *, free_bytes: Callable[[], int] | None = None) -> DiskRoom:
    """Return the free space of a node against its marks."""
    node = parts.settings.node
    marks = DiskMarks(
        soft_bytes=node.disk.soft_free_mb * MEGABYTE,
        hard_bytes=node.receive.minimum_free_disk_mb * MEGABYTE,
    )
    return DiskRoom(marks, free_bytes or parts.spool.free_bytes)


def remove_job(
    parts: Parts, job: Job, *, before: datetime, reason: str, trail: AuditTrail | None = None
) -> bool:
    """Remove a finished job, its results and, if it was the last of its study, the study.

    The study stays if an object of it came at ``before`` or later, or waits to be assembled. A job
    that somebody has had tried or sent again since it was looked at stays with its files.

    Returns
    -------
    bool
        Whether the job is gone.
    """
    try:
        # the ledger decides first: files of a job that is to be sent again must stay
        parts.ledger.forget(job.job_id, unchanged_since=job.updated_at)
    except (KeyError, ValueError):
        log.info("job.kept", **job.log_context(), reason="it has changed meanwhile")
        return False
    objects, size_bytes = _drop_folder(parts.spool.results / job.job_id)
    note_deletion(
        parts.engine,
        kind="results",
        name=job.job_id,
        reason=reason,
        objects=objects,
        size_bytes=size_bytes,
    )
    study = job.study_instance_uid
    if not parts.ledger.list(study=study, limit=1):
        _remove_study(parts, study, before=before, reason=reason, trail=trail)
    log.info("job.purged", **job.log_context(), reason=reason)
    return True


def limit_quarantine(parts: Parts, maximum_bytes: int) -> int:
    """Remove the oldest refused objects until the rest takes no more than so much."""
    entries = list(_quarantine_by_age(parts))
    excess = sum(size for _, _, size in entries) - maximum_bytes
    going = []
    for _, path, size in entries:
        if excess <= 0:
            break
        going.append((path, size))
        excess -= size
    if going:
        _remove_quarantined(parts, going, reason="quarantine-limit")
        log.info("quarantine.limited", removed=len(going))
    return len(going)


def _remove_study(
    parts: Parts, study: str, *, before: datetime, reason: str, trail: AuditTrail | None
) -> None:
    removed = remove_study(parts.engine, parts.spool, study, before=before, reason=reason)
    if removed is None:
        return
    try:
        if trail is not None:
            share = share_of(trail, study, removed.instances, removed.sample)
            trail.record(study_deleted(trail.node, study=share, reason=reason))
    finally:
        parts.spool.empty_trash()  # a disk too full for the trail is freed just by this


def _drop_folder(folder: Path) -> tuple[int, int]:
    """Remove a folder; return how many files it had, and of how many bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # of another user: what is left is for the administrator
        log.error("results.not_removed", place=str(folder))
    return len(sizes), sum(sizes)


def _quarantine_by_age(parts: Parts) -> list[tuple[datetime, Path, int]]:
    found = []
    for path in parts.spool.quarantine_dir.iterdir():
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        at = datetime.fromtimestamp(status.st_mtime, tz=utc_now().tzinfo)
        found.append((at, path, status.st_size))
    return sorted(found)


def _remove_quarantined(parts: Parts, entries: list[tuple[Path, int]], *, reason: str) -> None:
    for path, _ in entries:
        path.unlink(missing_ok=True)
    paths, sizes = [path for path, _ in entries], [size for _, size in entries]
    forget_quarantined(parts.engine, paths, sizes=sizes, reason=reason)
