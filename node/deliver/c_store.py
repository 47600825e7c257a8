"""C-STORE as SCU: a batch to one peer, an outcome for each object."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pydicom.filereader import read_file_meta_info
from pynetdicom import _config
from pynetdicom.association import Association

from node.config.settings import DeliverSettings, Peer
from node.deliver.association import NothingAccepted, open_association
from node.deliver.calling import OnNegotiated
from node.deliver.status import (
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    Verdict,
    rule_of,
)
from node.deliver.syntaxes import CannotTranscode, choose, propose, transcode
from node.dicom.damage import DAMAGED
from node.jobs.job import UNREADABLE

log = structlog.get_logger()

_config.STORE_SEND_CHUNKED_DATASET = True  # files go from disk to socket, unread


@dataclass(frozen=True, kw_only=True)
class SendOutcome:
    """What became of one object.

    Parameters
    ----------
    path : Path
    sop_instance_uid : str
        Empty if the file could not be read.
    status : int
        Answer of the peer, or the status that stands for why there was none.
    accepted : bool
        The peer has it now.
    retry : bool
        Another attempt may succeed.
    detail : str
        For people; no patient text.
    refused : bool
        The peer does not take such an object, now or later; it may take another form of it.
    """

    path: Path
    sop_instance_uid: str
    status: int
    accepted: bool
    retry: bool
    detail: str
    refused: bool = False


@dataclass(frozen=True, kw_only=True)
class _Outgoing:
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def log_outcome(peer: Peer, outcome: SendOutcome) -> None:
    """Write one object's outcome to the log."""
    log.info(
        "object.sent" if outcome.accepted else "object.refused",
        peer=peer.name,
        sop_instance_uid=outcome.sop_instance_uid,
        status=f"0x{outcome.status:04X}",
        retry=outcome.retry,
        detail=outcome.detail,
    )


def send_objects(
    paths: Sequence[Path],
    *,
    peer: Peer,
    calling_ae_title: str,
    settings: DeliverSettings,
    on_outcome: Callable[[SendOutcome], None] = lambda _: None,
    on_negotiated: OnNegotiated | None = None,
    wanted: Callable[[Path], bool] = lambda _: True,
    also_propose: Sequence[str] = (),
) -> tuple[SendOutcome, ...]:
    """Send files over one association.

    Objects are transcoded, without loss, only when the peer does not take the transfer syntax that
    they are stored in; see ``syntaxes``.

    Parameters
    ----------
    paths : sequence of Path
        DICOM Part 10 files.
    peer : Peer
    calling_ae_title : str
    settings : DeliverSettings
    on_outcome : callable
        Called with each outcome as soon as it is known: whoever keeps a ledger writes it down
        before the next object leaves, so that a crash repeats one object and not the batch.
    on_negotiated : callable, optional
        Told what the peer accepted and refused.
    wanted : callable
        Asked just before an object leaves, whether it is to be sent still.
    also_propose : sequence of str
        SOP classes of which ``on_negotiated`` shall hear, too.

    Returns
    -------
    tuple of SendOutcome
        One for each path that was wanted, in order. A lost association leaves the rest to be
        retried.

    Raises
    ------
    TryLater
        If there is no association: nothing was sent.
    """
    outcomes: dict[Path, SendOutcome] = {}

    def note(outcome: SendOutcome) -> None:
        outcomes[outcome.path] = outcome
        log_outcome(peer, outcome)
        on_outcome(outcome)

    readable: list[_Outgoing] = []
    for path in dict.fromkeys(paths):
        try:
            readable.append(_peek(path))
        except DAMAGED as error:
            problem = f"{UNREADABLE}: {type(error).__name__}"
            note(_failed(path, "", PROCESSING_FAILURE, False, problem))
    if readable:
        try:
            with open_association(
                peer,
                contexts=propose(
                    ((each.sop_class_uid, each.transfer_syntax_uid) for each in readable),
                    also=also_propose,
                ),
                calling_ae_title=calling_ae_title,
                settings=settings,
                on_negotiated=on_negotiated,
            ) as association:
                for outgoing in readable:
                    if wanted(outgoing.path):
                        note(_send(association, outgoing))
        except NothingAccepted:
            for outgoing in readable:
                if wanted(outgoing.path):
                    note(_refused(outgoing))
    return tuple(outcomes[path] for path in paths if path in outcomes)


def _peek(path: Path) -> _Outgoing:
    meta = read_file_meta_info(path)
    return _Outgoing(
        path=path,
        sop_class_uid=str(meta.MediaStorageSOPClassUID),
        sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
        transfer_syntax_uid=str(meta.TransferSyntaxUID),
    )


def _send(association: Association, outgoing: _Outgoing) -> SendOutcome:
    if not association.is_established:
        return _lost(outgoing)
    accepted = {
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if context.abstract_syntax == outgoing.sop_class_uid
    }
    syntax = choose(outgoing.sop_class_uid, outgoing.transfer_syntax_uid, accepted)
    if syntax is None:
        return _refused(outgoing)
    is_as_stored = syntax == outgoing.transfer_syntax_uid
    try:
        # A path sends the very bytes.
        content = outgoing.path if is_as_stored else transcode(outgoing.path, syntax)
        answer = association.send_c_store(content)
    except CannotTranscode as error:
        return _refused(outgoing, f"; it cannot be transcoded: {error}")
    except RuntimeError:  # pynetdicom: the association ended between the check and the call
        return _lost(outgoing)
    except DAMAGED as error:
        problem = f"{UNREADABLE}: {type(error).__name__}"
        uid = outgoing.sop_instance_uid
        return _failed(outgoing.path, uid, PROCESSING_FAILURE, False, problem)
    return _answered(outgoing, int(answer.Status)) if "Status" in answer else _lost(outgoing)


def _answered(outgoing: _Outgoing, status: int) -> SendOutcome:
    rule = rule_of(status)
    return SendOutcome(
        path=outgoing.path,
        sop_instance_uid=outgoing.sop_instance_uid,
        status=status,
        accepted=rule.verdict is Verdict.ACCEPTED,
        retry=rule.verdict is Verdict.RETRY,
        detail=f"0x{status:04X} {rule.meaning}",
        refused=rule.verdict is Verdict.GIVE_UP,
    )


def _refused(outgoing: _Outgoing, why: str = "") -> SendOutcome:
    detail = "the peer takes no presentation context for this SOP class and transfer syntax" + why
    uid = outgoing.sop_instance_uid
    outcome = _failed(outgoing.path, uid, SOP_CLASS_NOT_SUPPORTED, False, detail)
    return replace(outcome, refused=True)


def _lost(outgoing: _Outgoing) -> SendOutcome:
    detail = "association lost, or no answer in time"
    return _failed(outgoing.path, outgoing.sop_instance_uid, PROCESSING_FAILURE, True, detail)


def _failed(path: Path, uid: str, status: int, retry: bool, detail: str) -> SendOutcome:
    return SendOutcome(
        path=path,
        sop_instance_uid=uid,
        status=status,
        accepted=False,
        retry=retry,
        detail=detail,
    )
