"""A lease is kept while its task works, and a stage that takes too long ends the worker."""

import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

from node.bootstrap.lease import LeaseKeeper, LeaseLost

WAIT_S = 15.0


class FakeLedger:
    """Remembers what it is told."""

    def __init__(self):
        self.is_held = True
        self.is_away = False
        self.renewals = 0
        self.verdicts: list[tuple[str, bool]] = []

    def enter_stage(self, job_id, owner, stage):
        return self.is_held

    def renew(self, job_id, owner):
        self.renewals += 1
        if self.is_away:
            raise OperationalError("renew", {}, OSError())
        return self.is_held

    def fail(self, job_id, owner, *, error, retry):
        if self.is_away:
            raise OperationalError("fail", {}, OSError())
        self.verdicts.append((error, retry))


@pytest.fixture
def ledger():
    return FakeLedger()


@pytest.fixture
def ended():
    return threading.Event()


def keep(ledger, ended, **timeouts_s):
    return LeaseKeeper(ledger, "j", "o", every_s=0.02, timeouts_s=timeouts_s, abandon=ended.set)


def test_a_stage_in_time_is_left_alone(ledger, ended):
    with keep(ledger, ended, segment=WAIT_S, report=WAIT_S) as lease:
        lease.enter_stage("segment")
        lease.enter_stage("report")
        deadline_s = time.monotonic() + WAIT_S
        while ledger.renewals < 3:
            assert time.monotonic() < deadline_s
            time.sleep(0.005)
    assert ledger.verdicts == []
    assert not ended.is_set()


def test_a_stage_that_takes_too_long_is_a_failure_with_its_name_and_seconds(ledger, ended):
    with keep(ledger, ended, read=WAIT_S, segment=0.05) as lease:
        lease.enter_stage("read")
        lease.enter_stage("segment")
        assert ended.wait(WAIT_S)
    ((error, retry),) = ledger.verdicts
    assert error.startswith("stage segment took longer than 0.05 s (jobs.segment_timeout_s)")
    assert retry


@pytest.mark.parametrize("trouble", ["lost", "away"])
def test_the_worker_ends_also_without_a_lease_or_a_database(ledger, ended, trouble):
    with keep(ledger, ended, segment=0.1) as lease:
        lease.enter_stage("segment")
        ledger.is_held, ledger.is_away = trouble != "lost", trouble == "away"
        assert ended.wait(WAIT_S)


def test_the_next_stage_begins_with_a_time_of_its_own(ledger, ended):
    with keep(ledger, ended, read=0.3) as lease:
        lease.enter_stage("read")
        lease.enter_stage("segment")  # without a limit
        assert not ended.wait(0.6)
    assert ledger.verdicts == []


def test_a_lost_lease_stops_the_task_at_its_next_stage(ledger, ended):
    with keep(ledger, ended) as lease:
        ledger.is_held = False
        with pytest.raises(LeaseLost):
            lease.enter_stage("segment")
