"""Quiet studies become jobs; one that trips over a bug is told of and holds up no other."""

from pathlib import Path

import pytest
from pydicom import dcmread
from small_study import write_small_study

from node.assemble.headers import read_series
from node.bootstrap.assembling import Assembler
from node.bootstrap.parts import Parts
from node.config.settings import AssembleSettings, NodeSettings, RoutingRule, SeriesMatch, Settings
from node.domain.study import InstanceRef
from node.emulate.phantom import WrittenSeries
from node.jobs.job import Job
from node.jobs.state import JobState
from node.storage.instances import ReceivedInstance


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    rule = RoutingRule(
        name="all", match=SeriesMatch(modality=("MR",)), bundle="b", destinations=("d",)
    )
    node = NodeSettings(data_dir=tmp_path / "data", assemble=AssembleSettings(quiet_time_s=0))
    return Parts(settings=Settings(node=node, routing=(rule,)))


def receive(parts: Parts, study: WrittenSeries) -> str:
    for path in study.paths:
        dataset = dcmread(path, stop_before_pixels=True)
        instance = InstanceRef(
            sop_instance_uid=str(dataset.SOPInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            path=path,
            sha256=f"digest of {dataset.SOPInstanceUID}",
        )
        parts.store.record(
            ReceivedInstance(
                instance=instance,
                study_instance_uid=study.study_instance_uid,
                series_instance_uid=study.series_instance_uid,
                modality="MR",
                calling_ae_title="MODALITY",
                size_bytes=1,
            )
        )
    return study.study_instance_uid


def states(parts: Parts, study_instance_uid: str) -> list[JobState]:
    return [job.state for job in parts.ledger.list(study=study_instance_uid)]


def only_job(parts: Parts, study_instance_uid: str) -> Job:
    (job,) = parts.ledger.list(study=study_instance_uid)
    return job


class Bug(Exception):
    """Stands for what nobody foresaw; its text stands for a patient's."""


def test_a_study_that_trips_over_a_bug_holds_up_no_other(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    assembler = Assembler(parts, clock=lambda: now_s)
    first = receive(parts, write_small_study(tmp_path / "first"))
    second = receive(parts, write_small_study(tmp_path / "second"))
    module = "node.bootstrap.assembling.read_series"
    tripped = []

    def trip(received):
        if received[0].study_instance_uid == first:
            tripped.append(now_s)
            raise Bug("DOE^JANE")
        return read_series(received)

    monkeypatch.setattr(module, trip)
    assert assembler.tick() == 2
    assert states(parts, second) == [JobState.QUEUED]
    told = only_job(parts, first)
    assert (told.state, [problem.code for problem in told.problems]) == (
        JobState.REJECTED,
        ["internal-error"],
    )
    assert "Bug at" in told.problems[0].found
    assert "DOE" not in told.problems[0].found

    assert assembler.tick() == 0  # it waits, longer each time
    now_s = 1000.0
    assert assembler.tick() == 1
    assert tripped == [0.0, 1000.0]
    assert only_job(parts, first).job_id == told.job_id

    monkeypatch.setattr(module, read_series)  # the bug is mended
    now_s = 2000.0
    assert assembler.tick() == 1
    assert sorted(states(parts, first)) == [JobState.QUEUED, JobState.REJECTED]
    assert assembler.tick() == 0


def test_a_damaged_instance_number_stops_only_its_own_study(parts: Parts, tmp_path: Path) -> None:
    """Two values where the standard allows one."""
    damaged = write_small_study(tmp_path / "damaged")
    dataset = dcmread(damaged.paths[0])
    dataset.InstanceNumber = [1, 2]
    dataset.save_as(damaged.paths[0], enforce_file_format=True)
    receive(parts, damaged)
    sound = receive(parts, write_small_study(tmp_path / "sound"))
    Assembler(parts).tick()
    assert states(parts, sound) == [JobState.QUEUED]
    assert len(states(parts, damaged.study_instance_uid)) == 1  # processed or refused, not lost
