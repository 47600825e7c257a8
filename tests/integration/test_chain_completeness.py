"""A study waits for what its source counts, goes on PARTIAL after a limit, and is done anew."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from factories_arrival import EVERY_MR, Clock, finish, make_parts, receive
from small_study import write_small_study

from node.bootstrap.assembling import Assembler
from node.bootstrap.parts import Parts
from node.config.settings import PartChoice
from node.domain.errors import TryLater
from node.domain.intake import Arrival
from node.emulate.phantom import Flaw, WrittenSeries, write_case
from node.jobs.job import Job
from node.jobs.state import JobState


class Source:
    """An archive that counts, and that sends what is missing."""

    def __init__(self, counts: Mapping[str, int] | None) -> None:
        self.counts = counts
        self.asked: list[str] = []
        self.fetched: list[dict[str, int]] = []

    def ask(self, study_instance_uid: str) -> Mapping[str, int] | None:
        self.asked.append(study_instance_uid)
        return self.counts

    def fetch(self, study_instance_uid: str, missing: Mapping[str, int]) -> bool:
        self.fetched.append(dict(missing))
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def study(tmp_path: Path) -> WrittenSeries:
    return write_small_study(tmp_path / "study")


def assembler(parts: Parts, clock: Clock, source: Source | None = None) -> Assembler:
    return Assembler(
        parts,
        ask_counts=source.ask if source else lambda _uid: None,
        fetch_missing=source.fetch if source else None,
        clock=clock.seconds,
        now=clock.now,
    )


def jobs(parts: Parts, uid: str) -> list[Job]:
    return sorted(parts.ledger.list(study=uid), key=lambda job: job.created_at)


def test_without_counts_a_quiet_study_is_probably_complete(tmp_path, clock, study):
    parts = make_parts(tmp_path / "data", clock)
    uid = receive(parts, study.paths)
    clock.turn(6)
    assembler(parts, clock).tick()
    (job,) = jobs(parts, uid)
    assert job.intake.completeness.arrival is Arrival.PROBABLY_COMPLETE


def test_counts_prove_that_all_is_there(tmp_path, clock, study):
    parts = make_parts(tmp_path / "data", clock)
    source = Source({study.series_instance_uid: len(study.paths), "1.2.3": 99})
    uid = receive(parts, study.paths)
    clock.turn(6)
    assembler(parts, clock, source).tick()
    (job,) = jobs(parts, uid)
    assert job.intake.completeness.arrival is Arrival.COMPLETE
    assert (source.asked, source.fetched) == ([uid], [])


def test_missing_images_are_fetched_and_awaited(tmp_path, clock, study):
    parts = make_parts(tmp_path / "data", clock, incomplete_check_s=30)
    source = Source({study.series_instance_uid: len(study.paths)})
    looking = assembler(parts, clock, source)
    uid = receive(parts, study.paths[:-1])
    clock.turn(6)
    looking.tick()
    assert (jobs(parts, uid), source.fetched) == ([], [{study.series_instance_uid: 1}])
    clock.turn(10)
    looking.tick()
    assert len(source.asked) == 1  # not again before its time
    clock.turn(25)
    looking.tick()
    assert len(source.asked) == len(source.fetched) == 2
    receive(parts, study.paths[-1:])
    looking.tick()
    assert jobs(parts, uid) == []  # not quiet yet
    clock.turn(6)
    looking.tick()
    (job,) = jobs(parts, uid)
    assert job.intake.completeness.arrival is Arrival.COMPLETE
    clock.turn(1000)
    assert looking.tick() == 0


@pytest.mark.parametrize("by_ae", [{}, {"MODALITY": 8}])
def test_time_in_which_the_node_was_down_is_no_quiet(tmp_path, clock, study, by_ae):
    parts = make_parts(tmp_path / "data", clock, quiet_time_by_ae=by_ae)
    uid = receive(parts, study.paths[:-1])
    clock.turn(3600)  # the node is down in the middle of the study
    looking = Assembler(
        parts, ask_counts=lambda _uid: None, clock=clock.seconds, now=clock.now, since=clock.now()
    )
    looking.tick()
    clock.turn(4)
    looking.tick()
    assert jobs(parts, uid) == []
    receive(parts, study.paths[-1:])
    clock.turn(9)
    looking.tick()
    (job,) = jobs(parts, uid)
    assert len(parts.store.received_of(uid)) == len(study.paths)
    clock.turn(100)
    looking.tick()
    assert jobs(parts, uid) == [job]


def test_after_the_limit_it_goes_on_as_partial(tmp_path, clock, study):
    parts = make_parts(tmp_path / "data", clock)
    source = Source({study.series_instance_uid: len(study.paths) + 2})
    uid = receive(parts, study.paths)
    for seconds in (6, 60, 40):
        assert jobs(parts, uid) == []
        clock.turn(seconds)
        assembler(parts, clock, source).tick()  # also after a restart
    (job,) = jobs(parts, uid)
    assert str(job.intake.completeness) == "INCOMPLETE (2 missing)"
    assert "the archive counts 2 more" in job.intake.completeness.limitations[0]


def test_partial_may_be_unwanted(tmp_path, clock, study):
    parts = make_parts(tmp_path / "data", clock, process_partial=False)
    source = Source({study.series_instance_uid: len(study.paths) + 2})
    uid = receive(parts, study.paths)
    clock.turn(101)
    assembler(parts, clock, source).tick()
    (job,) = jobs(parts, uid)
    assert job.state is JobState.REJECTED
    assert [problem.code for problem in job.problems] == ["incomplete-study"]


def test_a_gap_is_awaited_and_then_left_out(tmp_path, clock):
    written = write_case("brain2", tmp_path / "study", flaws=[Flaw.DROP_SLICE])
    parts = make_parts(tmp_path / "data", clock)
    uid = receive(parts, written.paths)
    looking = assembler(parts, clock)
    clock.turn(6)
    looking.tick()
    assert jobs(parts, uid) == []
    clock.turn(100)
    looking.tick()
    (job,) = jobs(parts, uid)
    assert str(job.intake.completeness) == "INCOMPLETE (1 missing)"
    assert "longest run of 11 slices" in job.intake.completeness.limitations[0]


def test_a_gap_that_the_source_has_too_is_not_awaited(tmp_path, clock):
    written = write_case("brain2", tmp_path / "study", flaws=[Flaw.DROP_SLICE])
    parts = make_parts(tmp_path / "data", clock)
    uid = receive(parts, written.paths)
    clock.turn(6)
    source = Source({written.series_instance_uid: len(written.paths)})
    assembler(parts, clock, source).tick()
    (job,) = jobs(parts, uid)
    assert job.intake.completeness.is_partial


def test_too_few_slices_are_awaited_before_they_are_refused(tmp_path, clock, study):
    parts = make_parts(tmp_path / "data", clock)
    source = Source({study.series_instance_uid: len(study.paths)})
    uid = receive(parts, study.paths[:2])
    looking = assembler(parts, clock, source)
    clock.turn(6)
    looking.tick()
    assert jobs(parts, uid) == []
    clock.turn(100)
    looking.tick()
    (job,) = jobs(parts, uid)
    assert [problem.code for problem in job.problems] == ["too-few-slices"]


def test_late_images_lead_to_a_job_that_names_the_report_before(tmp_path, clock, study):
    parts = make_parts(tmp_path / "data", clock, incomplete_wait_s=0)
    source = Source({study.series_instance_uid: len(study.paths)})
    looking = assembler(parts, clock, source)
    uid = receive(parts, study.paths[:-1])
    clock.turn(6)
    looking.tick()
    (first,) = jobs(parts, uid)
    assert (str(first.intake.completeness), first.intake.predecessor) == (
        "INCOMPLETE (1 missing)",
        None,
    )
    finish(parts, first, 1)
    receive(parts, study.paths[-1:])
    clock.turn(6)
    looking.tick()
    second = next(job for job in jobs(parts, uid) if job.job_id != first.job_id)
    assert second.intake.completeness.arrival is Arrival.COMPLETE
    assert second.intake.predecessor is not None
    assert second.intake.predecessor.sop_instance_uid == "2.25.1"
    assert second.intake.predecessor.series_instance_uid == "2.25.10"


def test_work_that_had_not_begun_is_no_predecessor(tmp_path, clock, study):
    parts = make_parts(tmp_path / "data", clock)
    looking = assembler(parts, clock)
    uid = receive(parts, study.paths[:-1])
    clock.turn(6)
    looking.tick()
    receive(parts, study.paths[-1:])
    clock.turn(6)
    looking.tick()
    states = {job.state: job.intake.predecessor for job in jobs(parts, uid)}
    assert states == {JobState.CANCELLED: None, JobState.QUEUED: None}


def test_each_sender_has_its_own_quiet_time(tmp_path, clock):
    parts = make_parts(tmp_path / "data", clock, quiet_time_by_ae={"CT*": 60, "SLOW": 300})
    studies = {
        sender: receive(parts, write_small_study(tmp_path / sender).paths, calling_ae=sender)
        for sender in ("MODALITY", "ct7", "SLOW")
    }
    looking = assembler(parts, clock)
    seen = []
    for seconds in (6, 55, 240):
        clock.turn(seconds)
        looking.tick()
        seen.append({sender for sender, uid in studies.items() if jobs(parts, uid)})
    assert seen == [{"MODALITY"}, {"MODALITY", "ct7"}, {"MODALITY", "ct7", "SLOW"}]


def test_a_source_that_cannot_be_asked_stops_nothing(tmp_path, clock, study):
    def fail(_uid: str) -> None:
        raise TryLater("the archive is down")

    parts = make_parts(tmp_path / "data", clock)
    uid = receive(parts, study.paths)
    clock.turn(6)
    Assembler(parts, ask_counts=fail, clock=clock.seconds, now=clock.now).tick()
    (job,) = jobs(parts, uid)
    assert job.intake.completeness.arrival is Arrival.PROBABLY_COMPLETE


@pytest.mark.parametrize(("part", "echo"), [(PartChoice(), "10"), (PartChoice(b_value=0), None)])
def test_the_part_that_the_rule_names_goes_into_the_job(tmp_path, clock, part, echo):
    written = write_case("brain2", tmp_path / "study", flaws=[Flaw.SECOND_ECHO])
    rule = EVERY_MR.model_copy(update={"part": part})
    parts = make_parts(tmp_path / "data", clock, rules=[rule])
    uid = receive(parts, written.paths)
    clock.turn(6)
    assembler(parts, clock).tick()
    (job,) = jobs(parts, uid)
    if echo is None:
        assert [problem.code for problem in job.problems] == ["part-not-found"]
        return
    (taken,) = job.intake.parts
    assert (taken.labels, taken.number, taken.of) == ({"EchoTime": echo}, 1, 2)
