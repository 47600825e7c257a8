"""What a crash leaves is finished at the next start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from factories_receive import (
    ROOT,
    STUDY,
    associated,
    encode,
    make_ct,
    running_listener,
    send_bytes,
    wait_until,
)
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from node.receive.file_meta import FileMeta
from node.storage.database import open_database, sqlite_url
from node.storage.instances import InstanceStore
from node.storage.spool import Spool

SOP = f"{ROOT}.3.1"

# The process dies after the file has its name and before its row is written.
DYING_LISTENER = """
import os, sys, threading
from pathlib import Path
from factories_receive import listener_settings, running_listener
from node.storage.instances import InstanceStore
InstanceStore.record_all = lambda *_: os._exit(9)
with running_listener(Path(sys.argv[1])) as running:
    print(running.port, flush=True)
    threading.Event().wait(60)
"""


def put_object(
    spool: Spool, data: bytes, *, number: int = 1, study: str = STUDY, calling: str = "CT1"
) -> Path:
    """Put a file into its place, as the listener does before it writes the row."""
    meta = FileMeta(
        sop_class_uid=CTImageStorage,
        sop_instance_uid=f"{ROOT}.3.{number}",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        calling_ae_title=calling,
        called_ae_title="ONCONODE",
    )
    incoming = spool.begin()
    incoming.write(meta.encode() + data)
    place = spool.object_path(
        study_instance_uid=study,
        series_instance_uid=f"{ROOT}.2",
        sop_instance_uid=f"{ROOT}.3.{number}",
    )
    spool.keep(incoming, place)
    return place


def test_a_process_that_dies_between_file_and_row(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    repository = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        (sys.executable, "-c", DYING_LISTENER, str(tmp_path)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join((repository, tests))},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = (line.strip() for line in process.stdout)
    port = int(next(line for line in lines if line.isdigit()))
    with associated(port) as association, pytest.raises(AssertionError, match="no answer"):
        send_bytes(association, encode(make_ct()))
    assert process.wait(20) == 9
    store = InstanceStore(open_database(sqlite_url(tmp_path)))
    assert store.find(SOP) is None
    with running_listener(tmp_path, store=store) as running:
        received = store.find(SOP)
        assert received is not None
        assert received.calling_ae_title == "TESTSCU"
        assert running.received_bytes(SOP) == encode(make_ct())
        with associated(running.port) as association:  # the sender tries again
            assert send_bytes(association, encode(make_ct())).Status == 0x0000
        assert running.listener.counts == {"duplicate": 1}


def test_an_adopted_object_is_recorded_like_a_received_one(tmp_path: Path) -> None:
    with running_listener(tmp_path) as running:
        with associated(running.port) as association:
            send_bytes(association, encode(make_ct(2)), sop_instance_uid=f"{ROOT}.3.2")
        received = running.store.find(f"{ROOT}.3.2")
        running.store.forget_study(STUDY)
        assert running.store.find(f"{ROOT}.3.2") is None
    with running_listener(tmp_path) as running:
        assert running.store.find(f"{ROOT}.3.2") == received


def test_broken_files_in_the_spool_go_to_quarantine(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    put_object(spool, encode(make_ct(1))[:-50], number=1)
    put_object(spool, encode(make_ct(3)), number=2)
    put_object(spool, encode(make_ct(4)), number=4, study="1.2.3")
    noise = put_object(spool, b"", number=5)
    noise.write_bytes(b"noise")
    with running_listener(tmp_path) as running:
        codes = sorted(row.problems[0].code for row in running.store.quarantined())
        assert codes == ["not-dicom", "sop-instance-mismatch", "truncated", "unparsable"]
        assert not list(running.spool.objects.rglob("*.dcm"))
        assert len(list(running.spool.quarantine_dir.iterdir())) == 4


def test_a_uid_that_is_known_from_another_study_is_not_adopted(tmp_path: Path) -> None:
    with running_listener(tmp_path) as running, associated(running.port) as association:
        send_bytes(association, encode(make_ct()))
    spool = Spool(tmp_path / "spool")
    put_object(spool, encode(make_ct(StudyInstanceUID=f"{ROOT}.9")), study=f"{ROOT}.9")
    with running_listener(tmp_path) as running:
        (row,) = running.store.quarantined()
        assert row.problems[0].code == "other-content"
        assert running.received_bytes(SOP) == encode(make_ct())


def test_interrupted_temp_files_are_kept_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    incoming = spool.begin()
    incoming.write(
        FileMeta(
            sop_class_uid=CTImageStorage,
            sop_instance_uid=SOP,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            calling_ae_title="CT1",
            called_ae_title="ONCONODE",
        ).encode()
        + b"the beginning"
    )
    with running_listener(tmp_path) as running:
        (row,) = running.store.quarantined()
        assert row.calling_ae_title == "CT1"
        assert row.path.read_bytes().endswith(b"the beginning")
        wait_until(lambda: not list(running.spool.incoming.iterdir()))


def test_a_start_without_anything_to_do_reads_no_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_listener(tmp_path) as running, associated(running.port) as association:
        send_bytes(association, encode(make_ct()))

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("an object that has a row was read again")

    monkeypatch.setattr("node.receive.recovery.identify", fail)
    with running_listener(tmp_path) as running:
        assert running.store.find(SOP) is not None
