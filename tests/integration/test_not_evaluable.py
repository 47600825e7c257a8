"""A study that a rule wants and that cannot be evaluated: the archive is told why, by a report."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories_arrival import receive
from pydicom import Dataset, dcmread
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from node.bootstrap.assembling import Assembler
from node.bootstrap.parts import Parts
from node.bootstrap.refusing import UntoldRejections, tell_of_rejected
from node.bootstrap.standing_in import ladder_of
from node.config.settings import (
    AssembleSettings,
    DeliverSettings,
    NodeSettings,
    Peer,
    RoutingRule,
    SeriesMatch,
    Settings,
)
from node.deliver.outbox import deliver_batch
from node.domain.errors import Problem, TryLater
from node.emulate.archive import Archive, Faults
from node.emulate.phantom import Flaw, write_case
from node.jobs.job import DeliveryState, Job
from node.jobs.state import JobState
from node.storage.clock import utc_now

MODELS = Path(__file__).resolve().parents[2] / "models"
QUICK = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5)


def make_parts(folder: Path, **peer: Any) -> Parts:
    options = {"name": "pacs", "ae_title": "PACS", "commitment": "off", **peer}
    rule = RoutingRule(
        name="mr",
        match=SeriesMatch(modality=("MR",)),
        bundle="brain-t1ce",
        destinations=("pacs", "elsewhere"),
    )
    node = NodeSettings(
        data_dir=folder / "data",
        models_dir=MODELS,
        assemble=AssembleSettings(quiet_time_s=0, incomplete_wait_s=0),
    )
    return Parts(settings=Settings(node=node, peers=(Peer(**options),), routing=(rule,)))


def refuse(parts: Parts, folder: Path, flaw: Flaw = Flaw.MIXED_ORIENTATION) -> Job:
    written = write_case("brain2", folder / "study", flaws=[flaw])
    uid = receive(parts, list(written.paths))
    Assembler(parts).tick()
    (job,) = parts.ledger.list(study=uid)
    assert job.state is JobState.REJECTED
    return job


def send(parts: Parts, archive: Archive) -> None:
    """Send what is due, three times: what falls goes in another form the next time."""
    peer = parts.settings.peer("pacs").model_copy(
        update={"ae_title": archive.ae_title, "port": archive.port}
    )
    for _ in range(3):
        deliver_batch(
            parts.ledger.claim_deliveries("outbox"),
            ledger=parts.ledger,
            peers=[peer],
            calling_ae_title="ONCONODE",
            settings=QUICK,
            owner="outbox",
            ladder=ladder_of(parts, "outbox"),
        )


def codes_of(sr: Dataset, name: str) -> list[str]:
    found = []
    for item in sr.get("ContentSequence", ()):
        names = item.get("ConceptNameCodeSequence")
        if names and names[0].get("CodeValue") == name:
            found.append(str(item.ConceptCodeSequence[0].CodeMeaning))
        found += codes_of(item, name)
    return found


def test_the_archive_is_told_once_and_the_job_stays_rejected(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    job = refuse(parts, tmp_path)
    with Archive(tmp_path / "archive") as archive:
        send(parts, archive)
        (receipt,) = archive.kept
        assert receipt.path is not None
        told = dcmread(receipt.path)
        assert told.StudyInstanceUID == job.study_instance_uid
        assert codes_of(told, "PRESENCE") == ["Not Evaluated"] * 2
        assert codes_of(told, "NOT_EVALUATED_BY") == ["Geometry of the images is no volume"]
        (delivery,) = parts.ledger.deliveries(job.job_id)
        assert (delivery.state, delivery.destination) == (DeliveryState.ACCEPTED, "pacs")

        # the archive routes it back to the node, and the modality sends the study again
        receive(parts, [receipt.path])
        Assembler(parts).tick()
        receive(parts, list((tmp_path / "study").iterdir()))
        Assembler(parts).tick()
        send(parts, archive)
        assert len(archive.receipts) == 1
    assert [each.job_id for each in parts.ledger.list()] == [job.job_id]
    assert parts.ledger.get(job.job_id).state is JobState.REJECTED


def test_an_archive_without_comprehensive_3d_gets_another_class(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    job = refuse(parts, tmp_path)
    faults = Faults(refuse_sop_classes=frozenset({str(Comprehensive3DSRStorage)}))
    with Archive(tmp_path / "archive", faults=faults) as archive:
        send(parts, archive)
        assert [each.sop_class_uid for each in archive.kept] == [str(ComprehensiveSRStorage)]
    states = {each.state for each in parts.ledger.deliveries(job.job_id)}
    assert states == {DeliveryState.REPLACED, DeliveryState.ACCEPTED}


@pytest.mark.parametrize(
    ("flaw", "options"),
    [(Flaw.LOCALIZER, {}), (Flaw.MIXED_ORIENTATION, {"not_evaluable": False})],
    ids=["no rule wants it", "the destination wants no such report"],
)
def test_nobody_is_told_of_what_nobody_wants(
    tmp_path: Path, flaw: Flaw, options: dict[str, bool]
) -> None:
    parts = make_parts(tmp_path, **options)
    job = refuse(parts, tmp_path, flaw)
    assert parts.ledger.deliveries(job.job_id) == []


def test_a_study_without_a_sequence_that_the_bundle_needs(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    (rule,) = parts.settings.routing
    asking = rule.model_copy(update={"bundle": "brain-multiseq"})
    parts = Parts(settings=parts.settings.model_copy(update={"routing": (asking,)}))
    uid = receive(parts, list(write_case("brain2", tmp_path / "study").paths))
    Assembler(parts).tick()
    (job,) = parts.ledger.list(study=uid)
    assert job.state is JobState.REJECTED
    (delivery,) = parts.ledger.deliveries(job.job_id)
    told = dcmread(delivery.path)
    assert codes_of(told, "NOT_EVALUATED_BY") == ["Not the images that are asked for"]


def test_what_cannot_be_reported_on_is_still_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("damaged")

    monkeypatch.setattr("node.report.not_evaluable.build_not_evaluable", fail)
    parts = make_parts(tmp_path)
    assert parts.ledger.deliveries(refuse(parts, tmp_path).job_id) == []


def test_a_worker_that_rejects_a_job_tells_it_too(tmp_path: Path) -> None:
    parts = make_parts(tmp_path)
    uid = receive(parts, list(write_case("brain2", tmp_path / "study").paths))
    Assembler(parts).tick()
    claimed = parts.ledger.claim("worker")
    assert claimed is not None
    problem = Problem(code="undecodable-pixels", found="x", expected="y", remedy="z", uid=uid)
    rejected = parts.ledger.reject(claimed.job_id, "worker", problems=[problem])
    tell_of_rejected(parts, rejected, [problem])
    (delivery,) = parts.ledger.deliveries(claimed.job_id)
    told = dcmread(delivery.path)
    assert codes_of(told, "NOT_EVALUATED_BY") == ["Images that cannot be read"]
    assert delivery.state is DeliveryState.PENDING

    parts.ledger.retry(claimed.job_id)  # a person has it done again: the report is withdrawn
    again = parts.ledger.claim("worker")
    assert again is not None
    parts.ledger.finish(again.job_id, "worker", evidence=(), result={})
    assert parts.ledger.claim_deliveries("outbox") == []


def test_a_worker_that_dies_between_rejecting_and_telling_costs_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a disk that is full just then."""
    parts = make_parts(tmp_path)
    uid = receive(parts, list(write_case("brain2", tmp_path / "study").paths))
    Assembler(parts).tick()
    claimed = parts.ledger.claim("worker")
    assert claimed is not None
    problem = Problem(code="undecodable-pixels", found="x", expected="y", remedy="z", uid=uid)
    parts.ledger.reject(claimed.job_id, "worker", problems=[problem])
    now = utc_now()
    untold = UntoldRejections(parts, now=lambda: now)
    assert untold.tick() == 0  # the worker may be about to tell
    now += timedelta(minutes=2)
    with monkeypatch.context() as patch:
        patch.setattr("node.bootstrap.refusing.keep_object", raise_try_later)
        assert untold.tick() == 0
    now += timedelta(minutes=2)
    assert untold.tick() == 1
    (delivery,) = parts.ledger.deliveries(claimed.job_id)
    assert codes_of(dcmread(delivery.path), "NOT_EVALUATED_BY") == ["Images that cannot be read"]
    job = parts.ledger.get(claimed.job_id)
    with pytest.raises(ValueError, match="to be sent"):  # the clean-up looked before
        parts.ledger.forget(job.job_id, unchanged_since=job.updated_at)
    now += timedelta(minutes=2)
    assert untold.tick() == 0


def raise_try_later(*_: object) -> None:
    raise TryLater("disk full")
