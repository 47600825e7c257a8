"""What the processes of a node tell the audit trail."""

import getpass
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from node.bootstrap.parts import Parts
from node.dicom.patient import read_patient_id
from node.domain.errors import SetupFault
from node.jobs.job import IN_PEER, Delivery, DeliveryState, Job
from node.jobs.open_work import OpenFile
from node.storage.anchors import note_anchor
from node.telemetry.audit import codes, events
from node.telemetry.audit.chain import HEAD, read_head
from node.telemetry.audit.events import Node, StudyShare
from node.telemetry.audit.message import Participant
from node.telemetry.audit.trail import FOLDER, AuditTrail

BUNDLE_CHANGED = "bundle-file"
"""Code of the problem that ``node.registry.bundle`` finds."""


def open_trail(parts: Parts, process: str) -> AuditTrail:
    """Return the audit trail as one process of the node writes it."""
    node = parts.settings.node
    return AuditTrail(
        node.data_dir,
        node=Node(ae_title=node.ae_title, process=process),
        settings=node.audit,
    )


def name_of_user() -> str:
    """Return who runs this process; a container may have no name for the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def note_audit_anchor(parts: Parts) -> None:
    """Keep the end of the trail in the database, which finds a trail that was cut short."""
    folder = parts.settings.node.data_dir / FOLDER
    if (folder / HEAD).exists():
        head = read_head(folder)
        note_anchor(parts.engine, number=head.number, sha256=head.sha256)


def share_of(
    trail: AuditTrail, study_instance_uid: str, instances: Mapping[str, int], sample: Path | None
) -> StudyShare:
    """Return what of a study an event is about, with its Patient ID where that is wanted."""
    wanted = trail.keeps_patient_id and sample is not None
    return StudyShare(
        study_instance_uid=study_instance_uid,
        instances=instances,
        patient_id=read_patient_id(sample) if wanted and sample is not None else "",
    )


def tell_tampering(trail: AuditTrail, fault: SetupFault) -> None:
    """Files of a bundle are not those that its manifest names: somebody has changed them."""
    lines = [line for line in str(fault).splitlines() if BUNDLE_CHANGED in line]
    if lines:
        alert = events.security_alert(
            trail.node,
            kind=codes.SOFTWARE_CONFIGURATION,
            description="\n".join(lines),
            subject="model bundle",
            subject_type=codes.URI,
        )
        trail.record(alert)


def tell_access(trail: AuditTrail, parts: Parts, job: Job) -> None:
    """A worker reads the series of a job."""
    received = [
        item
        for item in parts.store.received_of(job.study_instance_uid)
        if item.series_instance_uid in job.series_instance_uids
    ]
    counts = Counter(item.instance.sop_class_uid for item in received)
    sample = received[0].instance.path if received else None
    share = share_of(trail, job.study_instance_uid, counts, sample)
    trail.record(events.instances_accessed(trail.node, study=share))


def tell_export(trail: AuditTrail, files: Iterable[OpenFile], place: Path) -> None:
    """The user of this process takes objects out of the node's custody; one message a study."""
    by_study = defaultdict(list)
    for file in files:
        by_study[file.study_instance_uid].append(file)
    for study, of_study in sorted(by_study.items()):
        counts = Counter(file.sop_class_uid for file in of_study if file.sop_class_uid)
        share = share_of(trail, study, counts, of_study[0].path)
        trail.record(
            events.data_export(
                trail.node, by=name_of_user(), to=place.resolve().as_uri(), study=share
            )
        )


def audit_deliveries(
    deliver: Callable[[list[Delivery]], object], parts: Parts, trail: AuditTrail
) -> Callable[[list[Delivery]], object]:
    """Return a ``deliver`` that tells of what was sent, and of what was given up."""

    def deliver_and_tell(batch: list[Delivery]) -> object:
        before = {delivery.delivery_id for delivery in batch}
        result = deliver(batch)
        for job_id in sorted({delivery.job_id for delivery in batch}):
            try:
                study = parts.ledger.get(job_id).study_instance_uid
            except KeyError:  # another job took the delivery over, and this one was purged
                continue
            of_job = parts.ledger.deliveries(job_id)
            sent = [each for each in of_job if each.delivery_id in before]
            objects = [each for each in sent if each.sop_class_uid]
            _tell_sent(trail, parts, study, objects)
            if len(objects) < len(sent):
                sample = next((each.path for each in of_job if each.sop_class_uid), None)
                _tell_messages(trail, parts, study, sent, sample)
        return result

    return deliver_and_tell


def _tell_sent(trail: AuditTrail, parts: Parts, study: str, deliveries: list[Delivery]) -> None:
    failed = [each for each in deliveries if each.state is DeliveryState.FAILED]
    accepted = [each for each in deliveries if each.state in IN_PEER]
    for group, failure in ((accepted, ""), (failed, "given up")):
        for destination in sorted({each.destination for each in group}):
            of_peer = [each for each in group if each.destination == destination]
            counts = Counter(each.sop_class_uid for each in of_peer)
            share = share_of(trail, study, counts, of_peer[0].path)
            trail.record(
                events.instances_transferred(
                    source=trail.node.participant(role=codes.SOURCE, is_requestor=True),
                    destination=_destination(parts, destination),
                    study=share,
                    received=False,
                    failure=f"{failure}: {of_peer[0].error}" if failure else "",
                )
            )


def _tell_messages(
    trail: AuditTrail, parts: Parts, study: str, deliveries: list[Delivery], sample: Path | None
) -> None:
    """What a RIS or a FHIR server was told of a patient left the node's custody."""
    for each in deliveries:
        if not each.sop_class_uid and each.state in IN_PEER:
            to = _destination(parts, each.destination)
            share = share_of(trail, study, {}, sample)
            by = trail.node.participant(role=None, is_requestor=True).user_id
            trail.record(events.data_export(trail.node, by=by, to=to.user_id, study=share))


def _destination(parts: Parts, name: str) -> Participant:
    known = {peer.name: peer for peer in parts.settings.peers}
    peer = known.get(name)
    if peer is None:
        return Participant(user_id=name, role=codes.DESTINATION)
    return Participant(
        user_id=peer.title,
        alternative_user_id=f"AETITLES={peer.ae_title}" if peer.ae_title else "",
        role=codes.DESTINATION,
        address=peer.host,
    )
