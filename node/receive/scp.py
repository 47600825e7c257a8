"""The listener: a DICOM Storage and Verification SCP, on a plain port, a TLS port, or both.

References
----------
PS3.4 annexes A and B, PS3.8 section 7 (associations and their rejection).
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

import structlog
from pynetdicom import AE, evt

from node.config.settings import NodeSettings, Peer
from node.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.dicom.tls import RenewedContext, TlsFiles, server_context
from node.domain.errors import SetupFault
from node.receive.admission import Admission
from node.receive.association_log import AssociationLog
from node.receive.c_echo import answer_echo
from node.receive.c_store import StoreService
from node.receive.commitment import CommitmentService
from node.receive.contexts import accepted_contexts
from node.receive.reception import Reception
from node.receive.recovery import recover
from node.receive.transport import (
    SPARE_CONNECTIONS,
    ListeningServer,
    StreamingAssociation,
)
from node.storage.instances import InstanceStore
from node.storage.spool import Spool

log = structlog.get_logger()

MEGABYTE = 1 << 20
PLAIN, TLS = "plain", "tls"
POLL_INTERVAL_S = 0.1
ABORT_TIMEOUT_S = 30
UNLIMITED = 1 << 30  # the limit is that of ``Admission``


class Listener:
    """Receives objects until it is stopped.

    Parameters
    ----------
    settings : NodeSettings
        AE title, address, port (0 takes a free one), limits and timeouts.
    peers : tuple of Peer
        Who may associate, from where, how often and for what.
    store : InstanceStore
    spool : Spool
    commitment : CommitmentService, optional
        Without it, Storage Commitment is not offered.
    associations : AssociationLog, optional
        Without it, associations are told in the log alone.
    closed : callable, optional
        Why no object is taken at the moment, in words; empty if one is.
    """

    def __init__(
        self,
        *,
        settings: NodeSettings,
        peers: tuple[Peer, ...],
        store: InstanceStore,
        spool: Spool,
        commitment: CommitmentService | None = None,
        associations: AssociationLog | None = None,
        closed: Callable[[], str] = str,
    ) -> None:
        self._commitment = commitment
        self._settings = settings
        self._admission = Admission(settings, peers, closed=closed)
        self._associations = associations
        self._reception = Reception(self._admission, associations)
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
        self._servers: dict[str, ListeningServer] = {}
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        """The port that is listened on without TLS."""
        return self._port_of(PLAIN, self._settings.port)

    @property
    def tls_port(self) -> int:
        """The port that is listened on for TLS."""
        return self._port_of(TLS, self._settings.tls.port)

    @property
    def open_associations(self) -> Counter[str]:
        """How many associations each peer has open, by name; empty text for unknown ones."""
        return self._admission.inside

    @property
    def counts(self) -> Counter[str]:
        """How many C-STORE requests ended as ``new``, ``duplicate`` or with which problem."""
        return self._service.counts

    def start(self) -> None:
        """Finish what a crash left, then listen.

        Raises
        ------
        SetupFault
            A port cannot be bound, or the files for TLS cannot be used.
        """
        tls = self._settings.tls
        context = self._tls_context() if tls.is_listening else None
        recover(store=self._store, spool=self._spool, maximum_bytes=self._maximum_bytes)
        try:
            if context is None or tls.listen != "only":
                self._servers[PLAIN] = self._bind(self._settings.port, None)
            if context is not None:
                self._servers[TLS] = self._bind(tls.port, context)
        except SetupFault:
            self._close()
            raise
        if self._associations is not None:
            self._associations.start()
        for name, server in self._servers.items():
            thread = threading.Thread(
                target=server.serve_forever,
                kwargs={"poll_interval": POLL_INTERVAL_S},
                name=f"listener-{name}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)
            port = int(server.server_address[1])
            log.info(
                "listener.started", ae_title=self._settings.ae_title, port=port, tls=name == TLS
            )

    def stop(self, *, drain_s: float = 0) -> None:
        """Accept nothing more, let associations end for a while, then abort the rest."""
        if not self._threads:
            return
        for server in self._servers.values():
            server.shutdown()
        for thread in self._threads:
            thread.join()
        deadline = time.monotonic() + drain_s
        associations = [
            each
            for server in self._servers.values()
            for each in server.active_associations
            if isinstance(each, StreamingAssociation)
        ]
        for association in associations:
            association.join(timeout=max(0.0, deadline - time.monotonic()))
        for association in associations:
            if association.is_alive():
                association.end()
        for association in associations:
            association.join(timeout=ABORT_TIMEOUT_S)
        self._servers.clear()
        self._threads.clear()
        if self._associations is not None:
            self._associations.stop()
        log.info("listener.stopped", aborted=sum(each.is_aborted for each in associations))

    def take_up(self, settings: NodeSettings, peers: tuple[Peer, ...]) -> None:
        """Let a changed configuration decide about new associations; open ones go on.

        Raises
        ------
        SetupFault
            Nobody would be allowed to send; all stays as it was.
        """
        self._admission.take_up(settings, peers)
        self._settings = settings

    def _application_entity(self) -> AE:
        settings = self._settings
        ae = AE(ae_title=settings.ae_title)
        ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.maximum_associations = UNLIMITED
        ae.maximum_pdu_size = settings.receive.maximum_pdu_bytes
        # 0 in the settings is no limit, as None is for pynetdicom
        ae.acse_timeout = settings.receive.acse_timeout_s or None
        ae.dimse_timeout = settings.receive.dimse_timeout_s or None
        ae.network_timeout = settings.receive.network_timeout_s or None
        return ae

    def _tls_context(self) -> RenewedContext:
        tls = self._settings.tls
        files = TlsFiles(
            certificate=tls.certificate,
            key=tls.key,
            key_password_file=tls.key_password_file,
            ca=tls.ca,
        )
        make = partial(
            server_context, files, require_client_certificate=tls.require_client_certificate
        )
        return RenewedContext(make, files)

    def _maximum_connections(self) -> int:
        return 2 * self._settings.receive.maximum_associations + SPARE_CONNECTIONS

    def _port_of(self, name: str, configured: int) -> int:
        server = self._servers.get(name)
        return configured if server is None else int(server.server_address[1])

    def _close(self) -> None:
        for server in self._servers.values():
            server.server_close()
        self._servers.clear()

    def _bind(self, port: int, tls: RenewedContext | None) -> ListeningServer:
        address = (self._settings.bind_address, port)
        commitment = self._commitment
        try:
            server = self._ae.make_server(
                address,
                contexts=accepted_contexts(commitment=commitment is not None),
                evt_handlers=[
                    (evt.EVT_C_ECHO, answer_echo),
                    *self._reception.handlers,
                    *(commitment.handlers if commitment is not None else ()),
                ],
                server_class=ListeningServer,
                sink=self._service,
                reception=self._reception,
                maximum_connections=self._maximum_connections,
                tls=tls,
            )
        except OSError as error:
            raise SetupFault(
                f"cannot listen on {address[0]} port {address[1]}: {error.strerror or error}; "
                "stop the program that uses the port, or set another port or bind_address "
                "in node.yaml"
            ) from error
        return cast("ListeningServer", server)  # typed as its base class
