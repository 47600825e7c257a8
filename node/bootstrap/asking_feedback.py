"""Archives are asked whether somebody has corrected or rejected what they were sent."""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta

import structlog

from node.bootstrap.asking import archive_of, fetch_to_node
from node.bootstrap.parts import Parts
from node.config.settings import Peer
from node.domain.errors import OncoNodeError
from node.feedback.hear import SOURCES
from node.jobs.job import IN_PEER, Job
from node.jobs.state import JobState
from node.query.found import Wanted
from node.storage.clock import utc_now

log = structlog.get_logger()

MODALITIES = frozenset({"SEG", "RTSTRUCT", "SR", "KO"})
SPREAD = 0.25
"""A result is asked for again after so much of its age: often at first, then ever more seldom."""
BATCH = 20
"""Studies asked for at a time, so that other chores have their turn."""
SEARCHED = 10_000
LOOK_EVERY = timedelta(minutes=5)
"""How often the ledger is searched for what is due."""


class FeedbackAsker:
    """Asks the peers with ``feedback`` for opinions on what was delivered to them.

    When it was asked last is not kept: after a start every result is asked for once more.

    Parameters
    ----------
    parts : Parts
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, parts: Parts, *, now: Callable[[], datetime] = utc_now) -> None:
        self._parts = parts
        self._now = now
        self._asked: dict[tuple[str, str], datetime] = {}
        self._not_before = datetime.min.replace(tzinfo=UTC)

    def tick(self) -> int:
        """Ask for what is due; return how many objects are on their way."""
        settings = self._parts.settings
        peers = {peer.name: peer for peer in settings.peers if peer.feedback != "off"}
        now = self._now()
        if not settings.node.feedback.enabled or not peers or now < self._not_before:
            return 0
        kept_for = timedelta(days=settings.node.feedback.ask_days)
        self._asked = {key: at for key, at in self._asked.items() if now - at <= kept_for}
        fetched = count = 0
        unreachable: set[str] = set()
        for job, name in self._due(peers):
            if count == BATCH:
                break
            if name in unreachable:
                continue
            count += 1
            try:
                fetched += self._ask(job.study_instance_uid, peers[name])
            except OncoNodeError as error:
                unreachable.add(name)
                log.warning("feedback.not_asked", peer=name, error=str(error))
            self._asked[job.study_instance_uid, name] = now
        if count < BATCH:
            self._not_before = now + LOOK_EVERY
        return fetched

    def _due(self, peers: dict[str, Peer]) -> Iterator[tuple[Job, str]]:
        feedback, now = self._parts.settings.node.feedback, self._now()
        seen: set[tuple[str, str]] = set()
        for job, since, names in self._with_result(peers):
            age = now - since
            if age > timedelta(days=feedback.ask_days):
                continue
            wait = max(timedelta(seconds=feedback.ask_every_s), age * SPREAD)
            for name in names:
                key = (job.study_instance_uid, name)
                last = self._asked.get(key, since)
                if key not in seen and now - last >= wait:
                    seen.add(key)
                    yield job, name

    def _with_result(
        self, peers: Collection[str]
    ) -> Iterator[tuple[Job, datetime, tuple[str, ...]]]:
        """Yield jobs, since when their results are out, and which of the peers have them."""
        ledger = self._parts.ledger
        for job in ledger.list(state=JobState.DELIVERED, limit=SEARCHED):
            yield job, job.updated_at, tuple(name for name in job.destinations if name in peers)
        for state in (JobState.SENDING, JobState.FAILED):  # one has it, another may be down
            for job in ledger.list(state=state, limit=SEARCHED):
                names = {
                    each.destination
                    for each in ledger.deliveries(job.job_id)
                    if each.state in IN_PEER and each.destination in peers
                }
                # its last change is that of the latest attempt
                yield job, job.created_at, tuple(sorted(names))

    def _ask(self, study: str, peer: Peer) -> int:
        parts = self._parts
        archive = archive_of(parts.settings, peer)
        own = parts.ledger.results_of(study)
        here = {each.instance.sop_instance_uid for each in parts.store.received_of(study)}
        completed = 0
        for series in archive.find_series(study):
            if series.modality not in MODALITIES:
                continue
            found = archive.find_instances(study, series.series_instance_uid)
            lacking = tuple(
                each.sop_instance_uid
                for each in found
                if each.sop_instance_uid not in own | here
                and (not each.sop_class_uid or each.sop_class_uid in SOURCES)
            )
            if not lacking:
                continue
            wanted = Wanted(
                study_instance_uid=study,
                series_instance_uid=series.series_instance_uid,
                sop_instance_uids=lacking,
            )
            fetched = fetch_to_node(parts.settings, peer, wanted, by_get=peer.feedback == "get")
            completed += fetched.completed
            log.info(
                "feedback.fetched",
                peer=peer.name,
                study_instance_uid=study,
                objects=fetched.completed,
                failed=fetched.failed,
            )
        return completed
