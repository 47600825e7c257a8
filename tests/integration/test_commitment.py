"""Proof of delivery between the node and an archive that plays every fault."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from factories_receive import (
    ROOT,
    listener_settings,
    make_ct,
    running_listener,
    wait_until,
    write_file,
)
from pydicom.uid import CTImageStorage

from node.bootstrap.parts import Parts
from node.bootstrap.proving import commitment_requests, commitment_service, proof_rounds
from node.config.settings import DeliverSettings, Peer, Settings
from node.deliver.commitment import request_commitment
from node.deliver.outbox import deliver_batch
from node.domain.report import Evidence, EvidenceKind
from node.emulate.archive import Archive, Faults
from node.emulate.commitment_desk import Commitment
from node.emulate.modality import send_files
from node.jobs import commitments, proofs
from node.jobs.commitment_requests import RequestState
from node.jobs.commitments import Transaction
from node.jobs.job import CommitmentState, Delivery
from node.jobs.ledger import Ledger
from node.jobs.state import JobState
from node.receive.commitment import CommitmentService

WAIT_S = 30.0
QUICK = DeliverSettings(
    acse_timeout_s=10,
    dimse_timeout_s=20,
    commitment_wait_s=5,
    retry_backoff_s=0.05,
    retry_backoff_maximum_s=0.1,
    maximum_losses=1,
)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask soon after the objects were accepted."""
    for module in (commitments, proofs):
        monkeypatch.setattr(module, "ASK_AFTER", timedelta(seconds=0.05))


@dataclass
class Sender:
    """A job whose results go to an archive, without the node around it."""

    parts: Parts
    job_id: str

    @property
    def ledger(self) -> Ledger:
        return self.parts.ledger

    def send(self) -> None:
        """Carry what is due, as the dispatcher does."""
        settings = self.parts.settings
        deliver_batch(
            self.ledger.claim_deliveries("d"),
            ledger=self.ledger,
            peers=settings.peers,
            calling_ae_title=settings.node.ae_title,
            settings=settings.node.deliver,
            owner="d",
        )

    def prove(self) -> None:
        """Ask for proof once it is due, and wait until that round has ended."""
        wait_until(self.ledger.destinations_to_prove, WAIT_S)
        prove, report = proof_rounds(self.parts)
        prove.tick()
        assert prove.close(timeout_s=WAIT_S)
        report.close(timeout_s=1)

    def resend(self) -> None:
        wait_until(self.ledger.due_destinations, WAIT_S)
        self.send()

    def deliveries(self) -> list[Delivery]:
        return self.ledger.deliveries(self.job_id)

    def states(self) -> list[str]:
        return [delivery.state.value for delivery in self.deliveries()]

    @property
    def state(self) -> JobState:
        return self.ledger.get(self.job_id).state


def make_sender(folder: Path, archive: Archive, *, objects: int = 2, **peer: object) -> Sender:
    settings = Settings(
        node=listener_settings().model_copy(update={"data_dir": folder, "deliver": QUICK}),
        peers=(Peer(name="pacs", ae_title=archive.ae_title, port=archive.port, **peer),),
    )
    return with_job(Parts(settings=settings), folder, objects=objects)


def with_job(parts: Parts, folder: Path, *, objects: int) -> Sender:
    job = parts.ledger.add_job(
        study_instance_uid=f"{ROOT}.1",
        series_instance_uids=[f"{ROOT}.2"],
        bundle="b",
        rule="r",
        destinations=["pacs"],
        calling_ae_title="M",
        content_digest="d",
    )
    parts.ledger.claim("w")
    evidence = [
        Evidence(
            kind=EvidenceKind.SEG,
            path=write_file(folder / "results" / f"{number}.dcm", make_ct(number)),
            sop_class_uid=CTImageStorage,
            sop_instance_uid=f"{ROOT}.3.{number}",
        )
        for number in range(1, objects + 1)
    ]
    parts.ledger.finish(job.job_id, "w", evidence=evidence, result={})
    return Sender(parts=parts, job_id=job.job_id)


