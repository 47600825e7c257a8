"""What a person does at the page of the node, as audit messages."""

from collections.abc import Mapping

from node.domain.code import Code
from node.telemetry.audit import codes
from node.telemetry.audit.events import (
    REPORT,
    SYSTEM_OBJECT,
    WITHHELD,
    Node,
    StudyShare,
    instances_accessed,
    study_and_patient,
)
from node.telemetry.audit.message import (
    Action,
    AuditMessage,
    Outcome,
    Participant,
    ParticipantObject,
)

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def person(name: str, *, address: str) -> Participant:
    """Return a user of the page as the one who asked."""
    return Participant(user_id=name or "unknown", is_requestor=True, address=address)


def user_logged_in(node: Node, *, user: Participant, failure: str = "") -> AuditMessage:
    """A person logs in, or tries to (PS3.15 A.5.3.12)."""
    return _authentication(node, user, codes.LOGIN, failure)


def user_logged_out(node: Node, *, user: Participant) -> AuditMessage:
    """A person logs out (PS3.15 A.5.3.12)."""
    return _authentication(node, user, codes.LOGOUT, "")


def _authentication(node: Node, user: Participant, kind: Code, failure: str) -> AuditMessage:
    return AuditMessage(
        event=codes.USER_AUTHENTICATION,
        event_type=kind,
        action=Action.EXECUTE,
        outcome=Outcome.MINOR_FAILURE if failure else Outcome.SUCCESS,
        outcome_description=failure,
        participants=(user, node.participant(role=None, is_requestor=False)),
    )


def study_viewed(node: Node, *, user: Participant, study: StudyShare) -> AuditMessage:
    """A person looks at images or results of a study (PS3.15 A.5.3.6)."""
    return instances_accessed(node, study=study, by=user)


def studies_queried(
    node: Node, *, user: Participant, keys: Mapping[str, str], archive: str = ""
) -> AuditMessage:
    """A person looks for studies, here or in an archive (PS3.15 A.5.3.10).

    Parameters
    ----------
    node : Node
    user : Participant
    keys : mapping of str to str
        What is looked for; identifiers of patients only where the operator wants them recorded.
    archive : str
        AE title of the archive; empty: the node's own studies.
    """
    told = " ".join(f"{key}={value or WITHHELD}" for key, value in sorted(keys.items()))
    return AuditMessage(
        event=codes.QUERY,
        action=Action.EXECUTE,
        participants=(
            user,
            node.participant(role=codes.SOURCE, is_requestor=False),
            Participant(user_id=archive or node.ae_title, role=codes.DESTINATION),
        ),
        objects=(
            ParticipantObject(
                object_id=STUDY_ROOT_FIND,
                name="Study Root Query",
                id_type=codes.SOP_CLASS_UID,
                type_code=SYSTEM_OBJECT,
                role=REPORT,
                details={"Query": told or "all"},
            ),
        ),
    )


def data_imported(node: Node, *, user: Participant, objects: int, refused: int) -> AuditMessage:
    """A person brings objects into the node (PS3.15 A.5.3.5); the listener names their studies.

    Parameters
    ----------
    node : Node
    user : Participant
    objects, refused : int
        How many were stored, and how many were not.
    """
    return AuditMessage(
        event=codes.IMPORT,
        action=Action.CREATE,
        outcome=Outcome.MINOR_FAILURE if refused else Outcome.SUCCESS,
        outcome_description=f"{objects} stored, {refused} refused",
        participants=(
            user,
            node.participant(role=codes.DESTINATION, is_requestor=False),
            Participant(user_id="upload", role=codes.SOURCE_MEDIA),
        ),
    )


def work_changed(
    node: Node, *, user: Participant, study: StudyShare, what: str, action: Action = Action.UPDATE
) -> AuditMessage:
    """A person changes what becomes of a study: retry, cancel, feedback (PS3.15 A.5.3.15).

    Parameters
    ----------
    node : Node
    user : Participant
    study : StudyShare
    what : str
        In words; never patient text.
    action : Action
    """
    return AuditMessage(
        event=codes.PROCEDURE_RECORD,
        action=action,
        outcome_description=what,
        participants=(user, node.participant(role=None, is_requestor=False)),
        objects=study_and_patient(study),
    )


def security_changed(
    node: Node, *, user: Participant, kind: Code, subject: str, what: str
) -> AuditMessage:
    """A person changes who may do what, or a setting (PS3.15 A.5.3.11).

    Parameters
    ----------
    node : Node
    user : Participant
    kind : Code
        ``codes.ROLES_CHANGED``, ``codes.USER_CHANGED`` or ``codes.SOFTWARE_CONFIGURATION``.
    subject : str
        User or setting.
    what : str
        In words; never a password.
    """
    return AuditMessage(
        event=codes.SECURITY_ALERT,
        event_type=kind,
        action=Action.EXECUTE,
        participants=(user, node.participant(role=None, is_requestor=False)),
        objects=(
            ParticipantObject(
                object_id=subject,
                name=subject,
                id_type=codes.NODE_ID,
                type_code=SYSTEM_OBJECT,
                details={"Alert Description": what},
            ),
        ),
    )
