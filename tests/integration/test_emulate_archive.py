"""The archive stand-in keeps, counts and fails as told; the modality sends what files hold."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from factories_images import only_series
from pydicom import dcmread
from tools import require_dcmtk

from node.domain.errors import TryLater
from node.emulate.archive import OUT_OF_RESOURCES, SUCCESS, Archive, Faults
from node.emulate.modality import send_files
from node.emulate.phantom import write_case

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def paths(tmp_path):
    return write_case("brain2", tmp_path / "sent").paths[:6]


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive") as running:
        yield running


def send(paths, archive, **options):
    outcomes = send_files(paths, host=archive.host, port=archive.port, **options)
    return [outcome.status for outcome in outcomes]


def test_what_is_sent_is_kept_byte_for_byte(paths, archive):
    assert send(paths, archive, calling_ae="MR1") == [SUCCESS] * 6
    assert archive.wait_for(lambda: len(archive.kept) == 6, timeout_s=10)
    sent = {item.sop_instance_uid: item.sha256 for item in only_series(paths[0].parent).instances}
    for receipt in archive.receipts:
        assert receipt.calling_ae_title == "MR1"
        assert receipt.sha256 == sent[receipt.sop_instance_uid]
        assert dcmread(receipt.path).SOPInstanceUID == receipt.sop_instance_uid


def test_second_receipt_is_visible(paths, archive):
    send(paths, archive)
    send(paths[:2], archive)
    counts = archive.counts()
    assert sorted(counts.values()) == [1, 1, 1, 1, 2, 2]
    assert len(list(archive.directory.glob("*~2.dcm"))) == 2


def test_answer_of_fault_is_given_so_many_times_and_nothing_kept(paths, archive):
    archive.faults = Faults(answer=OUT_OF_RESOURCES, times=2)
    assert send(paths, archive) == [OUT_OF_RESOURCES] * 2 + [SUCCESS] * 4
    assert len(archive.receipts) == 6
    assert len(archive.kept) == len(list(archive.directory.iterdir())) == 4


def test_aborted_association_gives_no_answers(paths, archive):
    archive.faults = Faults(abort=True, times=1)
    assert send(paths, archive) == [None] * 6
    assert send(paths, archive) == [SUCCESS] * 6
    assert len(archive.kept) == 6


def test_refused_sop_class_is_not_negotiated(paths, tmp_path):
    faults = Faults(refuse_sop_classes=frozenset({MR_IMAGE}))
    with (
        Archive(tmp_path / "picky", faults=faults) as archive,
        pytest.raises(TryLater, match="no association"),
    ):
        send(paths, archive)


def test_delay_delays(paths, archive):
    archive.faults = Faults(delay_s=0.7, times=1)
    start_s = time.monotonic()
    assert send(paths[:1], archive) == [SUCCESS]
    assert time.monotonic() - start_s >= 0.7


def test_wait_gives_up_in_time(archive):
    assert not archive.wait_for(lambda: len(archive.receipts) > 0, timeout_s=0.2)


def test_nobody_there_is_a_reason_to_try_later(paths):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(TryLater):
            send_files(paths, host="127.0.0.1", port=port)


def test_stopped_archive_comes_back_on_its_port(paths, archive):
    send(paths[:1], archive)
    port = archive.port
    archive.stop()
    with pytest.raises(TryLater):
        send(paths[:1], archive)
    archive.start()
    assert archive.port == port
    assert send(paths[:1], archive) == [SUCCESS]
    assert list(archive.counts().values()) == [2]


def test_dcmtk_may_echo_and_send(paths, archive):
    environment = os.environ | {"TCP_NODELAY": "1"}
    peer = [archive.host, str(archive.port)]
    for tool, arguments in (("echoscu", []), ("storescu", [str(path) for path in paths])):
        done = subprocess.run(
            [require_dcmtk(tool), *peer, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert len(archive.kept) == 6


def test_archive_as_a_process(paths, tmp_path):
    command = [sys.executable, "-m", "node.emulate.archive", "--dir", str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        listening = re.fullmatch(
            r"listening ARCHIVE 127\.0\.0\.1 (\d+)\n", process.stdout.readline()
        )
        outcomes = send_files(paths[:1], host="127.0.0.1", port=int(listening.group(1)))
        told = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert [outcome.status for outcome in outcomes] == [SUCCESS]
    assert re.fullmatch(r"received [\d.]+ class [\d.]+ status 0x0000 count 1\n", told)
    (kept,) = (tmp_path / "kept").iterdir()
    assert hashlib.sha256(kept.read_bytes()).hexdigest()
    assert dcmread(kept).PatientID == "PHANTOM-BRAIN2"
