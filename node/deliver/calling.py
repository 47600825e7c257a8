"""TLS towards a peer, and what it answered in the negotiation.

References
----------
PS3.15 annex B (TLS profiles), PS3.8 section 7.1.1.14 (results of presentation contexts).
"""

import ssl
from collections.abc import Callable, Sequence

import structlog
from pynetdicom.association import Association
from sqlalchemy.exc import SQLAlchemyError

from node.config.settings import Peer
from node.dicom.tls import TlsFiles, client_context, explain
from node.domain.errors import SetupFault, TryLater
from node.storage.negotiations import PeerSyntax

log = structlog.get_logger()

OnNegotiated = Callable[[str, Sequence[PeerSyntax]], object]
"""Takes the name of a peer and its answers."""


class TlsCall:
    """TLS of one call.

    Parameters
    ----------
    peer : Peer
        With ``tls``; its files are read anew for each call.

    Raises
    ------
    TryLater
        The files cannot be used as they are; they may be renewed while the node runs.
    """

    def __init__(self, peer: Peer) -> None:
        files = TlsFiles(
            certificate=peer.tls_certificate,
            key=peer.tls_key,
            key_password_file=peer.tls_key_password_file,
            ca=peer.tls_ca,
        )
        try:
            self._context = client_context(files, check_host=peer.tls_check_host)
        except SetupFault as fault:
            found = "; ".join(problem.found for problem in fault.problems)
            raise TryLater(f"{peer.name}: {fault.summary}: {found}".rstrip(": ")) from fault
        self._errors: list[OSError] = []
        self._context.sslsocket_class = _telling(self._errors)
        self._host = peer.host

    @property
    def arguments(self) -> tuple[ssl.SSLContext, str]:
        """What pynetdicom wants to be given."""
        return self._context, self._host

    @property
    def reason(self) -> str:
        """Why TLS failed, in words; empty if it did not."""
        return f"TLS: {explain(self._errors[0])}" if self._errors else ""


def tell_negotiated(association: Association, peer: Peer, on_negotiated: OnNegotiated) -> None:
    """Hand on what a peer answered to each SOP class and syntax; nothing if it did not answer.

    Of several syntaxes in one context a peer names the one that it takes and is silent about the
    others; all are refused where the context is refused.
    """
    answers = [
        PeerSyntax(
            sop_class_uid=str(context.abstract_syntax),
            transfer_syntax_uid=str(context.transfer_syntax[0]),
            accepted=True,
        )
        for context in association.accepted_contexts
    ]
    refused = {context.context_id for context in association.rejected_contexts}
    answers += [
        PeerSyntax(
            sop_class_uid=str(context.abstract_syntax),
            transfer_syntax_uid=str(syntax),
            accepted=False,
        )
        for context in association.requestor.requested_contexts
        if context.context_id in refused
        for syntax in context.transfer_syntax
    ]
    if not answers:
        return
    try:
        on_negotiated(peer.name, answers)
    except (SQLAlchemyError, TryLater) as error:  # history must not keep a result from its peer
        log.warning("negotiation.not_remembered", peer=peer.name, error=type(error).__name__)


def _telling(errors: list[OSError]) -> type[ssl.SSLSocket]:
    """Return a socket class that keeps what went wrong: pynetdicom only logs it."""

    class TellingSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            try:
                super().do_handshake(block)
            except OSError as error:
                errors.append(error)
                raise

        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
            # With TLS 1.3 a server refuses our certificate only after the handshake.
            try:
                return super().recv(buflen, flags)
            except ssl.SSLError as error:
                errors.append(error)
                raise

    return TellingSocket
