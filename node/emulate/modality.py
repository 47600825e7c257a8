"""A modality that sends: C-STORE SCU with the contexts of its own files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import PresentationContext

from node.deliver.checkpoint import hold_reactor_for_answers
from node.domain.errors import TryLater

_MAXIMUM_CONTEXTS = 128
_config.STORE_SEND_CHUNKED_DATASET = True  # send a file's bytes as they are, also odd ones


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What the archive said to one object.

    Parameters
    ----------
    path : Path
    status : int or None
        DIMSE status; None when there was no answer: the association broke, or its context was
        not accepted.
    """

    path: Path
    status: int | None


def send_files(
    paths: Sequence[Path],
    *,
    host: str,
    port: int,
    called_ae: str = "ANY-SCP",
    calling_ae: str = "MODALITY",
    timeout_s: float = 30.0,
) -> tuple[Sent, ...]:
    """Send files over one association, each in the transfer syntax it is stored in.

    Raises
    ------
    TryLater
        If no association could be made.
    ValueError
        If the files need more presentation contexts than one association has.
    """
    ae = AE(ae_title=calling_ae)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    ae.requested_contexts = _contexts_of(paths)
    association = ae.associate(host, port, ae_title=called_ae)
    if not association.is_established:
        raise TryLater(f"{called_ae} at {host}:{port} gives no association")
    hold_reactor_for_answers(association)
    try:
        return tuple(_send_all(association, paths))
    finally:
        if association.is_established:
            association.release()


def _send_all(association: Association, paths: Sequence[Path]) -> Iterator[Sent]:
    is_broken = False
    for path in paths:
        status = None
        if not is_broken:
            try:
                answer = association.send_c_store(path)
                status = int(answer.Status) if "Status" in answer else None
                is_broken = status is None  # pynetdicom itself notices an abort only later
            except ValueError:  # the context of this file was not accepted
                status = None
            except RuntimeError:
                is_broken = True
        yield Sent(path=path, status=status)


def _contexts_of(paths: Sequence[Path]) -> list[PresentationContext]:
    """One context for every pair of SOP class and transfer syntax among the files."""
    contexts = []
    pairs = set()
    for path in paths:
        meta = split_dataset(path)[0]
        pairs.add((UID(meta.MediaStorageSOPClassUID), UID(meta.TransferSyntaxUID)))
    if len(pairs) > _MAXIMUM_CONTEXTS:
        raise ValueError(f"{len(pairs)} presentation contexts needed, an association has 128")
    for sop_class_uid, transfer_syntax_uid in sorted(pairs):
        context = PresentationContext()
        context.abstract_syntax = sop_class_uid
        context.transfer_syntax = [transfer_syntax_uid]
        contexts.append(context)
    return contexts
