"""What the page tells the audit trail."""

from collections.abc import Collection, Mapping

from fastapi import Request

from node.domain.code import Code
from node.telemetry.audit import people
from node.telemetry.audit.message import Action, Participant
from node.web.looks import Looks
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
    _looks_of(request).note(visitor_of(request).name, study_instance_uid)


def tell_images_sent(request: Request, study_instance_uid: str) -> None:
    """The user gets pixels or outlines of a study: a look, where none is known of."""
    if not _looks_of(request).goes_on(visitor_of(request).name, study_instance_uid):
        tell_viewed(request, study_instance_uid)


def tell_queried(
    request: Request,
    keys: Mapping[str, str],
    *,
    about_patients: Collection[str],
    archive: str = "",
) -> None:
    """The user looks for studies.

    Parameters
    ----------
    request : Request
    keys : mapping of str to str
        What is looked for; those that are empty are left out.
    about_patients : collection of str
        Keys whose values are recorded only where the operator wants that.
    archive : str
        AE title of the archive; empty: the node's own studies.
    """
    trail = services_of(request).trail
    told = {
        key: value if trail.keeps_patient_id or key not in about_patients else ""
        for key, value in keys.items()
        if value
    }
    user = person_of(request)
    trail.record(people.studies_queried(trail.node, user=user, keys=told, archive=archive))


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


def _looks_of(request: Request) -> Looks:
    found = request.app.state.looks
    assert isinstance(found, Looks)
    return found
