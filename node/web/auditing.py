"""What the page tells the audit trail."""

from fastapi import Request

from node.domain.code import Code
from node.telemetry.audit import people
from node.telemetry.audit.message import Action, Participant
from node.web.services import services_of
from node.web.visitor import address_of, visitor_of


def person_of(request: Request) -> Participant:
    """Return who sent a request, for a message."""
    return people.person(visitor_of(request).name, address=address_of(request))


def tell_viewed(request: Request, study_instance_uid: str) -> None:
    """The user looks at a study."""
    services = services_of(request)
    trail = services.trail
    share = services.share(study_instance_uid)
    trail.record(people.study_viewed(trail.node, user=person_of(request), study=share))


def tell_changed(
    request: Request, study_instance_uid: str, what: str, *, action: Action = Action.UPDATE
) -> None:
    """The user has changed what becomes of a study; ``what`` never holds patient text."""
    services = services_of(request)
    trail = services.trail
    trail.record(
        people.work_changed(
            trail.node,
            user=person_of(request),
            study=services.share(study_instance_uid),
            what=what,
            action=action,
        )
    )


def tell_security(request: Request, kind: Code, subject: str, what: str) -> None:
    """The user has changed who may do what, or a setting."""
    trail = services_of(request).trail
    trail.record(
        people.security_changed(
            trail.node, user=person_of(request), kind=kind, subject=subject, what=what
        )
    )
