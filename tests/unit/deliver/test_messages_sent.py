"""Messages on real sockets: what counts as accepted, what is tried again, what is given up."""

import json
import ssl
from pathlib import Path

import pytest
from certificates import make_authority
from receivers import acknowledge, fhir_server, mllp_receiver

from node.config.settings import DeliverSettings, Fhir, Hl7, Peer
from node.deliver.addressees import addressees, messages_for
from node.deliver.fhir import send_bundles
from node.deliver.greeting import greet
from node.deliver.hl7_answer import NoAnswer, read_answer
from node.deliver.messages import address_bundle, address_oru
from node.deliver.mllp import MAXIMUM_ANSWER_BYTES, send_messages
from node.domain.errors import SetupFault, TryLater
from node.domain.report import Evidence, EvidenceKind
from node.domain.triage import Flag, RaisedFlag, Triage

SETTINGS = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5)
TEXT = (
    "MSH|^~\\&|ONCODE||||20260101000000+0000||ORU^R01^ORU_R01|C1|P|2.5.1||||||UNICODE UTF-8\r"
    "PID|1||P-1||王^小东\rOBR|1||F1|25056-3^MRI^LN\r"
)
BUNDLE = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {
            "fullUrl": "urn:uuid:818576ac-5c05-5c5b-8dcd-6a2e656280a5",
            "resource": {
                "resourceType": "ImagingStudy",
                "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
                "status": "available",
                "subject": {"type": "Patient", "identifier": {"value": "P-1"}},
            },
            "request": {
                "method": "POST",
                "url": "ImagingStudy",
                "ifNoneExist": "identifier=urn:dicom:uid%7Curn:oid:1.2.3",
            },
        }
    ],
}
RIS = Hl7(receiving_application="RIS", receiving_facility="RAD", assigning_authority="HOSP")


def ris(port: int, **changes: object) -> Peer:
    return Peer(name="ris", host="127.0.0.1", port=port, hl7=RIS, **changes)


@pytest.fixture
def message(tmp_path) -> Path:
    path = tmp_path / "brain_oru.hl7"
    path.write_bytes(TEXT.encode())
    return path


@pytest.fixture
def bundle(tmp_path) -> Path:
    path = tmp_path / "brain_fhir.json"
    path.write_text(json.dumps(BUNDLE))
    return path


def send(message: Path, *script: str | bytes, timeout_s: float = 5):
    settings = SETTINGS.model_copy(update={"dimse_timeout_s": timeout_s})
    with mllp_receiver(*script) as receiver:
        (outcome,) = send_messages([message], peer=ris(receiver.port), settings=settings)
    return outcome, receiver


def test_an_accepted_message_was_addressed(message):
    outcome, receiver = send(message)
    assert outcome.accepted
    (text,) = receiver.messages
    header, patient = (segment.split("|") for segment in text.split("\r")[:2])
    assert header[2:6] == ["ONCONODE", "", "RIS", "RAD"]
    assert header[9:11] == ["C1", "P"]
    assert patient[3] == "P-1^^^HOSP"
    assert patient[5] == "王^小东"


@pytest.mark.parametrize(
    ("answer", "accepted", "retry", "words"),
    [
        ("CA", True, False, "HL7 CA"),
        ("AE/ERR||PID^1^3|101^Required field missing^HL70357|E||||Jane Doe\r", False, False,
         "HL7 AE: 101 required field missing; at PID-1-3"),
        ("AE/ERR||OBR^1^2|204^Unknown key^HL70357|E\r", False, True, "204 unknown key"),
        ("AE/ERR|PID^1^5^102&Data type error\r", False, False, "102 data type error"),
        ("CE", False, False, "HL7 CE"),
        ("AR", False, True, "HL7 AR"),
        ("CR", False, True, "HL7 CR"),
        ("XX", False, True, "table 0008"),
        ("drop", False, True, "ended before the answer"),
        (acknowledge("AA", "C2"), False, True, "another message"),
        (b"\x0bMSH|^~\\&|RIS\r\x1c\r", False, True, "no MSA"),
        (b"HTTP/1.0 400 Bad Request\x1c\r", False, True, "no MLLP frame"),
        (b"\x0bGET\x1c\r", False, True, "no HL7 message"),
        (b"\x0b" + b"A" * MAXIMUM_ANSWER_BYTES, False, True, "more than 65536 bytes"),
    ],
)  # fmt: skip
def test_what_an_answer_means(message, answer, accepted, retry, words):
    outcome, _ = send(message, answer)
    assert (outcome.accepted, outcome.retry) == (accepted, retry)
    assert words in outcome.detail
    assert "Doe" not in outcome.detail  # free text may be about a patient


