"""What goes when the disk fills, in which order, and what never goes."""

import errno
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from factories_ledger import OBJECT_BYTES, add_job, add_object, mark_assembled, record_object
from sqlalchemy import update

from node.bootstrap.parts import Parts
from node.bootstrap.purging import Cleaner, limit_quarantine, purge, remove_job
from node.config.settings import AuditSettings, NodeSettings, Settings
from node.jobs.job import CommitmentState
from node.jobs.state import JobState
from node.storage.clock import utc_now
from node.storage.database import writing
from node.storage.removal import count_deletions, latest_deletions, recover_trash, remove_study
from node.storage.scratch import scratch_folder
from node.storage.tables import CommitmentRow, JobRow
from node.telemetry.audit.events import Node
from node.telemetry.audit.trail import AuditTrail
from node.telemetry.audit.verify import read_records

MEGABYTE = 1 << 20
SOFT_MB = 100
OLD = timedelta(days=30)


class SmallDisk:
    """A disk on which every removed file makes a megabyte free."""

    def __init__(self, parts: Parts, free_mb: int) -> None:
        self.parts, self.free_mb = parts, free_mb
        self.files = self.count()

    def count(self) -> int:
        return sum(1 for p in self.parts.spool.root.rglob("*.dcm") if p.is_file())

    def __call__(self) -> int:
        return (self.free_mb + self.files - self.count()) * MEGABYTE


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    node = NodeSettings(data_dir=tmp_path / "data")
    disk = node.disk.model_copy(update={"soft_free_mb": SOFT_MB})
    return Parts(settings=Settings(node=node.model_copy(update={"disk": disk})))


def jobs(parts: Parts) -> set[str]:
    return {job.study_instance_uid for job in parts.ledger.list()}


def studies(parts: Parts) -> set[str]:
    return {study for study, _ in parts.spool.stored_studies()}


def test_a_job_that_is_sent_again_meanwhile_keeps_its_files(parts: Parts) -> None:
    add_job(parts, "1.1", "delivered")
    (seen,) = parts.ledger.list()
    folder = parts.spool.results / seen.job_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text("{}")
    with writing(parts.engine) as session:
        session.execute(update(JobRow).values(updated_at=seen.updated_at + timedelta(seconds=1)))
    assert remove_job(parts, seen, before=utc_now(), reason="test") is False
    assert (folder / "result.json").is_file()
    assert jobs(parts) == {"1.1"}
    (now,) = parts.ledger.list()
    assert remove_job(parts, now, before=utc_now(), reason="test") is True
    assert not folder.exists()
    assert jobs(parts) == set()


def test_above_the_soft_mark_nothing_goes(parts: Parts) -> None:
    add_job(parts, "1.1", "delivered")
    assert Cleaner(parts, free_bytes=SmallDisk(parts, SOFT_MB)).tick() == 0
    assert studies(parts) == {"1.1"}


def test_what_a_killed_upload_left_goes_also_above_the_soft_mark(parts: Parts) -> None:
    home = parts.settings.node.data_dir / "scratch"
    with scratch_folder(parts.settings.node.data_dir, "fetch") as held:
        (home / "upload-1").mkdir()
        (home / "upload-1" / "body").write_bytes(b"x")
        (home / "upload-1.lock").touch()
        assert Cleaner(parts, free_bytes=lambda: 2 * SOFT_MB * MEGABYTE).tick() == 0
        assert sorted(path.name for path in home.iterdir()) == [held.name, f"{held.name}.lock"]


def test_oldest_delivered_goes_first_and_no_more_than_needed(parts: Parts) -> None:
    for study in ("1.1", "1.2", "1.3"):
        add_job(parts, study, "delivered")
    add_job(parts, "1.4", "rejected")
    # a study is two files here: one object, one result
    removed = Cleaner(parts, free_bytes=SmallDisk(parts, 107)).tick()
    assert removed == 0
    assert Cleaner(parts, free_bytes=SmallDisk(parts, 99)).tick() == 4  # 110 are wanted: all
    assert studies(parts) == set()


def test_it_stops_at_the_margin(parts: Parts) -> None:
    for study in ("1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8"):
        add_job(parts, study, "delivered")
    assert Cleaner(parts, free_bytes=SmallDisk(parts, 99)).tick() == 6  # 99 + 12 >= 110
    assert jobs(parts) == {"1.7", "1.8"} == studies(parts)


