"""kill -9 of every process, and of all at once, at every stage of a study.

A study must end delivered, and the archive must hold one SEG and one SR of it. The node is held
still at each stage before the blow falls (``held_stages``), so no case depends on luck.
"""

from pathlib import Path

import pytest
from fault_table import Row
from held_stages import HOLD, Bench
from running_node import JOB_S, START_S, RunningNode

from node.emulate.archive import Archive
from node.jobs.state import JobState

pytestmark = pytest.mark.slow

VICTIMS = ("listener", "dispatcher", "worker-1", "scheduler", "observer", "web", "node")


@pytest.fixture
def bench(node: RunningNode, archive: Archive, tmp_path: Path, fault_rows: list[Row]) -> Bench:
    return Bench(node, archive, tmp_path, fault_rows)


@pytest.mark.parametrize(
    ("stage", "victim"),
    # The victims take turns: one that dies often in a row waits longer before it starts again.
    [(stage, victim) for stage in HOLD for victim in VICTIMS],
)
def test_a_killed_process_costs_no_study_and_doubles_none(
    bench: Bench, stage: str, victim: str
) -> None:
    node = bench.node
    with HOLD[stage](bench) as study:
        before = node.pids()
        node.kill(victim)
    if victim == "node":
        assert node.processes() == []
        node.start()
    bench.conclude(study.study_instance_uid, fault=f"SIGKILL {victim}", stage=stage)
    if victim != "node":
        node.wait_for(
            lambda: node.pids().keys() == before.keys() and node.is_whole(), "the victim", START_S
        )
        changed = {child for child, pid in node.pids().items() if pid != before[child]}
        assert changed == {victim}  # nobody else was hurt
    assert set(before) == set(VICTIMS) - {"node"}  # each has its turn


def test_a_sender_cut_off_in_the_middle_sends_again_and_gets_one_result(bench: Bench) -> None:
    node, study = bench.node, bench.make_study()
    with node.stopped("dispatcher"):  # else a part of the study could pass for all of it
        node.send(study.paths[:3])
        before = node.pid("listener")
        node.kill("listener")
        node.wait_for(lambda: not node.answers() or node.pid("listener") != before, "its end", 30)
        node.wait_for(node.answers, "the listener", START_S)
        node.send(study.paths)
    bench.conclude(study.study_instance_uid, fault="SIGKILL listener", stage="receiving")


def test_results_wait_for_an_archive_that_is_away(bench: Bench) -> None:
    node, study = bench.node, bench.make_study()

    def is_waiting() -> bool:
        job = node.job(study.study_instance_uid)
        deliveries = node.parts.ledger.deliveries(job.job_id) if job else []
        return bool(deliveries) and all(one.error for one in deliveries)

    bench.archive.stop()
    try:
        node.send(study.paths)
        node.wait_for(is_waiting, "a sending that fails", JOB_S)
        assert node.job(study.study_instance_uid).state is JobState.SENDING
    finally:
        bench.archive.start()
    bench.conclude(study.study_instance_uid, fault="archive away", stage="sending")


def test_after_all_this_no_study_is_unfinished_and_none_has_two_results(bench: Bench) -> None:
    jobs = bench.node.parts.ledger.list(limit=1000)
    mine = [job for job in jobs if job.destinations == ("archive",)]
    assert {job.state for job in mine} == {JobState.DELIVERED}
    assert len({job.study_instance_uid for job in mine}) == len(mine)
    for job in mine:
        assert bench.is_delivered_whole(job.study_instance_uid)
