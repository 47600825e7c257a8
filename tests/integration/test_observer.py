"""A node without workers: what the administrator sees of it, from its start to its stop."""

import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from factories_receive import ROOT, STUDY, associated, encode, make_ct, send_bytes
from free_ports import free_port
from prometheus_client.parser import text_string_to_metric_families
from pynetdicom.sop_class import Verification

from node.bootstrap.auditing import note_audit_anchor
from node.bootstrap.parts import Parts
from node.config.load import load_settings
from node.config.settings import Settings
from node.storage.anchors import list_anchors
from node.telemetry.audit.chain import Head
from node.telemetry.audit.verify import read_records, verify_trail

WAIT_S = 90.0

pytestmark = pytest.mark.slow  # three processes start


class Node:
    """``onconode serve`` with listener, dispatcher and observer; a scheduler that never answers
    stands for the workers, so that TensorFlow is not loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.metrics_port = free_port(), free_port()
        self.config = folder / "conf"
        self.config.mkdir()
        settings = {
            "port": self.port,
            "data_dir": str(folder / "data"),
            "models_dir": str(folder / "models"),
            "jobs": {"scheduler_address": f"tcp://127.0.0.1:{free_port()}"},
            "metrics": {"port": self.metrics_port},
            "receive": {"minimum_free_disk_mb": 0},
            "disk": {"soft_free_mb": 0},
        }
        (self.config / "node.yaml").write_text(yaml.safe_dump(settings))
        self.log = (folder / "serve.log").open("wb")
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self.command("serve"), stderr=self.log, stdout=self.log)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "node.cli", "--config", str(self.config), *words]

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        try:
            return self.get("/ready")[0] == 200
        except OSError:
            return False

    def metric(self, name: str, **labels: str) -> float | None:
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    def records(self, event: str) -> list[str]:
        mark = f'<EventID csd-code="{event}"'
        messages = [record["xml"] for record in read_records(self.folder / "data" / "audit")]
        return [message for message in messages if mark in message]

    def stop(self) -> None:
        """Drain the listener, but not the dispatcher, which looks for a scheduler in vain."""
        self.process.terminate()
        pid_file = self.folder / "data" / "run" / "listener.pid"
        listener = int(pid_file.read_text())
        wait_for(lambda: is_dead(listener), "it has ended")
        self.process.terminate()
        self.process.wait(WAIT_S)


def is_dead(pid: int) -> bool:
    """A child that ended and that its parent has not looked after yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(fact: Callable[[], object], what: str) -> None:
    end = time.monotonic() + WAIT_S
    while not fact():
        assert time.monotonic() < end, f"not within {WAIT_S:.0f} s: {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    running = Node(tmp_path_factory.mktemp("observed"))
    try:
        wait_for(running.is_ready, "the node is ready")
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        running.log.close()


def test_a_study_arrives_a_stranger_is_refused_and_all_of_it_is_seen(node: Node) -> None:
    assert node.get("/health") == (200, "alive\n")
    for process in ("supervisor", "listener", "dispatcher"):
        assert node.metric("onconode_process_up", process=process) == 1
    with associated(node.port, calling="SCANNER") as association:
        for number in (1, 2):
            answer = send_bytes(
                association,
                encode(make_ct(number, PatientID="PAT-7")),
                sop_instance_uid=f"{ROOT}.3.{number}",
            )
            assert answer.Status == 0
    with associated(node.port, (Verification, ("1.2.840.10008.1.2",)), called="OTHER") as refused:
        assert refused.is_rejected
    wait_for(lambda: node.records("110104"), "the transfer is in the audit trail")
    wait_for(lambda: node.records("110113"), "the refusal is in the audit trail")

    assert node.metric("onconode_instances_received_total", ae_title="SCANNER") == 2
    assert node.metric("onconode_associations_total", result="rejected") == 1
    silence = node.metric("onconode_source_silence_seconds", ae_title="SCANNER")
    assert silence is not None
    assert 0 <= silence < WAIT_S

    (start,) = node.records("110100")
    assert "110120" in start
    (begin,), (transferred,), (alert,) = map(node.records, ("110102", "110104", "110113"))
    for message in (begin, transferred):
        assert STUDY in message
        assert "PAT-7" in message
        assert "AETITLES=SCANNER" in message
    assert 'NumberOfInstances="2"' in transferred
    assert 'NetworkAccessPointID="127.0.0.1"' in transferred
    assert "110126" in alert


def test_probes_leave_no_trace_in_the_trail(node: Node) -> None:
    before = len(node.records("110113"))
    for _ in range(5):
        assert node.is_ready()
    # a refusal goes the same way, after whatever the probes might have left there
    echo = (Verification, ("1.2.840.10008.1.2",))
    with associated(node.port, echo, calling="MARK", called="OTHER") as refused:
        assert refused.is_rejected
    wait_for(lambda: "AETITLES=MARK" in "".join(node.records("110113")), "the mark is there")
    assert len(node.records("110113")) == before + 1


def test_logs_are_in_files_of_their_processes_and_hold_no_patient(node: Node) -> None:
    folder = node.folder / "data" / "log"
    names = {"supervisor.log", "listener.log", "dispatcher.log", "observer.log"}
    wait_for(lambda: names <= {path.name for path in folder.iterdir()}, "each has its file")
    text = "".join(path.read_text() for path in folder.iterdir())
    assert "instance.stored" in text
    assert "PAT-7" not in text
    assert "PAT-7" not in node.get("/metrics")[1]


def test_trail_is_sound_after_the_stop_and_the_database_keeps_an_anchor(node: Node) -> None:
    settings = load_settings(node.config, environment={})
    assert note_anchor_of(settings) > 0
    node.stop()
    assert "110121" in node.records("110100")[-1]
    found = verify_trail(node.folder / "data" / "audit", anchors=anchors_of(settings))
    assert found.faults == ()
    assert found.records == len(list(read_records(node.folder / "data" / "audit")))


def note_anchor_of(settings: Settings) -> int:
    """The dispatcher does so twice a minute; here it is not waited for."""
    note_audit_anchor(Parts(settings=settings))
    return len(anchors_of(settings))


def anchors_of(settings: Settings) -> list[tuple[str, Head]]:
    kept = list_anchors(Parts(settings=settings).engine)
    return [("database", Head(number=number, sha256=sha256)) for number, sha256 in kept]
