"""Messages through ledger and outbox to real receivers: nothing lost, nothing doubled."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from factories_ledger import queue_job
from factories_messages import make_told_report
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message
from receivers import acknowledge, fhir_server, mllp_receiver

from node.bootstrap.parts import Parts
from node.config.settings import DeliverSettings, Fhir, Hl7, NodeSettings, Peer, Settings
from node.deliver.addressees import addressees
from node.deliver.outbox import deliver_batch
from node.domain.report import MESSAGES
from node.domain.triage import Triage
from node.jobs.job import DeliveryState, Job
from node.jobs.state import JobState
from node.report.messages.write import write_messages
from node.storage.clock import utc_now

PATIENT_S = 60.0
QUICK = DeliverSettings(
    acse_timeout_s=5, dimse_timeout_s=20, retry_backoff_s=0.05, retry_backoff_maximum_s=0.1
)
SEND_ONCE = """
import sys
from node.bootstrap.parts import Parts
from node.config.settings import DeliverSettings, Hl7, NodeSettings, Peer, Settings
from node.deliver.outbox import deliver_batch
data_dir, port = sys.argv[1:]
peer = Peer(name="ris", port=int(port), hl7=Hl7())
parts = Parts(settings=Settings(node=NodeSettings(data_dir=data_dir), peers=(peer,)))
deliver_batch(parts.ledger.claim_deliveries("first"), ledger=parts.ledger, peers=(peer,),
              calling_ae_title="ONCONODE", settings=DeliverSettings(), owner="first")