def test_a_late_answer_is_none(message):
    outcome, receiver = send(message, "silence", timeout_s=0.3)
    assert (outcome.accepted, outcome.retry) == (False, True)
    assert "too long" in outcome.detail
    assert len(receiver.messages) == 1


def test_nobody_there_is_for_later(message):
    with mllp_receiver() as receiver:
        port = receiver.port
    with pytest.raises(TryLater, match="no connection"):
        send_messages([message], peer=ris(port), settings=SETTINGS)


def test_a_file_that_is_gone_is_given_up(tmp_path):
    outcome, receiver = send(tmp_path / "gone.hl7")
    assert (outcome.accepted, outcome.retry) == (False, False)
    assert receiver.messages == []


def test_tls_with_certificates_on_both_sides(message, tmp_path):
    authority = make_authority(tmp_path / "tls")
    certificate, key = authority.issue("ris")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    own, own_key = authority.issue("node")
    files = {"tls": True, "tls_ca": authority.ca, "tls_certificate": own, "tls_key": own_key}
    with mllp_receiver(context=context) as receiver:
        (outcome,) = send_messages([message], peer=ris(receiver.port, **files), settings=SETTINGS)
        assert outcome.accepted
        other = make_authority(tmp_path / "other", "other")
        files["tls_ca"] = other.ca
        with pytest.raises(TryLater, match="certificate of the peer is not accepted"):
            send_messages([message], peer=ris(receiver.port, **files), settings=SETTINGS)
    assert len(receiver.messages) == 1


def test_an_answer_of_any_delimiters_is_read():
    answer = read_answer(b"MSH#$~\\&#RIS\nMSA#AA#C1\n", "C1")
    assert str(answer) == "HL7 AA"
    with pytest.raises(NoAnswer):
        read_answer(b"MSH", "C1")


def test_a_patient_id_keeps_its_authority():
    named = TEXT.replace("P-1", "P-1^^^LAB&1.2&ISO")
    assert "|P-1^^^LAB&1.2&ISO|" in address_oru(named, RIS)
    nobody = TEXT.replace("P-1", '""')
    assert '|""||' in address_oru(nobody, RIS)  # no number, so no authority
    assert address_bundle({"entry": []}, "urn:x") == {"entry": []}


def test_repetition_doubles_nothing_on_a_fhir_server(bundle, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    with fhir_server() as server:
        service = Fhir(url=server.url, token_file=str(token), patient_id_system="urn:oid:1.9")
        peer = Peer(name="records", fhir=service)
        outcomes = [send_bundles([bundle], peer=peer, settings=SETTINGS)[0] for _ in range(2)]
    assert [outcome.accepted for outcome in outcomes] == [True, True]
    assert len(server.resources) == 1
    (resource,) = server.resources.values()
    assert resource["subject"]["identifier"] == {"value": "P-1", "system": "urn:oid:1.9"}
    assert server.requests[0]["Authorization"] == "Bearer secret"
    assert server.requests[0]["Content-Type"].startswith("application/fhir+json")


OUTCOME = json.dumps(
    {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "required", "diagnostics": "Jane Doe",
                   "expression": ["Observation.code"]}],
    }
)  # fmt: skip
ODD = json.dumps({"issue": [{"code": "value", "expression": ["\ud800", "Jane Doe", "a.b[0]"]}]})
PARTLY = json.dumps({"resourceType": "Bundle", "type": "transaction-response", "entry": []})
FHIR_JSON = "application/fhir+json"