def test_classes_go_in_their_order(parts: Parts) -> None:
    add_job(parts, "1.1", "rejected")
    add_job(parts, "1.2", "cancelled")
    add_job(parts, "1.3", "delivered")
    add_object(parts, "1.4")
    mark_assembled(parts, "1.4")  # looked at, and no rule wanted it
    studies_of_all = ("1.1", "1.2", "1.3", "1.4")
    order: list[list[str]] = []

    class Watch(SmallDisk):
        def __call__(self) -> int:
            left = studies(self.parts)
            order.append([study for study in studies_of_all if study not in left])
            return super().__call__()

    Cleaner(parts, free_bytes=Watch(parts, 10)).tick()
    seen = [each for i, each in enumerate(order) if i == 0 or each != order[i - 1]]
    assert seen == [
        [],
        ["1.3"],
        ["1.1", "1.3"],
        ["1.1", "1.2", "1.3"],
        ["1.1", "1.2", "1.3", "1.4"],
    ]


@pytest.mark.parametrize("state", ["queued", "running", "sending", "not-sent", "unproven"])
def test_what_is_not_delivered_never_goes(parts: Parts, state: str) -> None:
    job = add_job(parts, "1.1", state)
    later = utc_now() + OLD
    assert Cleaner(parts, free_bytes=SmallDisk(parts, 0), now=lambda: later).tick() == 0
    assert studies(parts) == {"1.1"}
    assert parts.ledger.get(job.job_id).state is job.state
    assert purge(parts, later) == 0


@pytest.mark.parametrize("proof", CommitmentState)
def test_what_awaits_proof_goes_when_that_is_settled_and_not_before(
    parts: Parts, proof: CommitmentState
) -> None:
    add_job(parts, "1.1", "unproven")
    with writing(parts.engine) as session:
        session.execute(update(CommitmentRow).values(state=proof.value))
    Cleaner(parts, free_bytes=SmallDisk(parts, 0), now=lambda: utc_now() + OLD).tick()
    assert studies(parts) == (set() if proof is CommitmentState.CLOSED else {"1.1"})


def test_objects_that_wait_to_be_assembled_never_go(parts: Parts) -> None:
    add_job(parts, "1.1", "delivered")
    add_object(parts, "1.1", 2)  # came late
    add_object(parts, "1.2")
    Cleaner(parts, free_bytes=SmallDisk(parts, 0)).tick()
    assert studies(parts) == {"1.1", "1.2"}
    assert len(parts.store.received_of("1.1")) == 2


def test_what_failed_goes_last_and_only_when_old(parts: Parts) -> None:
    job = add_job(parts, "1.1", "failed")
    assert job.state is JobState.FAILED
    assert Cleaner(parts, free_bytes=SmallDisk(parts, 0)).tick() == 0
    later = utc_now() + OLD
    assert purge(parts, later) == 0, "time alone does not remove it"
    assert Cleaner(parts, free_bytes=SmallDisk(parts, 0), now=lambda: later).tick() == 1
    assert studies(parts) == set()


def test_another_job_keeps_the_study(parts: Parts) -> None:
    done = add_job(parts, "1.1", "delivered")
    parts.ledger.add_job(
        study_instance_uid="1.1",
        series_instance_uids=["1.1.1"],
        bundle="other",
        rule="r2",
        destinations=["pacs"],
        calling_ae_title="CT1",
        content_digest="d",
    )
    assert Cleaner(parts, free_bytes=SmallDisk(parts, 0)).tick() == 1
    assert studies(parts) == {"1.1"}
    assert done.job_id not in {job.job_id for job in parts.ledger.list()}
    assert not (parts.spool.results / done.job_id).exists()


def test_clean_up_may_be_switched_off(parts: Parts) -> None:
    add_job(parts, "1.1", "delivered")
    node = parts.settings.node
    disk = node.disk.model_copy(update={"clean_up": False})
    off = Parts(settings=Settings(node=node.model_copy(update={"disk": disk})))
    assert Cleaner(off, free_bytes=SmallDisk(off, 0)).tick() == 0
    assert studies(parts) == {"1.1"}


def test_everything_removed_is_recorded_and_audited(parts: Parts, tmp_path: Path) -> None:
    add_job(parts, "1.1", "delivered")
    trail = AuditTrail(
        tmp_path, node=Node(ae_title="N", process="dispatcher"), settings=AuditSettings()
    )
    Cleaner(parts, free_bytes=SmallDisk(parts, 0), trail=trail).tick()
    study, results = latest_deletions(parts.engine)
    assert (study.kind, study.name, study.objects) == ("study", "1.1", 1)
    assert (study.size_bytes, study.reason) == (OBJECT_BYTES, "soft-mark")
    assert (results.kind, results.objects, results.size_bytes) == ("results", 1, OBJECT_BYTES)
    assert count_deletions(parts.engine)["study", "soft-mark"] == (1, OBJECT_BYTES)
    (message,) = [record["xml"] for record in read_records(trail.folder)]
    assert "110105" in message
    assert 'ParticipantObjectID="1.1"' in message


