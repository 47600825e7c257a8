"""Associations to peers: opened with bounded waits, told apart by why they failed."""

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from node.config.settings import DeliverSettings, Peer
from node.deliver.answer_limits import MAXIMUM_ANSWER_BYTES, limit_answers
from node.deliver.calling import OnNegotiated, TlsCall, tell_negotiated
from node.deliver.checkpoint import hold_reactor_for_answers
from node.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.domain.errors import TryLater


class NothingAccepted(Exception):
    """The peer is there, but takes none of the presentation contexts."""


@contextmanager
def open_association(
    peer: Peer,
    *,
    contexts: Iterable[PresentationContext],
    calling_ae_title: str,
    settings: DeliverSettings,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[EventHandlerType] = (),
    on_negotiated: OnNegotiated | None = None,
    maximum_message_bytes: int = MAXIMUM_ANSWER_BYTES,
) -> Iterator[Association]:
    """Open an association, over TLS if the peer wants it, and release it at the end.

    Parameters
    ----------
    peer : Peer
    contexts : iterable of PresentationContext
    calling_ae_title : str
    settings : DeliverSettings
    roles : sequence of SCP_SCU_RoleSelectionNegotiation, optional
        Where the node answers requests of the peer on the association that it opened.
    handlers : sequence of (event, handler), optional
        For those requests.
    on_negotiated : callable, optional
        Told what the peer accepted and refused, see ``NegotiationStore.remember``.
    maximum_message_bytes : int, optional
        Of one message of the peer; a longer one ends the association.

    Raises
    ------
    TryLater
        If the peer cannot be reached, rejects or aborts, or the files for TLS cannot be used.
    NothingAccepted
        If it accepts the association but no presentation context.
    """
    tls = TlsCall(peer) if peer.tls else None
    entity = AE(ae_title=calling_ae_title)
    entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.requested_contexts = list(contexts)
    entity.connection_timeout = settings.acse_timeout_s or None
    entity.acse_timeout = settings.acse_timeout_s or None
    entity.dimse_timeout = settings.dimse_timeout_s or None
    # The reactor aborts idle associations; a peer may be silent as long as one answer may take.
    entity.network_timeout = settings.dimse_timeout_s or None
    connected: list[bool] = []
    rejections: list[A_ASSOCIATE_RJ] = []
    association = entity.associate(
        peer.host,
        peer.port,
        ae_title=peer.ae_title,
        max_pdu=settings.maximum_pdu_bytes,
        ext_neg=list(roles),
        tls_args=tls.arguments if tls is not None else None,
        evt_handlers=[
            (evt.EVT_CONN_OPEN, _send_at_once, [connected]),
            (evt.EVT_PDU_RECV, _note_rejection, [rejections]),
            (
                evt.EVT_CONN_OPEN,
                limit_answers,
                [settings.maximum_pdu_bytes, maximum_message_bytes, settings.dimse_timeout_s],
            ),
            *handlers,
        ],
    )
    if on_negotiated is not None:
        tell_negotiated(association, peer, on_negotiated)
    try:
        if not association.is_established:
            if association.acceptor.primitive is not None and association.rejected_contexts:
                raise NothingAccepted(peer.name)
            reason = _why_not(rejections) if connected else "no connection"
            raise TryLater(f"{peer.name}: {(tls.reason if tls else '') or reason}")
        if not _accepts_what_was_proposed(association):
            association.abort()
            raise TryLater(f"{peer.name}: accepted what was not proposed")
        hold_reactor_for_answers(association)
        yield association
    finally:
        if association.is_established:
            association.release()
        else:
            association.kill()
        _close_what_is_left(association)


def _close_what_is_left(association: Association) -> None:
    """Close the connection where pynetdicom's thread fell over an answer and left it open."""
    connection = association.dul.socket
    if not association.dul.is_alive() and connection is not None and connection.socket is not None:
        connection.socket.close()


def _accepts_what_was_proposed(association: Association) -> bool:
    """Compare syntaxes; pynetdicom fails at those that are none, in the middle of a message."""
    proposed = {
        context.context_id: set(context.transfer_syntax)
        for context in association.requestor.requested_contexts
    }
    return all(
        context.transfer_syntax
        and set(context.transfer_syntax) <= proposed.get(context.context_id, set())
        for context in association.accepted_contexts
    )


def _send_at_once(event: evt.Event, connected: list[bool]) -> None:
    connected.append(True)
    # Small commands wait for the answer to the previous packet otherwise (RFC 896).
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _note_rejection(event: evt.Event, rejections: list[A_ASSOCIATE_RJ]) -> None:
    # The association itself says "aborted" of a peer that rejects before this side's thread,
    # which waits for the connection, has woken: the connection is closed again by then.
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)


def _why_not(rejections: Sequence[A_ASSOCIATE_RJ]) -> str:
    if not rejections:
        return "association aborted, or no answer to the request"
    try:
        return f"association rejected: {rejections[0].reason_str}"
    except ValueError:  # PS3.8 does not know the numbers
        return "association rejected"
