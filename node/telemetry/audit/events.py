"""The events of a node as audit messages, each built as its section of PS3.15 A.5.3 has it."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from node.domain.code import Code
from node.telemetry.audit import codes
from node.telemetry.audit.message import (
    Action,
    AuditMessage,
    Outcome,
    Participant,
    ParticipantObject,
)

WITHHELD = "withheld"
"""In place of a Patient ID that is not known, or that the operator does not want recorded."""

SYSTEM_OBJECT = "2"
REPORT = "3"
SECURITY_RESOURCE = "13"


@dataclass(frozen=True, kw_only=True)
class StudyShare:
    """What of a study an event is about.

    Parameters
    ----------
    study_instance_uid : str
    instances : mapping of str to int
        SOP Class UID -> number of instances.
    patient_id : str
        Empty where it is not known or not to be recorded.
    """

    study_instance_uid: str
    instances: Mapping[str, int]
    patient_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Node:
    """The node as a participant.

    Parameters
    ----------
    ae_title : str
    process : str
        ``"listener"``, ``"worker"`` ...; the process id stands beside it.
    """

    ae_title: str
    process: str

    def participant(self, *, role: Code | None, is_requestor: bool) -> Participant:
        """Return it in a role."""
        return Participant(
            user_id=f"{os.getpid()}@{socket.gethostname()}/{self.process}",
            alternative_user_id=f"AETITLES={self.ae_title}",
            role=role,
            is_requestor=is_requestor,
            address=socket.gethostname(),
        )


def application_activity(node: Node, *, started: bool, by: str = "") -> AuditMessage:
    """The node starts or stops (PS3.15 A.5.3.1).

    Parameters
    ----------
    node : Node
    started : bool
    by : str, optional
        Who started it, as far as that is known: the user of the process.
    """
    launcher = (
        Participant(user_id=by, role=codes.APPLICATION_LAUNCHER, is_requestor=True) if by else None
    )
    application = node.participant(role=codes.APPLICATION, is_requestor=False)
    return AuditMessage(
        event=codes.APPLICATION_ACTIVITY,
        event_type=codes.APPLICATION_START if started else codes.APPLICATION_STOP,
        action=Action.EXECUTE,
        participants=(application,) if launcher is None else (application, launcher),
    )


def audit_log_used(node: Node, *, by: str, trail: str) -> AuditMessage:
    """Somebody reads the audit trail (PS3.15 A.5.3.2)."""
    return AuditMessage(
        event=codes.AUDIT_LOG_USED,
        action=Action.READ,
        participants=(
            Participant(user_id=by, is_requestor=True),
            node.participant(role=None, is_requestor=False),
        ),
        objects=(
            ParticipantObject(
                object_id=trail,
                name="Security Audit Log",
                id_type=codes.URI,
                type_code=SYSTEM_OBJECT,
                role=SECURITY_RESOURCE,
            ),
        ),
    )


def begin_transferring(
    *, source: Participant, destination: Participant, study: StudyShare
) -> AuditMessage:
    """A transfer begins (PS3.15 A.5.3.3)."""
    return AuditMessage(
        event=codes.BEGIN_TRANSFERRING,
        action=Action.EXECUTE,
        participants=(source, destination),
        objects=study_and_patient(study),
    )


def instances_transferred(
    *,
    source: Participant,
    destination: Participant,
    study: StudyShare,
    received: bool,
    failure: str = "",
) -> AuditMessage:
    """A transfer has ended (PS3.15 A.5.3.7); what failed has a message of its own.

    Parameters
    ----------
    source, destination : Participant
    study : StudyShare
    received : bool
        The node has got the instances; False: it has sent them.
    failure : str, optional
        Why these instances were not transferred; never patient text.
    """
    return AuditMessage(
        event=codes.INSTANCES_TRANSFERRED,
        action=Action.CREATE if received else Action.READ,
        outcome=Outcome.MINOR_FAILURE if failure else Outcome.SUCCESS,
        outcome_description=failure,
        participants=(source, destination),
        objects=study_and_patient(study),
    )


def instances_accessed(
    node: Node, *, study: StudyShare, by: Participant | None = None
) -> AuditMessage:
    """The node reads a study to analyse it, or a person looks at it (PS3.15 A.5.3.6)."""
    own = node.participant(role=None, is_requestor=by is None)
    return AuditMessage(
        event=codes.INSTANCES_ACCESSED,
        action=Action.READ,
        participants=(own,) if by is None else (by, own),
        objects=study_and_patient(study),
    )


def study_deleted(node: Node, *, study: StudyShare, reason: str) -> AuditMessage:
    """A study is removed from the node (PS3.15 A.5.3.8)."""
    return AuditMessage(
        event=codes.STUDY_DELETED,
        action=Action.DELETE,
        outcome_description=reason,
        participants=(node.participant(role=None, is_requestor=True),),
        objects=study_and_patient(study),
    )


def data_export(node: Node, *, by: str, to: str, study: StudyShare) -> AuditMessage:
    """Data leave the control of the node for a medium or a folder (PS3.15 A.5.3.4)."""
    return AuditMessage(
        event=codes.EXPORT,
        action=Action.READ,
        participants=(
            Participant(user_id=by, role=codes.SOURCE, is_requestor=True),
            node.participant(role=codes.SOURCE, is_requestor=False),
            Participant(user_id=to, role=codes.DESTINATION_MEDIA),
        ),
        objects=study_and_patient(study),
    )


def security_alert(
    node: Node,
    *,
    kind: Code,
    description: str,
    subject: str,
    subject_type: Code = codes.NODE_ID,
    peer: Participant | None = None,
    outcome: Outcome = Outcome.SERIOUS_FAILURE,
) -> AuditMessage:
    """Something that security staff should know (PS3.15 A.5.3.11).

    Parameters
    ----------
    node : Node
        Reports it.
    kind : Code
        ``codes.NODE_AUTHENTICATION`` for a refused association or a failed TLS handshake,
        ``codes.SOFTWARE_CONFIGURATION`` for a tampered bundle.
    description : str
        Free text for people; never patient text.
    subject : str
        Who or what it is about: AE title, address, bundle.
    subject_type : Code
    peer : Participant, optional
        Who did it.
    outcome : Outcome
    """
    reporter = node.participant(role=None, is_requestor=peer is None)
    return AuditMessage(
        event=codes.SECURITY_ALERT,
        event_type=kind,
        action=Action.EXECUTE,
        outcome=outcome,
        participants=(reporter,) if peer is None else (reporter, peer),
        objects=(
            ParticipantObject(
                object_id=subject or "unknown",
                name=subject or "unknown",
                id_type=subject_type,
                type_code=SYSTEM_OBJECT,
                details={"Alert Description": description},
            ),
        ),
    )


def user_authentication(node: Node, *, user: Participant) -> AuditMessage:
    """A person or a machine has proven to the node who it is (PS3.15 A.5.3.12).

    One that fails to is a security alert of the kind ``codes.NODE_AUTHENTICATION``.
    """
    return AuditMessage(
        event=codes.USER_AUTHENTICATION,
        event_type=codes.LOGIN,
        action=Action.EXECUTE,
        participants=(user, node.participant(role=None, is_requestor=False)),
    )


def study_and_patient(study: StudyShare) -> tuple[ParticipantObject, ...]:
    """Return a study and its patient as objects of a message."""
    return (
        ParticipantObject(
            object_id=study.study_instance_uid or "unknown",
            name="Study",
            id_type=codes.STUDY_INSTANCE_UID,
            type_code=SYSTEM_OBJECT,
            role=REPORT,
            instances=study.instances,
        ),
        ParticipantObject(
            object_id=study.patient_id or WITHHELD,
            name="Patient",
            id_type=codes.PATIENT_NUMBER,
            type_code="1",
            role="1",
        ),
    )
