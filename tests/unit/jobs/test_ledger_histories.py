"""Whatever happens in whatever order, jobs keep to the rules of the ledger."""

import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.domain.commitment import CommitmentReport
from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import IN_PEER, DeliveryState
from node.jobs.ledger import Ledger
from node.jobs.state import INITIAL, TRANSITIONS, IllegalTransition, JobEvent, JobState
from node.storage.database import open_database, sqlite_url

OWNERS = st.sampled_from(["a/1", "a/2", "b/1"])
DESTINATIONS = ("p", "q")


class LedgerMachine(RuleBasedStateMachine):
    """Claims, failures, sendings and people on two studies that make the same two objects."""

    def __init__(self) -> None:
        super().__init__()
        self.time = datetime(2025, 3, 1, tzinfo=UTC)
        self.home = tempfile.TemporaryDirectory()
        self.engine = open_database(sqlite_url(Path(self.home.name)))
        self.ledger = Ledger(
            self.engine,
            lease_s=60,
            maximum_attempts=2,
            delivery_maximum_attempts=2,
            commitment={"p": False, "q": True},
            maximum_losses=1,
            maximum_commitment_attempts=2,
            now=lambda: self.time,
        )
        self.jobs = [self.add(number) for number in range(2)]
        self.accepted: set[tuple[str, str]] = set()
        self.transactions = 0
        self.result = Path(self.home.name) / "result.dcm"
        self.result.touch()

    def add(self, number: int) -> str:
        job = self.ledger.add_job(
            study_instance_uid=f"1.{number}",
            series_instance_uids=["1.1"],
            bundle="b",
            rule="r",
            destinations=DESTINATIONS,
            calling_ae_title="M",
            content_digest="d",
        )
        return job.job_id

    @rule(number=st.integers(0, 1))
    def assemble_again(self, number: int) -> None:
        assert self.add(number) == self.jobs[number]

    @rule(seconds=st.sampled_from([1, 30, 61, 2000]))
    def time_passes(self, seconds: int) -> None:
        self.time += timedelta(seconds=seconds)

    @rule(owner=OWNERS)
    def claim(self, owner: str) -> None:
        job = self.ledger.claim(owner)
        if job is not None:
            assert job.not_before <= self.time
            assert 1 <= job.attempts <= 2

    @rule(number=st.integers(0, 1), owner=OWNERS, objects=st.integers(0, 2))
    def finish(self, number: int, owner: str, objects: int) -> None:
        evidence = [
            Evidence(
                kind=EvidenceKind.SEG,
                path=self.result,
                sop_class_uid="1.2",
                sop_instance_uid=f"2.25.{one}",
            )
            for one in range(objects)
        ]
        self.only_by_holder(
            number,
            owner,
            lambda: self.ledger.finish(self.jobs[number], owner, evidence=evidence, result={}),
        )

    @rule(number=st.integers(0, 1), owner=OWNERS, retry=st.booleans())
    def fail(self, number: int, owner: str, retry: bool) -> None:
        self.only_by_holder(
            number,
            owner,
            lambda: self.ledger.fail(self.jobs[number], owner, error="x", retry=retry),
        )

    @rule(number=st.integers(0, 1), owner=OWNERS)
    def reject(self, number: int, owner: str) -> None:
        self.only_by_holder(
            number, owner, lambda: self.ledger.reject(self.jobs[number], owner, problems=[])
        )

    def only_by_holder(self, number: int, owner: str, act) -> None:
        before = self.ledger.get(self.jobs[number])
        act()
        after = self.ledger.get(self.jobs[number])
        if before.state is JobState.RUNNING and before.lease_owner == owner:
            assert after.state is not JobState.RUNNING
        else:
            assert after == before

    @rule()
    def lapse(self) -> None:
        self.ledger.reclaim_lapsed()
        for job in self.ledger.list(state=JobState.RUNNING):
            assert job.lease_until is not None
            assert job.lease_until >= self.time

    @rule(number=st.integers(0, 1), person=st.sampled_from(["retry", "cancel", "send_again"]))
    def a_person(self, number: int, person: str) -> None:
        with suppress(IllegalTransition):
            getattr(self.ledger, person)(self.jobs[number])
        self.forget_what_is_not_there()

    @precondition(lambda self: self.ledger.due_destinations())
    @rule(outcome=st.sampled_from(["done", "later", "never"]))
    def send(self, outcome: str) -> None:
        for delivery in self.ledger.claim_deliveries("d", limit=1):
            key = delivery.destination, delivery.sop_instance_uid
            assert key not in self.accepted, "an accepted object was sent again"
            if outcome == "done":
                self.ledger.delivery_done(delivery.delivery_id, "d")
                self.accepted.add(key)
            else:
                self.ledger.delivery_failed(
                    delivery.delivery_id, "d", error="x", retry=outcome == "later"
                )

    @rule(
        destination=st.sampled_from(DESTINATIONS),
        answer=st.sampled_from(["committed", "lost", "unable", "unwilling", "none", "silence"]),
    )
    def prove(self, destination: str, answer: str) -> None:
        self.transactions += 1
        uid = f"2.25.{self.transactions}"
        asked = self.ledger.open_transaction(destination, transaction_uid=uid, answer_within_s=1)
        if asked is None or answer == "silence":
            return
        if answer == "none":
            self.ledger.transaction_unsupported(uid, error="not offered")
            return
        uids = [sop_instance_uid for _, sop_instance_uid in asked.objects]
        if answer == "committed":
            report = CommitmentReport(transaction_uid=uid, committed=frozenset(uids))
        else:
            reason = {"lost": 0x0112, "unable": 0x0110, "unwilling": 0x0122}[answer]
            report = CommitmentReport(transaction_uid=uid, failed=dict.fromkeys(uids, reason))
        assert self.ledger.record_report(report)
        self.forget_what_is_not_there()

    @rule(
        destination=st.sampled_from(DESTINATIONS),
        seen=st.sampled_from(["found", "missing", "unproven"]),
    )
    def look(self, destination: str, seen: str) -> None:
        for delivery in self.ledger.claim_overdue(destination):
            getattr(self.ledger, f"delivery_{seen}")(delivery.delivery_id, detail="looked")
        self.forget_what_is_not_there()

    def forget_what_is_not_there(self) -> None:
        """What was lost or given up may be sent again."""
        for job_id in self.jobs:
            for delivery in self.ledger.deliveries(job_id):
                if delivery.state not in IN_PEER:
                    self.accepted.discard((delivery.destination, delivery.sop_instance_uid))

    @invariant()
    def history_explains_state(self) -> None:
        for job_id in self.jobs:
            job, state = self.ledger.get(job_id), None
            for line in self.ledger.events(job_id):
                event = JobEvent(line.event)
                state = INITIAL[event] if state is None else TRANSITIONS[state, event]
                assert line.state is state
            assert job.state is state

    @invariant()
    def only_running_jobs_are_leased(self) -> None:
        for job in self.ledger.list():
            assert bool(job.lease_owner) == (job.state is JobState.RUNNING)

    @invariant()
    def sending_jobs_have_something_to_send(self) -> None:
        for job in self.ledger.list():
            states = {delivery.state for delivery in self.ledger.deliveries(job.job_id)}
            if job.state is JobState.SENDING:
                assert DeliveryState.PENDING in states
            if job.state is JobState.DELIVERED:
                assert states <= IN_PEER

    def teardown(self) -> None:
        self.engine.dispose()
        self.home.cleanup()


LedgerMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLedgerHistories = LedgerMachine.TestCase