def test_purge_by_age_takes_delivered_discarded_and_unwanted_studies(parts: Parts) -> None:
    for study, state in (("1.1", "delivered"), ("1.2", "rejected"), ("1.3", "cancelled")):
        add_job(parts, study, state)
    add_object(parts, "1.4")
    mark_assembled(parts, "1.4")
    before = utc_now() - OLD
    assert purge(parts, before) == 0
    assert purge(parts, utc_now() + OLD) == 3
    assert studies(parts) == set()
    assert jobs(parts) == set()


def test_one_study_that_cannot_be_removed_does_not_keep_the_others(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for study in ("1.1", "1.2"):
        add_job(parts, study, "delivered")
    set_aside = parts.spool.set_study_aside

    def of_another_user(study: str) -> Path | None:
        if study == "1.1":
            raise PermissionError(errno.EACCES, "Permission denied", str(parts.spool.objects))
        return set_aside(study)

    monkeypatch.setattr(parts.spool, "set_study_aside", of_another_user)
    purge(parts, utc_now() + OLD)
    assert studies(parts) == {"1.1"}
    monkeypatch.undo()
    purge(parts, utc_now() + OLD)  # it is not forgotten
    assert studies(parts) == set()


def test_a_full_disk_is_freed_even_where_the_trail_cannot_tell_of_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_job(parts, "1.1", "delivered")
    trail = AuditTrail(
        tmp_path, node=Node(ae_title="N", process="dispatcher"), settings=AuditSettings()
    )

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trail, "record", no_room)
    purge(parts, utc_now() + OLD, trail=trail)
    assert studies(parts) == set()
    assert list(parts.spool.trash.iterdir()) == []


def test_quarantine_has_a_limit_and_the_oldest_go(parts: Parts) -> None:
    for i in range(5):
        incoming = parts.spool.begin()
        incoming.write(bytes(100))
        path = parts.spool.quarantine(incoming, name=f"q{i}")
        os.utime(path, (1_700_000_000 + i, 1_700_000_000 + i))
        parts.store.quarantine(path=path, calling_ae_title="X", status=0xC000, problems=[])
    assert limit_quarantine(parts, 500) == 0
    assert limit_quarantine(parts, 250) == 3
    left = sorted(path.name for path in parts.spool.quarantine_dir.iterdir())
    assert left == ["q3.dcm", "q4.dcm"]
    assert {row.path.name for row in parts.store.quarantined()} == set(left)
    assert count_deletions(parts.engine) == {("quarantined", "quarantine-limit"): (3, 300)}


def interrupt(parts: Parts, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Do something right after the folder was set aside, while the rows are still locked."""
    set_aside = parts.spool.set_study_aside

    def and_act(study: str) -> Path | None:
        aside = set_aside(study)
        act()
        return aside

    monkeypatch.setattr(parts.spool, "set_study_aside", and_act)


def test_object_that_arrives_during_the_removal_stays(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is in place before the folder is set aside; its row comes after."""
    add_job(parts, "1.1", "delivered")
    place = parts.spool.object_path(
        study_instance_uid="1.1", series_instance_uid="1.1.1", sop_instance_uid="1.1.1.2"
    )
    incoming = parts.spool.begin()
    incoming.write(b"new")
    parts.spool.keep(incoming, place)
    removed = remove_study(
        parts.engine, parts.spool, "1.1", before=utc_now() + OLD, reason="soft-mark"
    )
    assert removed is not None
    record_object(parts, "1.1", 2, place)
    parts.spool.empty_trash()
    assert place.read_bytes() == b"new"
    (left,) = parts.store.received_of("1.1")
    assert left.instance.path == place


def test_crash_in_the_middle_of_a_removal_loses_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash() -> None:
        raise Crash

    add_job(parts, "1.1", "delivered")
    interrupt(parts, monkeypatch, crash)
    with pytest.raises(Crash):
        remove_study(parts.engine, parts.spool, "1.1", before=utc_now() + OLD, reason="x")
    assert studies(parts) == set()
    (row,) = parts.store.received_of("1.1")
    assert not row.instance.path.exists()
    assert recover_trash(parts.engine, parts.spool) == 1
    assert row.instance.path.exists()
    assert not list(parts.spool.trash.iterdir())
    assert latest_deletions(parts.engine) == []


def test_crash_after_the_removal_frees_the_disk_at_the_next_start(parts: Parts) -> None:
    add_job(parts, "1.1", "delivered")
    assert remove_study(parts.engine, parts.spool, "1.1", before=utc_now() + OLD, reason="x")
    assert list(parts.spool.trash.iterdir())
    assert recover_trash(parts.engine, parts.spool) == 0
    assert not list(parts.spool.trash.iterdir())