@pytest.mark.parametrize(
    ("answer", "retry", "words"),
    [
        ((422, FHIR_JSON, OUTCOME), False, "HTTP 422: required, Observation.code"),
        ((422, FHIR_JSON, ODD), False, "HTTP 422: value, a.b[0]"),
        ((404, "text/html", "no such page"), True, "HTTP 404"),
        ((412, FHIR_JSON, "{}"), False, "HTTP 412"),
        ((409, FHIR_JSON, OUTCOME), True, "HTTP 409"),
        ((200, "text/html", "<html>"), True, "text/html, no answer"),
        ((200, FHIR_JSON, PARTLY), True, "0 of 1 entries"),
        ((302, FHIR_JSON, ""), True, "no answer"),
        ((200, FHIR_JSON, "[" * 100_000), True, "no answer"),
        ((422, FHIR_JSON, "[" * 100_000), False, "HTTP 422"),
    ],
)
def test_what_a_fhir_server_answers(bundle, answer, retry, words):
    with fhir_server(answer) as server:
        peer = Peer(name="records", fhir=Fhir(url=server.url))
        (outcome,) = send_bundles([bundle], peer=peer, settings=SETTINGS)
    assert (outcome.accepted, outcome.retry) == (False, retry)
    assert words in outcome.detail
    assert "Doe" not in outcome.detail


@pytest.mark.parametrize("status", [401, 429, 503])
def test_what_time_may_mend_is_for_later(bundle, status):
    with fhir_server(status) as server:
        peer = Peer(name="records", fhir=Fhir(url=server.url))
        with pytest.raises(TryLater, match=str(status)):
            send_bundles([bundle], peer=peer, settings=SETTINGS)


def test_receivers_are_greeted():
    with mllp_receiver() as receiver:
        found, obstacle = greet(ris(receiver.port), SETTINGS)
        assert "connected" in found
        assert obstacle == ""
        assert receiver.messages == []
    with fhir_server() as server:
        peer = Peer(name="records", fhir=Fhir(url=server.url))
        assert greet(peer, SETTINGS)[0].startswith("FHIR 4.0.1 answered")
        assert greet(peer, SETTINGS)[1] == ""
        server.capabilities["rest"][0]["interaction"] = []
        assert "transactions" in greet(peer, SETTINGS)[1]
        server.capabilities["fhirVersion"] = "5.0.0"
        assert "not R4" in greet(peer, SETTINGS)[1]
        server.capabilities.update(fhirVersion="4.0.1", rest=["server"])
        with pytest.raises(SetupFault, match="cannot be read"):
            greet(peer, SETTINGS)
        server.capabilities.clear()
        with pytest.raises(SetupFault, match="no FHIR service"):
            greet(peer, SETTINGS)


def test_each_destination_gets_what_is_for_it():
    peers = {
        "pacs": Peer(name="pacs", ae_title="PACS"),
        "ris": ris(1),
        "alarm": Peer(name="alarm", port=1, hl7=Hl7(send="flagged")),
        "records": Peer(name="records", fhir=Fhir(url="http://h/r4")),
    }
    result = [
        Evidence(kind=kind, path=Path("x"), sop_instance_uid="1")
        for kind in (EvidenceKind.SR, EvidenceKind.ORU, EvidenceKind.FHIR)
    ]
    flag = RaisedFlag(flag=Flag.GROWING, lesion_number=1, reason="")

    def sent(triage: Triage) -> dict[str, list[str]]:
        goes_to = addressees(peers, triage)
        return {
            name: [each.kind.value for each in result if goes_to(name, each)]
            for name in [*peers, "unknown"]
        }

    quiet = {"pacs": ["sr"], "ris": ["oru"], "alarm": [], "records": ["fhir"], "unknown": ["sr"]}
    assert sent(Triage()) == quiet
    assert sent(Triage(raised=(flag,))) == quiet | {"alarm": ["oru"]}
    assert messages_for(peers.values()) == {EvidenceKind.ORU, EvidenceKind.FHIR}
    assert messages_for([peers["pacs"]]) == frozenset()
