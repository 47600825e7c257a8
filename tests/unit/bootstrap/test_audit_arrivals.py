"""What the audit trail tells of arrivals, refusals and deliveries."""

from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from factories_ledger import OBJECT_BYTES, add_job, queue_job
from factories_receive import STUDY, make_ct, write_file
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian

from node.bootstrap.audit_arrivals import LOGIN_EVERY_S, ReceivingAudit
from node.bootstrap.auditing import audit_deliveries, tell_access, tell_tampering
from node.bootstrap.parts import Parts
from node.config.settings import AuditSettings, Hl7, NodeSettings, Peer, Settings
from node.dicom.patient import read_patient_id
from node.domain.errors import SetupFault
from node.domain.report import Evidence, EvidenceKind
from node.domain.study import InstanceRef
from node.jobs.job import Delivery
from node.registry.bundle import load_bundle
from node.storage.associations import AssociationRecord, AssociationResult
from node.storage.instances import ReceivedInstance
from node.telemetry.audit.events import Node
from node.telemetry.audit.throttle import MAXIMUM_KINDS
from node.telemetry.audit.trail import AuditTrail
from node.telemetry.audit.verify import read_records

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def trail(tmp_path: Path) -> AuditTrail:
    return AuditTrail(
        tmp_path / "data",
        node=Node(ae_title="ONCONODE", process="listener"),
        settings=AuditSettings(),
    )


def told(trail: AuditTrail, event: str) -> list[ET.Element]:
    messages = [ET.fromstring(record["xml"]) for record in read_records(trail.folder)]
    return [m for m in messages if m.find("EventIdentification/EventID").get("csd-code") == event]


def arrival(path: Path, study: str = STUDY, sender: str = "CT1") -> ReceivedInstance:
    return ReceivedInstance(
        instance=InstanceRef(
            sop_instance_uid="1.9",
            sop_class_uid=CTImageStorage,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            path=path,
            sha256="x",
        ),
        study_instance_uid=study,
        series_instance_uid="1.8",
        modality="CT",
        calling_ae_title=sender,
        size_bytes=OBJECT_BYTES,
    )


def association(result: AssociationResult, sender: str = "CT1", **values) -> AssociationRecord:
    return AssociationRecord(
        token="t",
        listener="n",
        started_at=NOON,
        address="192.0.2.7",
        port=104,
        calling_ae_title=sender,
        result=result,
        **values,
    )


def counts(message: ET.Element) -> list[str]:
    return [each.get("NumberOfInstances") for each in message.iter("SOPClass")]


def ids(message: ET.Element) -> list[str]:
    objects = message.iter("ParticipantObjectIdentification")
    return [item.get("ParticipantObjectID") for item in objects]


def test_one_begin_and_one_end_for_each_study_of_an_association(trail, tmp_path):
    path = write_file(tmp_path / "1.dcm", make_ct(PatientID="PAT-1"))
    audit = ReceivingAudit(trail)
    audit.associated(association(AssociationResult.OPEN))
    for study, sender in (("1.1", "CT1"), ("1.1", "CT1"), ("1.2", "CT1"), ("1.1", "MR1")):
        audit.stored(arrival(path, study, sender))
    audit.associated(association(AssociationResult.RELEASED))  # an echo of the same sender
    audit.associated(association(AssociationResult.RELEASED, objects_stored=3))
    audit.close()
    assert [ids(message) for message in told(trail, "110102")] == [
        ["1.1", "PAT-1"],
        ["1.2", "PAT-1"],
        ["1.1", "PAT-1"],
    ]
    transferred = told(trail, "110104")
    assert [(ids(m)[0], counts(m)) for m in transferred] == [
        ("1.1", ["2"]),
        ("1.2", ["1"]),
        ("1.1", ["1"]),  # of MR1, whose association never ended: told when the listener stops
    ]
    source, destination = transferred[0].findall("ActiveParticipant")
    assert source.get("NetworkAccessPointID") == "192.0.2.7"
    assert destination.find("RoleIDCode").get("csd-code") == "110152"


def test_a_flood_of_refusals_is_told_of_once_a_minute(trail):
    now = [0.0]
    audit = ReceivingAudit(trail, clock=lambda: now[0])

    def refuse(count: int, **values) -> None:
        for _ in range(count):
            audit.associated(
                association(
                    AssociationResult.REJECTED, rejection="1/1/7", reason="called", **values
                )
            )

    refuse(500)
    refuse(1, sender="OTHER")
    audit._put(lambda: now.__setitem__(0, 61.0))
    refuse(1)
    audit.close()
    alerts = told(trail, "110113")
    assert len(alerts) == 3
    details = [
        b64decode(detail.get("value")).decode()
        for detail in alerts[-1].iter("ParticipantObjectDetail")
    ]
    assert details == ["association refused: called (499 more like it since the last alert)"]


def test_many_strangers_are_told_of_together(trail):
    audit = ReceivingAudit(trail, clock=lambda: 0.0)
    for i in range(MAXIMUM_KINDS + 50):
        audit.associated(association(AssociationResult.FAILED, sender=f"S{i}", reason="TLS"))
    audit.close()
    assert len(told(trail, "110113")) == MAXIMUM_KINDS + 1


