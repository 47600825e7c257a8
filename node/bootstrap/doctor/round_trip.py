"""Health proven by traffic: a sample study through the node's own port, and its results back."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from node.bootstrap.asking import archive_of
from node.bootstrap.doctor.own import own_listener
from node.bootstrap.doctor.sheet import PHANTOM, Line, Mark
from node.bootstrap.parts import Parts
from node.config.settings import NodeSettings, Peer
from node.deliver.c_store import send_objects
from node.domain.errors import OncoNodeError, SetupFault, TryLater
from node.emulate.marked_results import NOTICE, PATIENT_ID, PATIENT_NAME
from node.emulate.phantom import write_case
from node.jobs.job import Delivery, Job
from node.jobs.state import FINISHED, JobState
from node.query.found import Wanted
from node.receive.admission import is_within
from node.report.fault import ReportFault
from node.report.verify import decode_frames

CASE = "brain1"
LOOK_INTERVAL_S = 0.5
HEADERS = {
    "PatientName": PATIENT_NAME,
    "PatientID": PATIENT_ID,
    "AccessionNumber": "TEST",
    "StudyDescription": NOTICE,
    "InstitutionName": "TEST",
}

Progress = Callable[[str], None]
"""Takes what is waited for."""


def choose_sender(node: NodeSettings, peers: tuple[Peer, ...]) -> str:
    """Return an AE title by which this host may store at the node.

    Raises
    ------
    SetupFault
        If there is none.
    """
    if node.accept_unknown_peers:
        return "ONCODOCTOR"
    host = "127.0.0.1"
    for peer in peers:
        may_store = not peer.permissions or "store" in peer.permissions
        if may_store and is_within(host, peer.allowed_addresses):
            return peer.ae_title
    raise SetupFault("no peer may store from this host; name an AE title with --from")


def run_phantom(
    parts: Parts, *, sender: str, timeout_s: float, folder: Path, progress: Progress
) -> Iterator[Line]:
    """Send a sample study, wait for its job, and look for SEG and SR where they were sent.

    Parameters
    ----------
    parts : Parts
    sender : str
        AE title to send by; empty: ``choose_sender``.
    timeout_s : float
        For the job, until every destination has taken its results.
    folder : Path
        For the study, and for what comes back.
    progress : callable
    """
    settings = parts.settings
    peer = own_listener(settings)
    tried = f"sample case {CASE} as patient {PATIENT_ID}, C-STORE to the node's own port"
    if peer is None:
        yield _line("study sent", Mark.FAIL, tried, "node.yaml has port 0", "set a port")
        return
    progress("sending a sample study")
    series = write_case(CASE, folder / "study", orientation="axial", headers=HEADERS, fresh=True)
    try:
        title = sender or choose_sender(settings.node, settings.peers)
        outcomes = send_objects(
            series.paths, peer=peer, calling_ae_title=title, settings=settings.node.deliver
        )
    except (TryLater, SetupFault) as reason:
        remedy = "start the node, or see the line about the port; --from names a known sender"
        yield _line("study sent", Mark.FAIL, tried, str(reason), remedy)
        return
    refused = [each.detail for each in outcomes if not each.accepted]
    study = series.study_instance_uid
    if refused:
        found = f"{len(refused)} of {len(outcomes)} images were refused: {refused[0]}"
        yield _line("study sent", Mark.FAIL, tried, found, "onconode associations tells why")
        return
    found = f"{len(outcomes)} images accepted from {title}, study {study}"
    yield _line("study sent", Mark.PASS, tried, found)
    yield from _follow(parts, study, timeout_s=timeout_s, folder=folder, progress=progress)


def _follow(
    parts: Parts, study: str, *, timeout_s: float, folder: Path, progress: Progress
) -> Iterator[Line]:
    begun = time.monotonic()
    job = _wait(parts, study, deadline=begun + timeout_s, progress=progress)
    seconds = time.monotonic() - begun
    tried = f"the job of the study, for {timeout_s:g} s at most"
    if job is None:
        found = "no rule has taken it, or no process assembles studies"
        remedy = "onconode jobs list; a rule must take MR of the brain after contrast agent"
        yield _line("processed", Mark.FAIL, tried, found, remedy)
        return
    known = f"job {job.job_id[:8]}, rule {job.rule or 'none'}, bundle {job.bundle or 'none'}"
    if job.state is JobState.REJECTED:
        found = f"{known}: refused: {'; '.join(each.found for each in job.problems)}"
        yield _line("processed", Mark.FAIL, tried, found, f"onconode jobs show {job.job_id[:8]}")
        return
    deliveries = parts.ledger.deliveries(job.job_id)
    if job.state is not JobState.DELIVERED and not deliveries:
        found = f"{known}: {job.state.value} after {seconds:.0f} s {job.error}".rstrip()
        yield _line("processed", Mark.FAIL, tried, found, f"onconode jobs show {job.job_id[:8]}")
        return
    yield _line("processed", Mark.PASS, tried, f"{known}: results after {seconds:.0f} s")
    kinds = {each.kind for each in deliveries}
    if "sr" not in kinds:
        yield _line("results", Mark.FAIL, "the ledger", "there is no SR", "report this")
    if "seg" not in kinds:
        found = "no lesion was found, so there is no SEG; the sample case has one"
        yield _line("results", Mark.WARN, "the ledger", found, "onconode models verify")
    for delivery in deliveries:
        progress(f"reading back from {delivery.destination}")
        yield read_back(parts, study, delivery, folder / "back")


def _wait(parts: Parts, study: str, *, deadline: float, progress: Progress) -> Job | None:
    job = None
    while time.monotonic() < deadline:
        jobs = parts.ledger.list(study=study, limit=1)
        job = jobs[0] if jobs else None
        if job is not None and job.state in FINISHED:
            return job
        stage = (job.stage or job.state.value) if job else "the study to be complete"
        progress(f"waiting for {stage}")
        time.sleep(LOOK_INTERVAL_S)  # the ledger of another process; the deadline bounds this
    return job


def read_back(  # noqa: PLR0911 - one for each answer
    parts: Parts, study: str, delivery: Delivery, folder: Path
) -> Line:
    """Fetch a result from its destination, else find it there, else say what the ledger knows."""
    settings = parts.settings
    check = f"{delivery.kind.upper()} back"
    tried = f"{delivery.destination}: fetched, else found, else as in the ledger"
    if delivery.state.value == "replaced":
        found = f"refused: {delivery.error}; another form of it is sent"
        return _line(check, Mark.WARN, tried, found, f"onconode doctor {delivery.destination}")
    if delivery.state.value not in ("accepted", "found", "committed"):
        found = f"{delivery.state.value}: {delivery.error or 'not taken yet'}"
        remedy = f"onconode doctor {delivery.destination}"
        return _line(check, Mark.FAIL, tried, found, remedy)
    if not delivery.sop_class_uid:
        return _line(check, Mark.PASS, tried, "a message: accepted, says the ledger")
    ours = dcmread(delivery.path, stop_before_pixels=True)
    uid, series = delivery.sop_instance_uid, str(ours.SeriesInstanceUID)
    what = f"{delivery.kind.upper()} {uid} of patient {ours.PatientID}"
    peer = next((each for each in settings.peers if each.name == delivery.destination), None)
    if peer is None:
        return _line(check, Mark.FAIL, tried, "peers.yaml no longer has it", "put it back")
    archive = archive_of(settings, peer)
    wanted = Wanted(study_instance_uid=study, series_instance_uid=series, sop_instance_uids=(uid,))
    reasons = []
    try:
        fetched = archive.get(wanted, folder / peer.name)
        for path in fetched.paths:
            told = _read(path, delivery)
            mark = Mark.PASS if told else Mark.FAIL
            found = f"{what}: {told or 'came back as something else'}"
            return _stored(_line(check, mark, tried, found), uid)
        reasons.append("nothing came")
    except (OncoNodeError, OSError) as reason:
        reasons.append(str(reason).removeprefix(f"{peer.name}: "))
    try:
        held = {each.sop_instance_uid for each in archive.find_instances(study, series)}
    except OncoNodeError as reason:
        reasons.append(str(reason).removeprefix(f"{peer.name}: "))
        found = f"{what}: accepted, says the ledger ({'; '.join(reasons)})"
        return _stored(_line(check, Mark.PASS, tried, found), uid)
    if uid in held:
        found = f"{what}: found there ({'; '.join(reasons)})"
        return _stored(_line(check, Mark.PASS, tried, found), uid)
    remedy = "it accepted the object and does not show it: ask its operator"
    return _line(check, Mark.FAIL, tried, f"{what}: accepted, and not there", remedy)


def _read(path: Path, delivery: Delivery) -> str:
    """Read an object that came back; empty text if it is not what was sent."""
    try:
        dataset: Any = dcmread(path)
        if str(dataset.SOPInstanceUID) != delivery.sop_instance_uid:
            return ""
        if delivery.kind == "seg":
            return f"read back, {sum(1 for _ in decode_frames(dataset))} frames decoded"
        items = dataset.get("ContentSequence")
        return "read back" + (f", {len(items)} content items" if items is not None else "")
    except (InvalidDicomError, AttributeError, ValueError, OSError, ReportFault):
        return ""


def _stored(line: Line, uid: str) -> Line:
    return replace(line, stored=(uid,))


def _line(check: str, mark: Mark, tried: str, found: str, remedy: str = "") -> Line:
    return Line(about=PHANTOM, check=check, mark=mark, tried=tried, found=found, remedy=remedy)
