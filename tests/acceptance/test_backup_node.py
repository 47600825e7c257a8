"""The disk of a node is lost: a backup that was made while it ran brings it back."""

import shutil
from pathlib import Path

import pytest
from running_node import JOB_S, RunningNode
from small_study import write_small_study

from node.emulate.archive import OUT_OF_RESOURCES, Archive, Faults
from node.jobs.state import JobState

pytestmark = pytest.mark.slow


def test_after_a_lost_disk_what_was_delivered_stays_and_what_was_open_is_sent(
    node: RunningNode, archive: Archive, tmp_path: Path
) -> None:
    delivered = write_small_study(tmp_path / "delivered")
    node.send(delivered.paths)
    assert node.wait_for_end(delivered.study_instance_uid).state is JobState.DELIVERED
    archive.faults = Faults(answer=OUT_OF_RESOURCES)
    try:
        waiting = write_small_study(tmp_path / "waiting")
        node.send(waiting.paths)

        def is_sending() -> bool:
            job = node.job(waiting.study_instance_uid)
            return job is not None and job.state is JobState.SENDING

        node.wait_for(is_sending, "results that nobody takes", JOB_S)
        (tmp_path / "backups").mkdir()
        node.onconode("backup", "--spool", "--no-models", str(tmp_path / "backups"))
        node.kill("node")
    finally:
        archive.faults = Faults()
    node.parts.engine.dispose()
    del node.__dict__["parts"]
    shutil.rmtree(node.settings.node.data_dir)
    before = archive.counts()

    (backup,) = (tmp_path / "backups").iterdir()
    assert "send again" not in node.onconode("restore", str(backup))
    node.start()
    job = node.wait_for_end(waiting.study_instance_uid)
    assert (job.state, job.error) == (JobState.DELIVERED, "")
    known = node.job(delivered.study_instance_uid)
    assert known is not None
    assert known.state is JobState.DELIVERED
    news = {uid: count - before.get(uid, 0) for uid, count in archive.counts().items()}
    results = {e["sop_instance_uid"] for e in job.result["evidence"] if e["sop_instance_uid"]}
    assert len(results) >= 1
    assert {uid: count for uid, count in news.items() if count} == dict.fromkeys(results, 1)