def test_who_shows_a_certificate_is_told_of_once_an_hour_and_others_never(trail):
    now = [0.0]
    audit = ReceivingAudit(trail, clock=lambda: now[0])
    shown = {"certificate": "CN=ct1,O=Hospital", "tls": "TLSv1.3"}
    for _ in range(3):
        audit.associated(association(AssociationResult.OPEN, **shown))
        audit.associated(association(AssociationResult.RELEASED, **shown))
    audit.associated(association(AssociationResult.OPEN, **shown | {"certificate": "CN=mr1"}))
    audit.associated(association(AssociationResult.OPEN, tls="TLSv1.3"))  # anonymous
    audit.associated(association(AssociationResult.OPEN))
    audit._put(lambda: now.__setitem__(0, LOGIN_EVERY_S))
    audit.associated(association(AssociationResult.OPEN, **shown))
    audit.close()
    users = [message.find("ActiveParticipant") for message in told(trail, "110114")]
    assert [user.get("UserID") for user in users] == [
        "CN=ct1,O=Hospital",
        "CN=mr1",
        "CN=ct1,O=Hospital",
    ]
    assert users[0].get("AlternativeUserID") == "AETITLES=CT1"
    assert users[0].get("NetworkAccessPointID") == "192.0.2.7"


def test_patient_id_may_be_withheld(tmp_path):
    path = write_file(tmp_path / "1.dcm", make_ct(PatientID="PAT-1"))
    trail = AuditTrail(
        tmp_path / "data",
        node=Node(ae_title="N", process="listener"),
        settings=AuditSettings(patient_id=False),
    )
    audit = ReceivingAudit(trail)
    audit.stored(arrival(path))
    audit.close()
    assert "PAT-1" not in str(list(read_records(trail.folder)))
    assert ids(told(trail, "110102")[0]) == [STUDY, "withheld"]


def test_patient_id_is_read_as_far_as_it_is_and_no_further(tmp_path):
    assert read_patient_id(write_file(tmp_path / "a.dcm", make_ct(PatientID="P 1"))) == "P 1"
    assert read_patient_id(write_file(tmp_path / "b.dcm", make_ct(PatientID=None))) == ""
    deflated = write_file(tmp_path / "c.dcm", make_ct(), DeflatedExplicitVRLittleEndian)
    assert read_patient_id(deflated) == ""
    (tmp_path / "d.dcm").write_bytes(b"noise")
    assert read_patient_id(tmp_path / "d.dcm") == ""
    assert read_patient_id(tmp_path / "none.dcm") == ""
    cut = tmp_path / "e.dcm"
    cut.write_bytes((tmp_path / "a.dcm").read_bytes()[:-300])
    assert read_patient_id(cut) == "P 1"


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    node = NodeSettings(data_dir=tmp_path / "data")
    peer = Peer(name="pacs", ae_title="ARCHIVE", host="192.0.2.9")
    return Parts(settings=Settings(node=node, peers=(peer,)))


def test_deliveries_are_told_of_when_accepted_or_given_up_and_not_at_each_try(trail, parts):
    jobs = [add_job(parts, study, "sending") for study in ("1.1", "1.2", "1.3")]
    outcomes = iter(["accept", "give-up", "later"])

    def deliver(batch: list[Delivery]) -> None:
        for delivery in batch:
            match next(outcomes):
                case "accept":
                    parts.ledger.delivery_done(delivery.delivery_id, "o")
                case "give-up":
                    parts.ledger.delivery_failed(
                        delivery.delivery_id, "o", error="0xA900", retry=False
                    )
                case _:
                    parts.ledger.delivery_failed(
                        delivery.delivery_id, "o", error="0xA700", retry=True
                    )

    audit_deliveries(deliver, parts, trail)(parts.ledger.claim_deliveries("o"))
    messages = {ids(message)[0]: message for message in told(trail, "110104")}
    assert set(messages) == {"1.1", "1.2"}
    assert len(jobs) == 3
    outcome = [
        messages[study].find("EventIdentification").get("EventOutcomeIndicator")
        for study in ("1.1", "1.2")
    ]
    assert outcome == ["0", "4"]
    source, destination = messages["1.1"].findall("ActiveParticipant")
    assert source.get("UserIsRequestor") == "true"
    assert destination.get("UserID") == "ARCHIVE"


def test_a_message_that_was_taken_is_an_export_to_its_receiver(trail, tmp_path):
    receiver = Peer(name="ris", port=2575, hl7=Hl7())
    node = NodeSettings(data_dir=tmp_path / "data")
    parts = Parts(settings=Settings(node=node, peers=(receiver,)))
    job = queue_job(parts.ledger, "1.7", destinations=["ris"])
    parts.ledger.claim("w")
    message = Evidence(kind=EvidenceKind.ORU, path=tmp_path / "x.hl7", sop_instance_uid="2.25.1")
    parts.ledger.finish(job.job_id, "w", evidence=[message], result={})

    def deliver(batch: list[Delivery]) -> None:
        for delivery in batch:
            parts.ledger.delivery_done(delivery.delivery_id, "o")

    audit_deliveries(deliver, parts, trail)(parts.ledger.claim_deliveries("o"))
    assert told(trail, "110104") == []
    (export,) = told(trail, "110106")
    assert ids(export)[0] == "1.7"
    assert "ris" in {each.get("UserID") for each in export.findall("ActiveParticipant")}


def test_access_tells_the_series_of_the_job(trail, parts):
    tell_access(trail, parts, add_job(parts, "1.1", "queued"))
    (message,) = told(trail, "110103")
    assert ids(message)[0] == "1.1"
    assert counts(message) == ["1"]


def test_a_tampered_bundle_is_an_alert_and_another_fault_is_none(trail, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "node.registry.bundle.read_manifest",
        lambda _: type("M", (), {"files": {"a.bin": "0" * 64}, "name": "b", "version": "1"})(),
    )
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "a.bin").write_bytes(b"changed")
    with pytest.raises(SetupFault) as caught:
        load_bundle(tmp_path / "bundle")
    tell_tampering(trail, caught.value)
    (alert,) = told(trail, "110113")
    assert alert.find("EventIdentification/EventTypeCode").get("csd-code") == "110131"
    tell_tampering(trail, SetupFault("no such bundle"))
    assert len(told(trail, "110113")) == 1
