"""A node's state goes into a backup and comes back elsewhere, over both databases."""

import errno
import getpass
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
import yaml
from factories_ledger import queue_job
from sqlalchemy import Engine, create_engine, text

from node.bootstrap.backing_up import BackUp, back_up
from node.bootstrap.put_in_place import Placing
from node.bootstrap.restoring import Restored, check_backup, refuse_unfinished, restore
from node.config.load import load_settings
from node.domain.errors import InputRejected, SetupFault
from node.domain.report import Evidence, EvidenceKind
from node.domain.study import InstanceRef
from node.jobs.job import DeliveryState, Job
from node.jobs.ledger import Ledger
from node.jobs.state import JobState
from node.jobs.supervisor import hold_lock
from node.storage.archive import read_manifest
from node.storage.clock import utc_now
from node.storage.database import open_database, sqlite_url
from node.storage.instances import InstanceStore, ReceivedInstance
from node.storage.spool import Spool
from node.telemetry.audit.verify import read_records

MR = "1.2.840.10008.5.1.4.1.1.4"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What has nothing to do with the kind of the database."""

DELIVERED, SENDING, QUEUED, FRESH = "1.2.1", "1.2.2", "1.2.3", "1.2.4"


@dataclass
class Site:
    """A configuration directory, its models, and what a node left in its data directory."""

    root: Path
    database_url: str

    @property
    def config_dir(self) -> Path:
        return self.root / "conf"

    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    def set_up(self) -> None:
        self.config_dir.mkdir(parents=True)
        node = {"ae_title": "A/B C", "data_dir": "data", "models_dir": "models"}
        if not self.database_url.startswith("sqlite"):
            node["database_url"] = self.database_url
        (self.config_dir / "node.yaml").write_text(yaml.safe_dump(node))
        (self.config_dir / "peers.yaml").write_text(
            "peers:\n  - {name: pacs, ae_title: PACS, port: 4242}\n"
        )
        (self.config_dir / "README.md").write_text("of the software")
        (self.config_dir / "tls").mkdir()
        (self.config_dir / "tls/node.key").write_text("secret")
        bundle = self.root / "models/brain/0.1.0"
        bundle.mkdir(parents=True)
        (bundle / "bundle.yaml").write_text("name: brain\n")
        (bundle / "weights").write_bytes(bytes(range(256)) * 64)

    @contextmanager
    def opened(self) -> Iterator[tuple[Engine, Ledger, InstanceStore, Spool]]:
        self.data_dir.mkdir(exist_ok=True)
        engine = open_database(self.database_url)
        yield engine, Ledger(engine, lease_s=60), InstanceStore(engine), Spool(self.data_dir)
        engine.dispose()

    def back_up(self, place: Path, **options: bool) -> BackUp:
        settings = load_settings(self.config_dir, environment={})
        return back_up(settings, self.config_dir, place, **options)

    def restore(self, archive: Path, **options: bool) -> Restored:
        environment = {}
        if not self.database_url.startswith("sqlite"):
            environment["ONCONODE_DATABASE_URL"] = self.database_url
        return restore(archive, self.config_dir, environment=environment, **options)


def receive(store: InstanceStore, spool: Spool, study: str) -> None:
    incoming = spool.begin()
    incoming.write(f"object of {study}".encode())
    place = spool.object_path(
        study_instance_uid=study, series_instance_uid=f"{study}.1", sop_instance_uid=f"{study}.1.1"
    )
    spool.keep(incoming, place)
    store.record(
        ReceivedInstance(
            instance=InstanceRef(
                sop_instance_uid=f"{study}.1.1",
                sop_class_uid=MR,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                path=place,
                sha256="0" * 64,
            ),
            study_instance_uid=study,
            series_instance_uid=f"{study}.1",
            modality="MR",
            calling_ae_title="MODALITY",
            size_bytes=20,
        )
    )


def add_job(ledger: Ledger, store: InstanceStore, study: str) -> Job:
    store.mark_assembled(study, seen_last_received_at=store.last_received(study), digest="d")
    return queue_job(ledger, study)


def make_result(ledger: Ledger, spool: Spool, job: Job) -> None:
    (claimed,) = [ledger.claim("worker")]
    assert claimed is not None
    assert claimed.job_id == job.job_id
    path = spool.results_dir(job.job_id) / "sr.dcm"
    path.write_bytes(f"result of {job.study_instance_uid}".encode())
    evidence = Evidence(
        kind=EvidenceKind.SR,
        path=path,
        sop_class_uid=SR,
        sop_instance_uid=f"{job.study_instance_uid}.99",
    )
    ledger.finish(job.job_id, claimed.lease_owner, evidence=[evidence], result={})


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> str:
    """URL of an empty database of the same kind, for the place that is restored to."""
    if database_url.startswith("sqlite"):
        return sqlite_url(tmp_path / "new/data")
    if not shutil.which("pg_dump") or not shutil.which("pg_restore"):
        pytest.skip("PostgreSQL's pg_dump is not installed")
    server: str = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid4().hex}"
    admin = create_engine(server % "postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return server % name


@pytest.fixture
def old(tmp_path: Path, database_url: str) -> Site:
    """A node that has one study delivered, one to be sent, one queued and one just received."""
    is_sqlite = database_url.startswith("sqlite")
    site = Site(tmp_path / "old", sqlite_url(tmp_path / "old/data") if is_sqlite else database_url)
    site.set_up()
    with site.opened() as (_, ledger, store, spool):
        for study in (DELIVERED, SENDING, QUEUED, FRESH):
            receive(store, spool, study)
        for study in (DELIVERED, SENDING):
            make_result(ledger, spool, add_job(ledger, store, study))
        (first, _second) = ledger.claim_deliveries("sender")
        ledger.delivery_done(first.delivery_id, "sender")
        ledger.release_deliveries("sender")
        add_job(ledger, store, QUEUED)
    return site


@pytest.fixture
def new(tmp_path: Path, new_url: str, old: Site) -> Site:
    """An empty place, elsewhere."""
    return Site(tmp_path / "new", new_url)


def states(ledger: Ledger) -> dict[str, JobState]:
    return {job.study_instance_uid: job.state for job in ledger.list()}


def test_what_was_open_goes_on_elsewhere_and_what_was_delivered_does_not(
    old: Site, new: Site, tmp_path: Path
) -> None:
    done = old.back_up(tmp_path, spool=True)
    assert done.place.name.startswith("onconode-A_B_C-")
    restored = new.restore(done.place)
    assert restored.send_again == ()
    assert restored.moved_aside is None
    assert (new.config_dir / "peers.yaml").read_bytes() == (
        old.config_dir / "peers.yaml"
    ).read_bytes()
    assert not (new.config_dir / "README.md").exists()
    assert (new.config_dir / "tls/node.key").read_text() == "secret"
    weights = "models/brain/0.1.0/weights"
    assert (new.root / weights).read_bytes() == (old.root / weights).read_bytes()
    shutil.rmtree(old.root)
    with new.opened() as (_, ledger, store, spool):
        assert states(ledger) == {
            DELIVERED: JobState.DELIVERED,
            SENDING: JobState.SENDING,
            QUEUED: JobState.QUEUED,
        }
        (open_one,) = ledger.claim_deliveries("sender")
        assert open_one.sop_instance_uid == f"{SENDING}.99"
        assert open_one.path.read_text() == f"result of {SENDING}"
        assert open_one.path.is_relative_to(new.data_dir)
        ledger.delivery_done(open_one.delivery_id, "sender")
        assert states(ledger)[SENDING] is JobState.DELIVERED
        for study in (QUEUED, FRESH):
            (received,) = store.received_of(study)
            assert received.instance.path.read_text() == f"object of {study}"
            assert received.instance.path.is_relative_to(spool.objects)
        assert store.quiet_studies(before=utc_now()) == [FRESH]
        job = ledger.claim("worker")
        assert job is not None
        assert job.study_instance_uid == QUEUED


def exports(site: Site) -> dict[str, tuple[str, list[str]]]:
    """Study -> where it was exported to, and the SOP classes."""
    folder = site.data_dir / "audit"
    found = {}
    for record in read_records(folder) if folder.exists() else ():
        message = ET.fromstring(record["xml"])
        assert message.find("EventIdentification/EventID").get("csd-code") == "110106"
        person, _, media = message.findall("ActiveParticipant")
        assert person.get("UserID") == getpass.getuser()
        study = message.find("ParticipantObjectIdentification").get("ParticipantObjectID")
        classes = sorted(each.get("UID") for each in message.iter("SOPClass"))
        found[study] = (media.get("UserID"), classes)
    return found


def test_objects_that_leave_with_a_backup_are_in_the_audit_trail(old: Site, tmp_path: Path) -> None:
    old.back_up(tmp_path / "without.tar")
    assert exports(old) == {}
    place = old.back_up(tmp_path / "with.tar", spool=True).place
    assert exports(old) == {
        SENDING: (place.as_uri(), [SR]),
        QUEUED: (place.as_uri(), [MR]),
        FRESH: (place.as_uri(), [MR]),
    }


def test_without_spool_open_work_begins_anew_when_it_is_sent_again(
    old: Site, new: Site, tmp_path: Path
) -> None:
    done = old.back_up(tmp_path / "b.tar")
    assert not done.manifest.below("data")
    restored = new.restore(done.place)
    assert restored.send_again == (SENDING, QUEUED, FRESH)
    with new.opened() as (_, ledger, store, spool):
        assert states(ledger) == {DELIVERED: JobState.DELIVERED}
        assert ledger.claim_deliveries("sender") == []
        for study in (DELIVERED, SENDING):
            assert store.received_of(study) == ()
            receive(store, spool, study)  # not taken for a duplicate
            assert len(store.received_of(study)) == 1
            add_job(ledger, store, study)
        assert states(ledger) == {DELIVERED: JobState.DELIVERED, SENDING: JobState.QUEUED}


def test_in_place_with_force_what_arrived_since_stays_and_nothing_is_deleted(
    old: Site, tmp_path: Path, new_url: str
) -> None:
    done = old.back_up(tmp_path / "b.tar", spool=True)
    with old.opened() as (_, ledger, store, spool):
        receive(store, spool, "1.2.9")
        (open_one,) = ledger.claim_deliveries("sender")
        ledger.delivery_done(open_one.delivery_id, "sender")
    (old.config_dir / "peers.yaml").write_text("peers: []\n")
    with pytest.raises(SetupFault) as fault:
        old.restore(done.place)
    told = {problem.code for problem in fault.value.problems}
    assert told == {"in-the-way"}
    assert any(problem.tag.endswith("peers.yaml") for problem in fault.value.problems)
    with old.opened() as (_, ledger, _, _):
        assert states(ledger)[SENDING] is JobState.DELIVERED  # nothing was changed
    restored = old.restore(done.place, force=True)
    assert restored.moved_aside is not None
    assert (restored.moved_aside / "config/peers.yaml").read_text() == "peers: []\n"
    assert any((restored.moved_aside / "database").iterdir())
    assert "PACS" in (old.config_dir / "peers.yaml").read_text()
    with old.opened() as (_, ledger, store, spool):
        assert states(ledger)[SENDING] is JobState.SENDING
        assert len(store.received_of(DELIVERED)) == 1  # its files were there all the time
        late = {study for study, _ in spool.stored_studies()} - {DELIVERED, SENDING, QUEUED, FRESH}
        assert late == {"1.2.9"}  # and is adopted at the next start
    assert not [path for path in old.data_dir.iterdir() if path.name.startswith(".restore")]


@ON_SQLITE
def test_configuration_and_models_that_are_there_can_be_kept(
    old: Site, new: Site, tmp_path: Path
) -> None:
    done = old.back_up(tmp_path / "b.tar", models=False)
    assert not done.manifest.below("models")
    new.set_up()
    (new.config_dir / "peers.yaml").write_text("peers: []\n")
    new.restore(done.place, config=False, models=False)
    assert (new.config_dir / "peers.yaml").read_text() == "peers: []\n"
    with new.opened() as (_, ledger, _, _):
        assert states(ledger) == {DELIVERED: JobState.DELIVERED}


@ON_SQLITE
def test_never_while_a_node_runs_there(old: Site, tmp_path: Path, new_url: str) -> None:
    done = old.back_up(tmp_path / "b.tar")
    (old.data_dir / "run").mkdir()
    with hold_lock(old.data_dir / "run/supervisor.lock"):
        assert old.back_up(tmp_path / "c.tar").size_bytes > 0  # a backup may
        with pytest.raises(SetupFault) as fault:
            old.restore(done.place, force=True)
    assert [problem.code for problem in fault.value.problems] == ["node-runs"]


@ON_SQLITE
def test_a_newer_schema_is_refused_before_anything_changes(
    old: Site, new: Site, tmp_path: Path
) -> None:
    with old.opened() as (engine, *_), engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    done = old.back_up(tmp_path / "b.tar")
    with pytest.raises(InputRejected) as refused:
        new.restore(done.place)
    assert [problem.code for problem in refused.value.problems] == ["newer-schema"]
    assert not new.root.exists()


@ON_SQLITE
def test_a_damaged_backup_changes_nothing(old: Site, new: Site, tmp_path: Path) -> None:
    place = old.back_up(tmp_path / "b.tar", spool=True).place
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 0x40
    place.write_bytes(data)
    with pytest.raises(InputRejected) as refused:
        new.restore(place)
    assert {problem.code for problem in refused.value.problems} == {"damaged-backup"}
    assert not new.root.exists()


def test_a_backup_of_the_other_database_is_refused(old: Site, new: Site, tmp_path: Path) -> None:
    done = old.back_up(tmp_path / "b.tar")
    is_sqlite = old.database_url.startswith("sqlite")
    other = "postgresql+psycopg://nobody@127.0.0.1:9/none" if is_sqlite else sqlite_url(tmp_path)
    with pytest.raises(SetupFault) as fault:
        restore(done.place, new.config_dir, environment={"ONCONODE_DATABASE_URL": other})
    assert [problem.code for problem in fault.value.problems] == ["other-database"]


@ON_SQLITE
def test_a_backup_without_database_holds_the_rest(old: Site, new: Site, tmp_path: Path) -> None:
    done = old.back_up(tmp_path / "b.tar", database=False)
    restored = new.restore(done.place)
    assert restored.database == "none"
    assert (new.config_dir / "node.yaml").is_file()
    assert not (new.data_dir / "onconode.db").exists()


@ON_SQLITE
def test_an_interrupted_restore_is_noticed_at_the_next_start(
    old: Site, new: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = old.back_up(tmp_path / "b.tar", spool=True)

    def lose_power(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("node.bootstrap.restoring.restore_database", lose_power)
    with pytest.raises(KeyboardInterrupt):
        new.restore(done.place)
    monkeypatch.undo()
    with pytest.raises(SetupFault) as fault:
        refuse_unfinished(new.data_dir)
    assert [problem.code for problem in fault.value.problems] == ["unfinished-restore"]
    with pytest.raises(SetupFault, match="interrupted"):  # half of it is no backup either
        new.back_up(tmp_path / "half.tar")
    assert not (tmp_path / "half.tar").exists()
    new.restore(done.place, force=True)
    refuse_unfinished(new.data_dir)
    with new.opened() as (_, ledger, _, _):
        assert states(ledger)[SENDING] is JobState.SENDING


@ON_SQLITE
def test_no_backup_is_overwritten(old: Site, tmp_path: Path, new_url: str) -> None:
    place = old.back_up(tmp_path / "b.tar").place
    before = place.read_bytes()
    with pytest.raises(SetupFault, match="exists"):
        old.back_up(place)
    assert place.read_bytes() == before
    with pytest.raises(SetupFault, match="no folder"):
        old.back_up(tmp_path / "nowhere/b.tar")


@ON_SQLITE
def test_results_that_went_meanwhile_are_told(old: Site, tmp_path: Path, new_url: str) -> None:
    with old.opened() as (_, ledger, _, _):
        (job,) = [job for job in ledger.list() if job.state is JobState.SENDING]
        (delivery,) = ledger.deliveries(job.job_id)
        assert delivery.state is DeliveryState.PENDING
        delivery.path.unlink()
    done = old.back_up(tmp_path / "b.tar", spool=True)
    assert done.left_out == (delivery.path,)


@ON_SQLITE
def test_histories_that_are_there_are_left_alone(old: Site, new: Site, tmp_path: Path) -> None:
    for name, content in (("audit/audit-000001.jsonl", "old"), ("configuration/0001/x", "old")):
        path = old.data_dir / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    done = old.back_up(tmp_path / "b.tar")
    (new.data_dir / "audit").mkdir(parents=True)
    (new.data_dir / "audit/audit-000001.jsonl").write_text("newer")
    assert new.restore(done.place).kept == ("audit",)
    assert (new.data_dir / "audit/audit-000001.jsonl").read_text() == "newer"
    assert (new.data_dir / "configuration/0001/x").read_text() == "old"


@ON_SQLITE
def test_on_another_filesystem_what_was_in_the_way_is_copied_whole(
    old: Site, new: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = old.back_up(tmp_path / "b.tar")
    new.restore(done.place)
    mine = new.config_dir / "peers.yaml"
    mine.write_text("# mine\n")
    mine.chmod(0o640)
    replace = Path.replace

    def across(path: Path, target: Path) -> Path:
        if path.parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", across)
    aside = new.restore(done.place, force=True).moved_aside
    assert aside is not None
    kept = aside / "config/peers.yaml"
    assert kept.read_text() == "# mine\n"
    assert kept.stat().st_mode & 0o777 == 0o640
    assert mine.read_bytes() == (old.config_dir / "peers.yaml").read_bytes()
    assert not list(new.root.rglob("*.fresh"))


@ON_SQLITE
def test_a_history_that_was_half_placed_is_placed_by_the_repetition(
    old: Site, new: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        path = old.data_dir / f"audit/audit-00000{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"part {number}")
    done = old.back_up(tmp_path / "b.tar")
    put = Placing.put

    def lose_power(self: Placing, source: Path, target: Path) -> None:
        if target.name == "audit-000002.jsonl":
            raise KeyboardInterrupt
        put(self, source, target)

    monkeypatch.setattr(Placing, "put", lose_power)
    with pytest.raises(KeyboardInterrupt):
        new.restore(done.place)
    monkeypatch.undo()
    assert {path.name for path in (new.data_dir / "audit").iterdir()} == {"audit-000001.jsonl"}
    assert new.restore(done.place, force=True).kept == ()
    assert (new.data_dir / "audit/audit-000001.jsonl").read_text() == "part 1"
    assert (new.data_dir / "audit/audit-000002.jsonl").read_text() == "part 2"


@ON_SQLITE
def test_check_reads_without_changing(old: Site, tmp_path: Path, new_url: str) -> None:
    place = old.back_up(tmp_path / "b.tar").place
    assert check_backup(place) == read_manifest(place)


@ON_SQLITE
def test_a_place_that_cannot_be_written_is_told(old: Site, new: Site, tmp_path: Path) -> None:
    done = old.back_up(tmp_path / "b.tar")
    new.root.mkdir()
    (new.root / "models").touch()  # a file where a folder should be
    with pytest.raises(SetupFault, match="could not be finished"):
        new.restore(done.place)
    with pytest.raises(SetupFault, match="interrupted"):
        refuse_unfinished(new.data_dir)
