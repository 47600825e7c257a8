"""What a peer takes, whether it keeps what it took, and whether it promises to."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from uuid import uuid4

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.presentation import build_context

from node.bootstrap.asking import archive_of
from node.bootstrap.doctor.reach import bounded
from node.bootstrap.doctor.sheet import Line, Mark
from node.config.settings import Peer, Settings
from node.deliver.association import NothingAccepted, open_association
from node.deliver.c_echo import VERIFICATION
from node.deliver.c_store import send_objects
from node.deliver.commitment import CommitmentUnsupported, request_commitment
from node.deliver.ladder import CLASS_OF_FORM, NOTHING, rungs_for
from node.deliver.stow import store_objects
from node.deliver.web_client import WebRefused
from node.domain.commitment import CommitmentReport
from node.domain.errors import SetupFault, TryLater
from node.emulate.marked_results import PATIENT_ID, MarkedResults
from node.jobs.commitments import Transaction
from node.query.found import QueryRefused
from node.storage.negotiations import PeerSyntax

ASKED_CLASSES = tuple(CLASS_OF_FORM.values())
ASKED_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
FIND_TIMEOUT_S = 15.0
"""Archives that index late show an object only some seconds after they accepted it."""
LOOK_INTERVAL_S = 0.5

AnswerCame = Callable[[float], str]
"""Takes how many seconds it may wait; returns how the answer came in elsewhere, or empty."""


def check_negotiation(peer: Peer, settings: Settings, *, gets_results: bool) -> Line:
    """Propose every form of a result, each syntax in a context of its own, and send nothing."""
    tried = "an association that proposes SEG, SR and what may stand in for them"
    answers: list[PeerSyntax] = []
    contexts = [build_context(each, str(one)) for each in ASKED_CLASSES for one in ASKED_SYNTAXES]
    try:
        with open_association(
            peer,
            contexts=[build_context(VERIFICATION), *contexts],
            calling_ae_title=settings.node.ae_title,
            settings=bounded(settings.node.deliver),
            on_negotiated=lambda _name, told: answers.extend(told),
        ):
            pass
    except NothingAccepted:
        pass
    except TryLater as reason:
        return _line(peer, "negotiation", Mark.FAIL, tried, _said(peer, reason), "see C-ECHO")
    taken = {
        each: [UID(a.transfer_syntax_uid).name for a in answers if a.accepted and _is(a, each)]
        for each in ASKED_CLASSES
    }
    found = "; ".join(
        f"{_name(each)}: {', '.join(syntaxes) or 'refused'}" for each, syntaxes in taken.items()
    )
    if not gets_results:
        return _line(peer, "negotiation", Mark.SKIP, tried, found)
    accepted = {form for form, uid in CLASS_OF_FORM.items() if taken[uid]}
    forms = [_first_rung(peer, form, accepted) for form in ("seg", _sr_form(settings))]
    if None in forms:
        kind = "SR" if forms[0] is not None else "SEG, nor anything that stands in for it"
        remedy = f"have its operator allow it from us: it takes no {kind}"
        return _line(peer, "negotiation", Mark.FAIL, tried, found, remedy)
    lesser = [" and ".join(rung) for rung, is_first in filter(None, forms) if not is_first]
    if lesser:
        remedy = f"{' and '.join(lesser)} will be sent instead; have its operator allow the rest"
        return _line(peer, "negotiation", Mark.WARN, tried, found, remedy)
    return _line(peer, "negotiation", Mark.PASS, tried, found)


def _sr_form(settings: Settings) -> str:
    return "comprehensive" if settings.node.report.comprehensive_sr else "comprehensive_3d"


def _first_rung(
    peer: Peer, form: str, accepted: Collection[str]
) -> tuple[Sequence[str], bool] | None:
    """Return the first rung of the ladder that a peer takes, and whether it is the wanted one."""
    rungs = rungs_for(peer, form)
    begin = next((n for n, rung in enumerate(rungs) if rung[0] == form), 0)
    for number, rung in enumerate(rungs[begin:]):
        if rung == (NOTHING,) or rung[0] in accepted:
            return rung, number == 0
    return None


def check_store(peer: Peer, settings: Settings, results: MarkedResults) -> Line:
    """Send the marked SEG and SR as results are sent."""
    by_web = peer.dicomweb is not None and peer.dicomweb.store
    tried = f"a SEG and an SR, patient {PATIENT_ID}, by {'STOW-RS' if by_web else 'C-STORE'}"
    deliver = bounded(settings.node.deliver)
    try:
        if by_web:
            outcomes = store_objects(results.paths, peer=peer, settings=deliver)
        else:
            outcomes = send_objects(
                results.paths,
                peer=peer,
                calling_ae_title=settings.node.ae_title,
                settings=deliver,
            )
    except (TryLater, SetupFault) as reason:
        remedy = "see the lines above"
        return _line(peer, "store", Mark.FAIL, tried, _said(peer, reason), remedy)
    stored = tuple(each.sop_instance_uid for each in outcomes if each.accepted)
    told = "; ".join(
        f"{kind}: {each.detail}" for kind, each in zip(("SEG", "SR"), outcomes, strict=True)
    )
    place = f"; it holds {len(stored)} test objects in study {results.study_instance_uid}"
    return Line(
        about=peer.name,
        check="store",
        mark=Mark.PASS if len(stored) == len(outcomes) else Mark.FAIL,
        tried=tried,
        found=told + (place if stored else ""),
        remedy="" if len(stored) == len(outcomes) else "ask its operator why, by status and time",
        stored=stored,
    )


def check_found(
    peer: Peer, settings: Settings, results: MarkedResults, stored: Sequence[str]
) -> Line:
    """Ask for the objects that were stored, again and again for a while."""
    by_web = peer.dicomweb is not None and peer.dicomweb.query
    tried = f"{'QIDO-RS' if by_web else 'C-FIND at image level'} for what was stored"
    node = settings.node.model_copy(update={"deliver": bounded(settings.node.deliver)})
    archive = archive_of(settings.model_copy(update={"node": node}), peer)
    wanted = {
        str(each.SOPInstanceUID): str(each.SeriesInstanceUID)
        for each in results.datasets
        if str(each.SOPInstanceUID) in stored
    }
    held: set[str] = set()
    deadline = time.monotonic() + FIND_TIMEOUT_S
    try:
        while True:
            for series in {wanted[uid] for uid in wanted if uid not in held}:
                found = archive.find_instances(results.study_instance_uid, series)
                held.update(each.sop_instance_uid for each in found)
            if held.issuperset(wanted) or time.monotonic() > deadline:
                break
            time.sleep(LOOK_INTERVAL_S)  # another system's index; the deadline bounds this
    except QueryRefused as reason:
        remedy = "allow this node to query, if proof of delivery is wanted without commitment"
        return _line(peer, "found again", Mark.WARN, tried, _said(peer, reason), remedy)
    except TryLater as reason:
        remedy = "ask the peer's operator"
        return _line(peer, "found again", Mark.FAIL, tried, _said(peer, reason), remedy)
    missing = [uid for uid in wanted if uid not in held]
    if missing:
        found_text = f"{len(missing)} of {len(wanted)} are not there after {FIND_TIMEOUT_S:g} s"
        remedy = "the peer accepted them and does not show them: ask its operator where they are"
        return _line(peer, "found again", Mark.FAIL, tried, found_text, remedy)
    return _line(peer, "found again", Mark.PASS, tried, f"all {len(wanted)} are there")


def check_commitment(  # noqa: PLR0911 - one for each answer
    peer: Peer,
    settings: Settings,
    results: MarkedResults,
    stored: Sequence[str],
    *,
    answer_came: AnswerCame,
    wait_s: float,
) -> Line:
    """Ask the peer to commit to what it stored."""
    check, tried = "commitment", "Storage Commitment (N-ACTION) for what was stored"
    if peer.commitment == "off":
        return _line(peer, check, Mark.SKIP, "peers.yaml", "commitment is off for this peer")
    if peer.dicomweb is not None and peer.dicomweb.store:
        return _line(peer, check, Mark.SKIP, "peers.yaml", "STOW-RS has no commitment")
    reports: list[CommitmentReport] = []
    transaction = Transaction(
        transaction_uid=f"2.25.{uuid4().int}",
        destination=peer.name,
        objects=tuple(
            (str(each.SOPClassUID), str(each.SOPInstanceUID))
            for each in results.datasets
            if str(each.SOPInstanceUID) in stored
        ),
    )

    def take(report: CommitmentReport) -> bool:
        reports.append(report)
        return report.transaction_uid == transaction.transaction_uid

    needs_it = peer.commitment == "require"
    try:
        request_commitment(
            transaction,
            peer=peer,
            calling_ae_title=settings.node.ae_title,
            settings=bounded(settings.node.deliver),
            record=take,
        )
    except CommitmentUnsupported as reason:
        mark = Mark.FAIL if needs_it else Mark.WARN
        remedy = "have it switched on for this node, or set commitment: off in peers.yaml"
        return _line(peer, check, mark, tried, str(reason), remedy)
    except TryLater as reason:
        return _line(peer, check, Mark.FAIL, tried, _said(peer, reason), "ask its operator")
    if not reports:
        how = answer_came(wait_s)
        if how:
            return _line(peer, check, Mark.PASS, tried, how)
        found = f"the request was taken; no answer within {wait_s:g} s, it may come hours later"
        remedy = "the peer must know this node's AE title, host and port, and the node must run"
        return _line(peer, check, Mark.WARN, tried, found, remedy)
    report = reports[-1]
    if report.failed or not report.committed.issuperset(stored):
        reasons = ", ".join(sorted({f"0x{code:04X}" for code in report.failed.values()}))
        found = (
            f"not committed to {len(stored) - len(report.committed)} of {len(stored)}: {reasons}"
        )
        remedy = "the peer accepted what it does not promise to keep: ask its operator"
        return _line(peer, check, Mark.FAIL, tried, found, remedy)
    return _line(peer, check, Mark.PASS, tried, f"committed to all {len(stored)}")


def check_web(peer: Peer, settings: Settings) -> Iterator[Line]:
    """Ask the web services for a study that cannot be there."""
    if peer.dicomweb is None:
        return
    tried = f"QIDO-RS at {peer.dicomweb.url}"
    if not peer.dicomweb.query:
        yield _line(peer, "DICOMweb", Mark.SKIP, "peers.yaml", "query is false: only STOW-RS")
        return
    try:
        archive_of(settings, peer).find_series(f"2.25.{uuid4().int}")
    except (TryLater, QueryRefused, WebRefused, SetupFault) as reason:
        remedy = "compare url, username, secrets and ca_file in peers.yaml with the peer's"
        yield _line(peer, "DICOMweb", Mark.FAIL, tried, _said(peer, reason), remedy)
    else:
        yield _line(peer, "DICOMweb", Mark.PASS, tried, "answered")


def _is(answer: PeerSyntax, sop_class_uid: str) -> bool:
    return answer.sop_class_uid == sop_class_uid


def _name(sop_class_uid: str) -> str:
    return UID(sop_class_uid).name.removesuffix(" Storage")


def _said(peer: Peer, reason: Exception) -> str:
    return str(reason).removeprefix(f"{peer.name}: ")


def _line(  # noqa: PLR0917 - the columns of the sheet, in their order
    peer: Peer, check: str, mark: Mark, tried: str, found: str, remedy: str = ""
) -> Line:
    return Line(about=peer.name, check=check, mark=mark, tried=tried, found=found, remedy=remedy)
