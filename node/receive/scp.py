"""The listener: a DICOM Storage and Verification SCP.

References
----------
PS3.4 annexes A and B, PS3.8 section 7 (associations and their rejection).
"""

import threading
import time
from collections import Counter
from typing import cast

import structlog
from pynetdicom import AE, evt
from pynetdicom.events import Event

from node.config.settings import NodeSettings, Peer
from node.domain.errors import SetupFault
from node.receive.c_echo import answer_echo
from node.receive.c_store import StoreService
from node.receive.commitment import CommitmentService
from node.receive.contexts import accepted_contexts
from node.receive.file_meta import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from node.receive.recovery import recover
from node.receive.transport import ListeningServer, StreamingAssociation
from node.storage.instances import InstanceStore
from node.storage.spool import Spool

log = structlog.get_logger()

MEGABYTE = 1 << 20
POLL_INTERVAL_S = 0.1
ABORT_TIMEOUT_S = 30


class Listener:
    """Receives objects until it is stopped.

    Parameters
    ----------
    settings : NodeSettings
        AE title, address, port (0 takes a free one), limits and timeouts.
    peers : tuple of Peer
        Who may associate where ``accept_unknown_peers`` is false.
    store : InstanceStore
    spool : Spool
    commitment : CommitmentService, optional
        Without it, Storage Commitment is not offered.
    """

    def __init__(
        self,
        *,
        settings: NodeSettings,
        peers: tuple[Peer, ...],
        store: InstanceStore,
        spool: Spool,
        commitment: CommitmentService | None = None,
    ) -> None:
        self._commitment = commitment
        self._settings = settings
        self._peers = peers
        self._store = store
        self._spool = spool
        self._maximum_bytes = settings.receive.maximum_dataset_mb * MEGABYTE
        self._service = StoreService(
            store=store,
            spool=spool,
            ae_title=settings.ae_title,
            maximum_bytes=self._maximum_bytes,
            minimum_free_bytes=settings.receive.minimum_free_disk_mb * MEGABYTE,
        )
        self._ae = self._application_entity()
        self._server: ListeningServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._server is None:
            return self._settings.port
        return int(self._server.server_address[1])

    @property
    def counts(self) -> Counter[str]:
        """How many C-STORE requests ended as ``new``, ``duplicate`` or with which problem."""
        return self._service.counts

    def start(self) -> None:
        """Finish what a crash left, then listen.

        Raises
        ------
        SetupFault
            The port cannot be bound, or nobody would be allowed to send.
        """
        recover(store=self._store, spool=self._spool, maximum_bytes=self._maximum_bytes)
        self._server = server = self._bind()
        self._thread = threading.Thread(
            target=server.serve_forever,
            kwargs={"poll_interval": POLL_INTERVAL_S},
            name="listener",
            daemon=True,
        )
        self._thread.start()
        log.info("listener.started", ae_title=self._settings.ae_title, port=self.port)

    def stop(self, *, drain_s: float = 0) -> None:
        """Accept nothing more, let associations end for a while, then abort the rest."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        server.shutdown()
        thread.join()
        deadline = time.monotonic() + drain_s
        associations = [
            each for each in server.active_associations if isinstance(each, StreamingAssociation)
        ]
        for association in associations:
            association.join(timeout=max(0.0, deadline - time.monotonic()))
        for association in associations:
            if association.is_alive():
                association.end()
        for association in associations:
            association.join(timeout=ABORT_TIMEOUT_S)
        self._server = self._thread = None
        log.info("listener.stopped", aborted=sum(each.is_aborted for each in associations))

    def take_up(self, settings: NodeSettings, peers: tuple[Peer, ...]) -> None:
        """Let a changed configuration decide about new associations; open ones go on.

        Raises
        ------
        SetupFault
            Nobody would be allowed to send; all stays as it was.
        """
        self._ae.require_calling_aet = _calling_titles(settings, peers)
        self._settings, self._peers = settings, peers

    def _application_entity(self) -> AE:
        settings = self._settings
        ae = AE(ae_title=settings.ae_title)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.maximum_associations = settings.receive.maximum_associations
        ae.maximum_pdu_size = settings.receive.maximum_pdu_bytes
        # 0 in the settings is no limit, as None is for pynetdicom
        ae.acse_timeout = settings.receive.acse_timeout_s or None
        ae.dimse_timeout = settings.receive.dimse_timeout_s or None
        ae.network_timeout = settings.receive.network_timeout_s or None
        ae.require_called_aet = True
        ae.require_calling_aet = _calling_titles(settings, self._peers)
        return ae

    def _bind(self) -> ListeningServer:
        address = (self._settings.bind_address, self._settings.port)
        commitment = self._commitment
        try:
            server = self._ae.make_server(
                address,
                contexts=accepted_contexts(commitment=commitment is not None),
                evt_handlers=[
                    (evt.EVT_C_ECHO, answer_echo),
                    (evt.EVT_ACCEPTED, _log_accepted),
                    (evt.EVT_REJECTED, _log_rejected),
                    (evt.EVT_ABORTED, _log_aborted),
                    *(commitment.handlers if commitment is not None else ()),
                ],
                server_class=ListeningServer,
                sink=self._service,
            )
        except OSError as error:
            raise SetupFault(
                f"cannot listen on {address[0]} port {address[1]}: {error.strerror or error}; "
                "stop the program that uses the port, or set another port or bind_address "
                "in node.yaml"
            ) from error
        return cast("ListeningServer", server)  # typed as its base class


def _calling_titles(settings: NodeSettings, peers: tuple[Peer, ...]) -> list[str]:
    """Return who may associate; an empty list means everybody."""
    if settings.accept_unknown_peers:
        return []
    if not peers:
        raise SetupFault(
            "accept_unknown_peers is false and peers.yaml names no peer: nobody could "
            "send; add the senders, or set accept_unknown_peers to true"
        )
    return sorted({peer.ae_title for peer in peers})


def _log_accepted(event: Event) -> None:
    association = event.assoc
    log.info(
        "association.accepted",
        calling_ae_title=association.requestor.ae_title.strip(),
        address=association.requestor.address,
        contexts=len(association.accepted_contexts),
    )
    refused = sorted({str(each.abstract_syntax) for each in association.rejected_contexts})
    if refused:
        log.warning(
            "association.contexts_refused",
            calling_ae_title=association.requestor.ae_title.strip(),
            reason="storage class or transfer syntax not supported",
            sop_class_uids=refused,
        )


def _log_rejected(event: Event) -> None:
    association = event.assoc
    answer = association.acceptor.primitive
    log.warning(
        "association.rejected",
        calling_ae_title=association.requestor.ae_title.strip(),
        address=association.requestor.address,
        reason=answer.reason_str if answer is not None else "",
    )


def _log_aborted(event: Event) -> None:
    association = event.assoc
    log.warning(
        "association.aborted",
        calling_ae_title=association.requestor.ae_title.strip(),
        address=association.requestor.address,
    )