"""


def open_parts(tmp_path: Path, *peers: Peer) -> Parts:
    node = NodeSettings(data_dir=tmp_path / "data", deliver=QUICK)
    return Parts(settings=Settings(node=node, peers=peers))


def finish_job(parts: Parts, tmp_path: Path, *, triage: Triage | None = None) -> Job:
    """A job whose result is two messages, to be sent to every peer as it asks."""
    report, on_disk = make_told_report(tmp_path / "series")
    peers = {peer.name: peer for peer in parts.settings.peers}
    job = queue_job(parts.ledger, destinations=list(peers))
    assert parts.ledger.claim("w") is not None
    messages = write_messages(
        report,
        on_disk.volume,
        kinds=MESSAGES,
        evidence=(),
        source_paths=on_disk.paths,
        out_dir=parts.spool.results_dir(job.job_id),
        prefix="brain",
        at=utc_now(),
    )
    goes_to = addressees(peers, report.triage if triage is None else triage)
    return parts.ledger.finish(job.job_id, "w", evidence=messages, result={}, goes_to=goes_to)


def deliver_until(parts: Parts, job: Job, state: JobState) -> Job:
    deadline = time.monotonic() + PATIENT_S
    while parts.ledger.get(job.job_id).state is not state:
        assert time.monotonic() < deadline, parts.ledger.deliveries(job.job_id)
        deliver_batch(
            parts.ledger.claim_deliveries("me"),
            ledger=parts.ledger,
            peers=parts.settings.peers,
            calling_ae_title="ONCONODE",
            settings=QUICK,
            owner="me",
        )
        time.sleep(0.02)  # the back-off of the ledger; the deadline bounds this
    return parts.ledger.get(job.job_id)


def ris(port: int, **options: object) -> Peer:
    return Peer(name="ris", port=port, hl7=Hl7(**options))


def test_a_ris_of_hl7apy_and_a_fhir_server_take_one_result_once(tmp_path):
    taken = []

    class Reader(AbstractHandler):
        def reply(self) -> str:
            message = parse_message(self.incoming_message, validation_level=VALIDATION_LEVEL.STRICT)
            message.validate()
            taken.append(message)
            answer = acknowledge("AA", message.msh.msh_10.value)
            return answer.decode()

    reader = MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (Reader,)})
    thread = threading.Thread(target=reader.serve_forever, daemon=True)
    thread.start()
    try:
        with fhir_server() as server:
            records = Peer(name="records", fhir=Fhir(url=server.url))
            parts = open_parts(tmp_path, ris(reader.server_address[1]), records)
            job = deliver_until(parts, finish_job(parts, tmp_path), JobState.DELIVERED)
            assert parts.ledger.claim_deliveries("me") == []
    finally:
        reader.shutdown()
        reader.server_close()
        thread.join(10)
    (message,) = taken
    assert message.msh.msh_18.value == "UNICODE UTF-8"
    results = message.oru_r01_patient_result.oru_r01_order_observation
    assert results.obr.obr_18.value == "ACC42"
    assert len(results.oru_r01_observation) > 20
    kinds = sorted(kind for kind, _ in server.resources)
    assert kinds == ["DiagnosticReport", "ImagingStudy", *["Observation"] * 3]
    sent = {
        (each.destination, each.kind, each.state) for each in parts.ledger.deliveries(job.job_id)
    }
    assert sent == {
        ("ris", "oru", DeliveryState.ACCEPTED), ("records", "fhir", DeliveryState.ACCEPTED),
    }  # fmt: skip


def test_what_the_receiver_cannot_take_now_comes_again_under_one_control_id(tmp_path):
    with mllp_receiver("AR", "drop", "AA") as receiver:
        parts = open_parts(tmp_path, ris(receiver.port))
        deliver_until(parts, finish_job(parts, tmp_path), JobState.DELIVERED)
    assert len(receiver.messages) == 3
    assert len(set(receiver.messages)) == 1


def test_a_refused_message_is_given_up_with_the_reason_and_goes_again_when_a_person_says_so(
    tmp_path,
):
    with mllp_receiver("AE/ERR||OBR^1^18|101^x^HL70357|E\r") as receiver:
        parts = open_parts(tmp_path, ris(receiver.port))
        job = deliver_until(parts, finish_job(parts, tmp_path), JobState.FAILED)
        assert job.error == "ris: HL7 AE: 101 required field missing; at OBR-1-18"
        parts.ledger.retry(job.job_id)
        deliver_until(parts, job, JobState.DELIVERED)
    first, second = receiver.messages
    assert first == second


def test_only_flagged_results_go_where_only_flagged_ones_are_wanted(tmp_path):
    with mllp_receiver() as receiver:
        parts = open_parts(tmp_path, ris(receiver.port, send="flagged"))
        job = finish_job(parts, tmp_path, triage=Triage())
        assert job.state is JobState.DELIVERED
        assert parts.ledger.deliveries(job.job_id) == []
        assert receiver.messages == []


def test_a_sender_that_is_killed_before_the_answer_sends_the_same_message_again(tmp_path):
    with mllp_receiver("silence") as receiver:
        parts = open_parts(tmp_path, ris(receiver.port))
        job = finish_job(parts, tmp_path)
        arguments = [sys.executable, "-c", SEND_ONCE, parts.settings.node.data_dir, receiver.port]
        with subprocess.Popen(list(map(str, arguments))) as sender:
            assert receiver.came.wait(PATIENT_S)
            sender.send_signal(signal.SIGKILL)
            sender.wait(PATIENT_S)
        (waiting,) = parts.ledger.deliveries(job.job_id)
        assert waiting.state is DeliveryState.PENDING
        assert parts.ledger.release_deliveries("first") == 1
        deliver_until(parts, job, JobState.DELIVERED)
    first, second = receiver.messages
    assert first == second
    (sent,) = parts.ledger.deliveries(job.job_id)
    assert (sent.state, sent.attempts) == (DeliveryState.ACCEPTED, 2)


def test_nobody_listens_and_later_somebody_does(tmp_path):
    with mllp_receiver() as gone:
        port = gone.port
    parts = open_parts(tmp_path, ris(port))
    job = finish_job(parts, tmp_path)
    counts = deliver_batch(
        parts.ledger.claim_deliveries("me"),
        ledger=parts.ledger,
        peers=parts.settings.peers,
        calling_ae_title="ONCONODE",
        settings=QUICK,
        owner="me",
    )
    assert counts.retried == 1
    (waiting,) = parts.ledger.deliveries(job.job_id)
    assert "no connection" in waiting.error
    with mllp_receiver() as receiver:
        parts.take_up(parts.settings.model_copy(update={"peers": (ris(receiver.port),)}))
        deliver_until(parts, job, JobState.DELIVERED)
    assert len(receiver.messages) == 1


@pytest.mark.parametrize("first", [(503, "text/plain", ""), (200, "text/html", "<html>")])
def test_a_fhir_server_that_is_not_ready_gets_it_later_and_once(tmp_path, first):
    with fhir_server(first) as server:
        parts = open_parts(tmp_path, Peer(name="records", fhir=Fhir(url=server.url)))
        deliver_until(parts, finish_job(parts, tmp_path), JobState.DELIVERED)
    assert len(server.requests) == 2
    assert len(server.resources) == 5
