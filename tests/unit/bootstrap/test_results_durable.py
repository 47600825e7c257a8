"""What the ledger says of results survives a power cut, so they have to be on the disk before."""

import os
from pathlib import Path

import pytest
from factories_ledger import add_job

from node.bootstrap.parts import Parts
from node.bootstrap.task import record_results
from node.config.settings import NodeSettings, Settings
from node.domain.report import Evidence, EvidenceKind
from node.jobs.ledger import Ledger
from node.jobs.state import JobState

ARGUMENTS = {"result": {}, "goes_to": lambda _destination, _item: True}


@pytest.fixture
def synchronised(monkeypatch: pytest.MonkeyPatch) -> set[Path]:
    """Whatever was put on the disk, file or folder, by the path that it had then."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to see which file a descriptor is")
    seen: set[Path] = set()
    fsync = os.fsync

    def record(descriptor: int) -> None:
        seen.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return seen


def test_results_are_on_the_disk_before_the_ledger_knows_of_them(
    tmp_path: Path, synchronised: set[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(settings=Settings(node=NodeSettings(data_dir=tmp_path)))
    job = add_job(parts, "1.2", "running")
    results = parts.spool.results_dir(job.job_id)
    folder, given_up = results / "this", results / "earlier"
    for each in (folder, given_up):
        each.mkdir()
        for name in ("x_seg.dcm", "x_sr.dcm", "x_capture.png"):
            (each / name).write_bytes(b"made without a wait for the disk")
    synchronised.clear()
    before: list[set[Path]] = []
    finish = Ledger.finish

    def watched(*arguments: object, **named: object) -> object:
        before.append(set(synchronised))
        return finish(*arguments, **named)

    monkeypatch.setattr(Ledger, "finish", watched)
    evidence = [
        Evidence(
            kind=EvidenceKind.SEG,
            path=folder / "x_seg.dcm",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
            sop_instance_uid="1.2.9",
        )
    ]
    record_results(parts, job.job_id, "w", folder=folder, evidence=evidence, **ARGUMENTS)
    assert before == [{folder, results, *folder.iterdir()}]
    assert parts.ledger.get(job.job_id).state is JobState.SENDING
    assert list(results.iterdir()) == [folder]