@pytest.fixture
def prompt(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive", commitment=Commitment.SAME) as archive:
        yield archive


def test_committed_on_the_same_association(tmp_path: Path, prompt: Archive) -> None:
    sender = make_sender(tmp_path, prompt)
    sender.send()
    assert (sender.state, sender.states()) == (JobState.DELIVERED, ["accepted"] * 2)
    sender.prove()
    assert sender.states() == ["committed"] * 2
    assert [len(asked.objects) for asked in prompt.desk.asked] == [2]
    assert "committed" in [line.event for line in sender.ledger.events(sender.job_id)]


def test_accepted_and_lost_is_sent_again_and_then_committed(
    tmp_path: Path, prompt: Archive
) -> None:
    prompt.faults = Faults(lose=True, times=1)
    sender = make_sender(tmp_path, prompt)
    sender.send()
    sender.prove()
    assert sender.state is JobState.SENDING
    assert sorted(sender.states()) == ["committed", "pending"]
    sender.resend()
    sender.prove()
    assert sender.states() == ["committed"] * 2
    assert sender.state is JobState.DELIVERED
    assert sorted(prompt.counts().values()) == [1, 1], "none was stored twice"


def test_an_archive_that_always_loses_makes_a_dead_letter(tmp_path: Path, prompt: Archive) -> None:
    prompt.faults = Faults(lose=True)
    sender = make_sender(tmp_path, prompt, objects=1)
    sender.send()
    sender.prove()
    sender.resend()
    sender.prove()
    assert sender.state is JobState.FAILED
    job = sender.ledger.get(sender.job_id)
    assert "accepted and lost 2 times: commitment failed: 0x0112" in job.error
    prompt.faults = Faults()
    sender.ledger.retry(sender.job_id)
    sender.resend()
    sender.prove()
    assert (sender.state, sender.states()) == (JobState.DELIVERED, ["committed"])


def test_the_answer_comes_later_to_a_node_that_was_started_again(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive", commitment=Commitment.LATER) as archive:
        sender = make_sender(tmp_path, archive)
        quick = QUICK.model_copy(update={"commitment_wait_s": 0.1})
        settings = sender.parts.settings
        node = settings.node.model_copy(update={"deliver": quick})
        sender.parts = Parts(settings=settings.model_copy(update={"node": node}))
        sender.send()
        sender.prove()
        assert sender.states() == ["accepted"] * 2
        assert {d.commitment for d in sender.deliveries()} == {CommitmentState.ASKED}
        sender.parts = Parts(settings=sender.parts.settings)  # another process
        with running_listener(
            tmp_path / "listener", commitment=commitment_service(sender.parts)
        ) as running:
            (asked,) = archive.desk.asked
            assert archive.desk.report(asked, host="127.0.0.1", port=running.port) == 0
            assert sender.states() == ["committed"] * 2
            unknown = type(asked)(
                transaction_uid="2.25.1", objects=asked.objects, calling_ae_title="ONCONODE"
            )
            assert archive.desk.report(unknown, host="127.0.0.1", port=running.port) == 0x0115


@pytest.mark.parametrize(("lose", "state"), [(False, "found"), (True, "pending")])
def test_no_answer_in_time_is_decided_by_c_find(tmp_path: Path, lose: bool, state: str) -> None:
    with Archive(
        tmp_path / "archive", commitment=Commitment.NEVER, faults=Faults(lose=lose)
    ) as archive:
        sender = make_sender(tmp_path, archive, objects=1)
        quick = QUICK.model_copy(update={"commitment_wait_s": 0.1, "commitment_timeout_s": 0.2})
        settings = sender.parts.settings
        node = settings.node.model_copy(update={"deliver": quick})
        sender.parts = Parts(settings=settings.model_copy(update={"node": node}))
        sender.send()
        sender.prove()
        if sender.states() == ["accepted"]:  # the round ended before the answer was overdue
            sender.prove()
        assert sender.states() == [state]


@pytest.mark.parametrize(
    ("commitment", "state"), [("auto", "accepted"), ("require", "found"), ("off", "accepted")]
)
def test_without_the_service_objects_stay_accepted_or_are_looked_for(
    tmp_path: Path, commitment: str, state: str
) -> None:
    with Archive(tmp_path / "archive") as archive:
        sender = make_sender(tmp_path, archive, objects=1, commitment=commitment)
        sender.send()
        if commitment != "off":
            sender.prove()
        assert (sender.state, sender.states()) == (JobState.DELIVERED, [state])
        assert sender.ledger.destinations_to_prove() == []


def test_an_archive_that_cannot_tell_is_asked_again(tmp_path: Path, prompt: Archive) -> None:
    sender = make_sender(tmp_path, prompt, objects=1)
    prompt.desk.reasons = {f"{ROOT}.3.1": 0x0110}
    sender.send()
    sender.prove()
    assert sender.states() == ["accepted"]
    prompt.desk.reasons = {}
    sender.prove()
    assert sender.states() == ["committed"]


def test_an_archive_that_is_away_is_asked_later(tmp_path: Path, prompt: Archive) -> None:
    sender = make_sender(tmp_path, prompt, objects=1)
    sender.send()
    prompt.stop()
    sender.prove()
    (delivery,) = sender.deliveries()
    assert delivery.commitment is CommitmentState.WANTED
    assert "no connection" in delivery.commitment_detail
    prompt.start()
    sender.prove()
    assert sender.states() == ["committed"]


def make_node(folder: Path, *, peer_port: int = 1, answers: bool = True) -> Parts:
    node = listener_settings(answer_commitment=answers)
    return Parts(
        settings=Settings(
            node=node.model_copy(update={"data_dir": folder, "deliver": QUICK}),
            peers=(Peer(name="other", ae_title="OTHER", port=peer_port),),
        )
    )


def test_the_node_commits_to_what_it_holds_on_the_same_association(tmp_path: Path) -> None:
    """Node and node: ours as SCU and SCP of Storage Commitment."""
    holder = make_node(tmp_path / "holder")
    with running_listener(
        tmp_path / "spool", store=holder.store, commitment=commitment_service(holder)
    ) as running:
        settings = Settings(
            node=listener_settings().model_copy(
                update={"data_dir": tmp_path / "sender", "ae_title": "OTHER", "deliver": QUICK}
            ),
            peers=(Peer(name="pacs", ae_title="ONCONODE", port=running.port),),
        )
        sender = with_job(Parts(settings=settings), tmp_path, objects=3)
        sender.send()
        lost = running.store.find(f"{ROOT}.3.2")
        assert lost is not None
        lost.instance.path.unlink()
        sender.prove()
        assert sender.states() == ["committed", "pending", "committed"]
        (_, detail, _) = [d.commitment_detail for d in sender.deliveries()]
        assert detail == "commitment failed: 0x0112 no such object instance"


def test_the_node_reports_on_a_new_association_when_the_peer_has_left(tmp_path: Path) -> None:
    other = make_node(tmp_path / "other")
    settings = Settings(
        node=listener_settings().model_copy(
            update={"data_dir": tmp_path / "other", "ae_title": "OTHER"}
        )
    )
    heard = []

    def record(report):
        heard.append(report)
        return True

    asker = CommitmentService(
        requests=commitment_requests(other), held=lambda _: {}, record_report=record
    )
    with running_listener(tmp_path / "asker", settings=settings.node, commitment=asker) as asking:
        holder = make_node(tmp_path / "holder", peer_port=asking.port)
        with running_listener(
            tmp_path / "spool", store=holder.store, commitment=commitment_service(holder)
        ) as running:
            path = write_file(tmp_path / "1.dcm", make_ct(1))
            send_files([path], host="127.0.0.1", port=running.port, called_ae="ONCONODE")
            answered = request_commitment(
                Transaction(
                    transaction_uid="2.25.77",
                    destination="pacs",
                    objects=(
                        (CTImageStorage, f"{ROOT}.3.1"),
                        ("1.2.840.10008.5.1.4.1.1.4", f"{ROOT}.3.1"),
                        (CTImageStorage, f"{ROOT}.3.9"),
                    ),
                ),
                peer=Peer(name="pacs", ae_title="ONCONODE", port=running.port),
                calling_ae_title="OTHER",
                settings=QUICK.model_copy(update={"commitment_wait_s": 0}),
                record=record,
            )
            assert not answered
            requests = commitment_requests(holder)
            assert requests.state_of("OTHER", "2.25.77") == (RequestState.OPEN, "")
            _make_due(holder)
            prove, report = proof_rounds(holder)
            report.tick()
            assert report.close(timeout_s=WAIT_S)
            prove.close(timeout_s=1)
            assert requests.state_of("OTHER", "2.25.77")[0] is RequestState.REPORTED
    (said,) = heard
    assert said.failed == {f"{ROOT}.3.1": 0x0119, f"{ROOT}.3.9": 0x0112}


def _make_due(parts: Parts) -> None:
    with parts.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE commitment_requests SET not_before = '2020-01-01 00:00:00.000000'"
        )


def test_a_peer_without_address_is_told_of(tmp_path: Path) -> None:
    requests = commitment_requests(make_node(tmp_path))
    requests.add(
        calling_ae_title="STRANGER", transaction_uid="2.25.5", objects=[(CTImageStorage, "1.2")]
    )
    parts = make_node(tmp_path)
    _make_due(parts)
    prove, report = proof_rounds(parts)
    report.tick()
    assert report.close(timeout_s=WAIT_S)
    prove.close(timeout_s=1)
    state, error = requests.state_of("STRANGER", "2.25.5")
    assert state is RequestState.GIVEN_UP
    assert "no address of STRANGER" in error
