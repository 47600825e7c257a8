"""Metrics, health and readiness as a monitoring host gets them."""

import http.client
import json
import os
import socket
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from factories_ledger import add_job, add_object, finish
from prometheus_client.parser import text_string_to_metric_families

from node.bootstrap.health import Readiness, look_whether_ready
from node.bootstrap.http_service import MAXIMUM_REQUESTS, HttpService
from node.bootstrap.metrics import NodeCollector, limit_labels
from node.bootstrap.parts import Parts
from node.config.settings import NodeSettings, Settings
from node.jobs.figures import LedgerFollower, measure_ledger
from node.storage.clock import utc_now
from node.telemetry.metrics import MAXIMUM_LABEL_VALUES, METRICS, OTHER, known_sample_names


def make_parts(folder: Path, **node) -> Parts:
    return Parts(settings=Settings(node=NodeSettings(data_dir=folder / "data", **node)))


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return make_parts(tmp_path)


READY = Readiness(database=True, disk=True, listener=True)


def get(service: HttpService, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Served:
    def __init__(self, parts: Parts, readiness: Readiness = READY) -> None:
        self.collector = NodeCollector(parts)
        self.collector.follow()
        self.service = HttpService(
            address="127.0.0.1", port=0, collector=self.collector, look=lambda: readiness
        )

    def __enter__(self):
        self.service.start()
        return self

    def __exit__(self, *_):
        self.service.stop()

    def samples(self) -> dict[tuple[str, tuple[str, ...]], float]:
        status, text = get(self.service, "/metrics")
        assert status == 200
        return {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


def test_every_metric_is_served_and_no_other(parts: Parts) -> None:
    with Served(parts) as served:
        add_job(parts, "1.1", "delivered")
        _, text = get(served.service, "/metrics")
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    names = {
        name for each, metric in METRICS.items() for name in (each, *metric.sample_names(each))
    }
    assert told <= names
    without_repository = set(METRICS) - {"onconode_audit_unsent_bytes"}
    assert {name for name in without_repository if f"# HELP {name}" not in text} == set()
    assert {s.name for f in text_string_to_metric_families(text) for s in f.samples} <= (
        known_sample_names()
    )


def test_figures_are_those_of_the_ledger(parts: Parts) -> None:
    with Served(parts) as served:
        before = served.samples()
        assert before["onconode_jobs", ("queued",)] == 0
        add_job(parts, "1.1", "delivered")
        add_job(parts, "1.2", "not-sent")
        add_job(parts, "1.3", "sending")
        add_job(parts, "1.4", "queued")
        add_object(parts, "1.5")
        after = served.samples()
    assert after["onconode_database_up", ()] == 1
    assert after["onconode_jobs", ("queued",)] == 1
    assert after["onconode_job_oldest_seconds", ("queued",)] > 0
    assert after["onconode_jobs", ("delivered",)] == 1
    assert after["onconode_studies_waiting", ()] == 1
    assert after["onconode_instances_received_total", ("CT1",)] == 5
    assert after["onconode_instances_sent_total", ("pacs",)] == 1
    assert after["onconode_instances_send_failed_total", ("pacs",)] == 1
    assert after["onconode_deliveries", ("pacs", "pending")] == 1
    assert after["onconode_delivery_oldest_seconds", ("pacs",)] > 0
    assert 0 <= after["onconode_source_silence_seconds", ("CT1",)] < 300
    assert after["onconode_hop_seconds_count", ("assembled",)] == 4
    assert after["onconode_hop_seconds_count", ("processed",)] == 3
    assert after["onconode_hop_seconds_count", ("accepted",)] == 1
    assert after["onconode_disk_mark_bytes", ("hard",)] == 1 << 30
    assert after["onconode_disk_used_bytes", ("objects",)] == 0  # measured once a minute


def test_committed_objects_are_counted_once(parts: Parts) -> None:
    follower = LedgerFollower(parts.engine)
    add_job(parts, "1.1", "unproven")
    assert (follower.look().sent["pacs"], follower.totals.committed["pacs"]) == (1, 0)
    (delivery,) = parts.ledger.deliveries(parts.ledger.list()[0].job_id)
    parts.ledger.delivery_found(delivery.delivery_id, detail="seen")
    for _ in range(3):
        follower.look()
    assert (follower.totals.sent["pacs"], follower.totals.committed["pacs"]) == (1, 1)


def test_counters_begin_with_the_observer_and_never_fall(parts: Parts) -> None:
    add_job(parts, "1.1", "delivered")
    follower = LedgerFollower(parts.engine)
    assert follower.look().received["CT1"] == 0
    assert "CT1" in follower.totals.last_received  # silence is known from before
    job = add_job(parts, "1.2", "delivered")
    assert follower.look().received["CT1"] == 1
    parts.ledger.forget(job.job_id)
    parts.store.forget_study("1.2")
    assert follower.look().received["CT1"] == 1
    assert follower.totals.sent["pacs"] == 1


def test_age_is_that_of_the_oldest(parts: Parts) -> None:
    add_job(parts, "1.1", "running")
    later = utc_now() + timedelta(hours=1)
    state = measure_ledger(parts.engine, now=lambda: later)
    assert state.job_oldest_s["running"] == pytest.approx(3600, abs=60)
    finish(parts, parts.ledger.list()[0], "sending")
    state = measure_ledger(parts.engine, now=lambda: later)
    assert state.job_oldest_s["running"] == 0
    assert state.delivery_oldest_s["pacs"] == pytest.approx(3600, abs=60)


def test_strangers_cannot_fill_the_metrics_with_ae_titles() -> None:
    counts = {f"AE{i}": 1.0 for i in range(1000)} | {"PACS": 0.5}
    kept = limit_labels(counts, known={"PACS"})
    assert len(kept) == MAXIMUM_LABEL_VALUES
    assert kept["PACS"] == 0.5
    assert sum(kept.values()) == sum(counts.values())
    assert OTHER in kept


def test_no_uid_and_no_patient_in_the_metrics(parts: Parts) -> None:
    with Served(parts) as served:
        for study, state in (("1.2.840.99.1", "delivered"), ("1.2.840.99.2", "rejected")):
            add_job(parts, study, state)
        _, text = get(served.service, "/metrics")
    assert "1.2.840" not in text


def test_database_that_is_gone_is_told_and_the_rest_is_still_there(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    def fail(_engine):
        raise OperationalError("select", {}, Exception("gone"))

    with Served(parts) as served:
        monkeypatch.setattr("node.bootstrap.metrics.measure_ledger", fail)
        samples = served.samples()
    assert samples["onconode_database_up", ()] == 0
    assert ("onconode_disk_free_bytes", ()) in samples
    assert not any(name == "onconode_jobs" for name, _ in samples)


def test_processes_are_up_by_their_pid_files(parts: Parts) -> None:
    parts.run_dir.mkdir(parents=True)
    (parts.run_dir / "listener.pid").write_text(f"{os.getpid()}\n")
    with Served(parts) as served:
        samples = served.samples()
    assert samples["onconode_process_up", ("listener",)] == 1
    assert samples["onconode_process_up", ("dispatcher",)] == 0


def test_health_ready_and_nothing_else(parts: Parts) -> None:
    with Served(parts) as served:
        assert get(served.service, "/health") == (200, "alive\n")
        status, text = get(served.service, "/ready")
        assert (status, json.loads(text)["ready"]) == (200, True)
        assert get(served.service, "/etc/passwd")[0] == 404
    with Served(parts, Readiness(database=True, disk=False, listener=True)) as served:
        status, text = get(served.service, "/ready")
        assert status == 503
        assert json.loads(text) == {
            "ready": False, "database": True, "disk": False, "listener": True,
        }  # fmt: skip


def test_only_so_many_requests_are_answered_at_a_time(parts: Parts) -> None:
    """Idle connections hold the places; the next one is closed, and is taken when one goes."""
    with Served(parts) as served:
        address = ("127.0.0.1", served.service.port)
        idle = [socket.create_connection(address, timeout=20) for _ in range(MAXIMUM_REQUESTS)]
        with socket.create_connection(address, timeout=20) as further:
            assert further.recv(1) == b""
        idle.pop().close()
        deadline_s = time.monotonic() + 20
        while True:  # the thread of the one that went has to notice
            try:
                assert get(served.service, "/health")[0] == 200
                break
            except (ConnectionError, http.client.HTTPException):
                assert time.monotonic() < deadline_s
        for connection in idle:
            connection.close()


class Peer:
    """A listener's port: one that hangs up as a DICOM SCP does, or one that hangs."""

    def __init__(self, *, reacts: bool) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.reacts = reacts
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self.server.accept()
                if self.reacts:
                    while connection.recv(100):
                        pass
                    connection.close()
                else:
                    kept.append(connection)
        except OSError:
            return


kept: list[socket.socket] = []


@pytest.mark.parametrize("reacts", [True, False])
def test_listener_that_hangs_is_not_ready(
    tmp_path: Path, reacts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.bootstrap.health.LISTENER_TIMEOUT_S", 1.0)
    peer = Peer(reacts=reacts)
    found = look_whether_ready(make_parts(tmp_path, port=peer.port))
    peer.server.close()
    assert found.database
    assert found.listener is reacts


def test_no_listener_and_no_room_are_not_ready(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    node = NodeSettings(data_dir=tmp_path / "data", port=port)
    receive = node.receive.model_copy(update={"minimum_free_disk_mb": 1 << 40})
    parts = Parts(settings=Settings(node=node.model_copy(update={"receive": receive})))
    found = look_whether_ready(parts)
    assert found == Readiness(database=True, disk=False, listener=False)
