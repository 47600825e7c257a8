"""Every audit message of the node is valid by the schema of PS3.15 A.5.1."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from node.telemetry.audit import codes, events, people
from node.telemetry.audit.message import AuditMessage, Participant, encode_message

etree = pytest.importorskip("lxml.etree", reason="lxml is not installed")

SCHEMA = Path(__file__).with_name("audit_message.rng")
AT = datetime(2025, 3, 1, 13, 30, 0, 250000, tzinfo=timezone(timedelta(hours=1)))
NODE = events.Node(ae_title="ONCONODE", process="listener")
PEER = Participant(
    user_id="CT1", alternative_user_id="AETITLES=CT1", role=codes.SOURCE, address="192.0.2.7"
)
STUDY = events.StudyShare(
    study_instance_uid="1.2.3",
    instances={"1.2.840.10008.5.1.4.1.1.2": 3, "1.2.840.10008.5.1.4.1.1.4": 1},
    patient_id="PAT-1",
)
JANE = people.person("jane", address="192.0.2.7")
DESTINATION = NODE.participant(role=codes.DESTINATION, is_requestor=False)

MESSAGES: dict[str, tuple[AuditMessage, str]] = {
    "start": (events.application_activity(NODE, started=True, by="onconode"), "110100"),
    "stop": (events.application_activity(NODE, started=False), "110100"),
    "log-used": (events.audit_log_used(NODE, by="jane", trail="file:audit"), "110101"),
    "begin": (
        events.begin_transferring(source=PEER, destination=DESTINATION, study=STUDY),
        "110102",
    ),
    "accessed": (events.instances_accessed(NODE, study=STUDY), "110103"),
    "received": (
        events.instances_transferred(
            source=PEER, destination=DESTINATION, study=STUDY, received=True
        ),
        "110104",
    ),
    "not-sent": (
        events.instances_transferred(
            source=PEER,
            destination=DESTINATION,
            study=STUDY,
            received=False,
            failure="0xA700 out of resources",
        ),
        "110104",
    ),
    "deleted": (events.study_deleted(NODE, study=STUDY, reason="disk"), "110105"),
    "export": (events.data_export(NODE, by="jane", to="folder", study=STUDY), "110106"),
    "alert": (
        events.security_alert(
            NODE,
            kind=codes.NODE_AUTHENTICATION,
            description="association refused",
            subject="CT1",
            peer=PEER,
        ),
        "110113",
    ),
    "import": (
        people.data_imported(
            NODE, user=people.person("jane", address="192.0.2.7"), objects=3, refused=1
        ),
        "110107",
    ),
    "person-in": (people.user_logged_in(NODE, user=JANE), "110114"),
    "person-refused": (
        people.user_logged_in(NODE, user=JANE, failure="name or password wrong"),
        "110114",
    ),
    "person-out": (people.user_logged_out(NODE, user=JANE), "110114"),
    "person-looks": (people.study_viewed(NODE, user=JANE, study=STUDY), "110103"),
    "person-acts": (
        people.work_changed(NODE, user=JANE, study=STUDY, what="retry of job 1"),
        "110111",
    ),
    "person-rights": (
        people.security_changed(
            NODE, user=JANE, kind=codes.ROLES_CHANGED, subject="bert", what="role admin"
        ),
        "110113",
    ),
    "query": (
        people.studies_queried(
            NODE, user=people.person("jane", address="192.0.2.7"), keys={"PatientID": ""}
        ),
        "110112",
    ),
    "login": (
        events.user_authentication(
            NODE, user=Participant(user_id="CN=ct1", is_requestor=True, address="192.0.2.7")
        ),
        "110114",
    ),
}


@pytest.fixture(scope="module")
def schema():
    return etree.RelaxNG(etree.parse(str(SCHEMA)))


def encode(message: AuditMessage) -> str:
    return encode_message(message, source_id=NODE.ae_title, at=AT)


@pytest.mark.parametrize("name", MESSAGES)
def test_message_is_valid_and_has_its_event(name, schema):
    message, event = MESSAGES[name]
    document = etree.fromstring(encode(message))
    assert schema.validate(document), schema.error_log
    assert document.find("EventIdentification/EventID").get("csd-code") == event
    requestors = [
        p for p in document.iter("ActiveParticipant") if p.get("UserIsRequestor") == "true"
    ]
    assert len(requestors) <= 1  # A.5.2: not several


@pytest.mark.parametrize(
    ("path", "attribute"),
    [
        ("EventIdentification", "EventDateTime"),
        ("EventIdentification/EventID", "codeSystemName"),
        ("ActiveParticipant", "UserID"),
        ("ParticipantObjectIdentification", "ParticipantObjectID"),
    ],
)
def test_schema_sees_what_is_missing(path, attribute, schema):
    document = etree.fromstring(encode(MESSAGES["received"][0]))
    del document.find(path).attrib[attribute]
    assert not schema.validate(document)


def test_schema_sees_another_order(schema):
    document = etree.fromstring(encode(MESSAGES["received"][0]))
    document.append(document.find("ActiveParticipant"))
    assert not schema.validate(document)


def test_time_is_utc_and_study_has_class_counts_and_patient():
    root = ET.fromstring(encode(MESSAGES["received"][0]))
    at = root.find("EventIdentification").get("EventDateTime")
    assert datetime.fromisoformat(at) == AT
    assert datetime.fromisoformat(at).utcoffset() == UTC.utcoffset(None)
    study, patient = root.findall("ParticipantObjectIdentification")
    counts = {e.get("UID"): e.get("NumberOfInstances") for e in study.iter("SOPClass")}
    assert counts == {uid: str(n) for uid, n in STUDY.instances.items()}
    assert patient.get("ParticipantObjectID") == "PAT-1"


def test_hostile_names_stay_in_their_place(schema):
    """An AE title from the network may hold what it likes: no second element, one line."""
    hostile = 'A"/><X>\n\x00\x1b&\ud800'
    text = encode(
        events.security_alert(
            NODE,
            kind=codes.NODE_AUTHENTICATION,
            description=hostile,
            subject=hostile,
            peer=Participant(user_id=hostile),
        )
    )
    assert "\n" not in text
    document = etree.fromstring(text)
    assert schema.validate(document), schema.error_log
    assert not list(document.iter("X"))
    subject = document.find("ParticipantObjectIdentification").get("ParticipantObjectID")
    assert subject.startswith('A"/><X>')
