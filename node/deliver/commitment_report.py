"""N-EVENT-REPORT on an association of our own: the answer to a peer's request for commitment.

References
----------
PS3.4 annex J.3.3, PS3.7 annex D.3.3.4 (role selection: the node that calls is the SCP here).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog
from pydicom import Dataset
from pynetdicom import build_role
from pynetdicom.presentation import build_context

from node.config.settings import DeliverSettings, Peer
from node.deliver.association import NothingAccepted, open_association
from node.dicom.commitment import (
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    report_of,
)
from node.domain.errors import TryLater
from node.jobs.commitment_requests import CommitmentRequest

log = structlog.get_logger()

SUCCESS = 0x0000


class RequestBook(Protocol):
    """Where requests of peers wait."""

    def claim(self, calling_ae_title: str) -> list[CommitmentRequest]:
        """Return the due requests of a peer."""

    def reported(self, request_id: int) -> None:
        """Record that the peer took its answer."""

    def report_failed(self, request_id: int, *, error: str, retry: bool) -> None:
        """Record that it did not."""


@dataclass(frozen=True, kw_only=True)
class CommitmentReporter:
    """Answers the requests that were not answered on their own association.

    Parameters
    ----------
    requests : RequestBook
    peers : sequence of Peer
        Where the AE titles that asked can be reached.
    held : callable
        SOP Instance UIDs -> SOP Class UIDs of those whose files are there.
    calling_ae_title : str
    settings : DeliverSettings
    """

    requests: RequestBook
    peers: Sequence[Peer]
    held: Callable[[Sequence[str]], Mapping[str, str]]
    calling_ae_title: str
    settings: DeliverSettings

    def report(self, ae_title: str) -> None:
        """Answer the due requests of a peer."""
        claimed = self.requests.claim(ae_title)
        peer = next((peer for peer in self.peers if peer.ae_title == ae_title), None)
        for request in claimed:
            if peer is None:
                self.requests.report_failed(
                    request.request_id,
                    error=f"peers.yaml has no address of {ae_title}",
                    retry=False,
                )
                continue
            try:
                self._send(peer, request)
            except TryLater as reason:
                log.warning("commitment.report_postponed", peer=peer.name, reason=str(reason))
                self.requests.report_failed(request.request_id, error=str(reason), retry=True)
            else:
                self.requests.reported(request.request_id)
                log.info(
                    "commitment.answered",
                    calling_ae_title=ae_title,
                    transaction_uid=request.transaction_uid,
                    association="new",
                )

    def _send(self, peer: Peer, request: CommitmentRequest) -> None:
        held = self.held([uid for _, uid in request.objects])
        event_type, report = report_of(request.transaction_uid, request.objects, held)
        try:
            with open_association(
                peer,
                contexts=[build_context(STORAGE_COMMITMENT)],
                calling_ae_title=self.calling_ae_title,
                settings=self.settings,
                roles=[build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)],
            ) as association:
                answer = Dataset()
                # ValueError: the peer did not accept the role
                with suppress(RuntimeError, ValueError):
                    answer, _ = association.send_n_event_report(
                        report, event_type, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
                    )
                if "Status" not in answer:
                    raise TryLater(f"{peer.name}: no answer to the report, or no role to send it")
                if int(answer.Status) != SUCCESS:
                    raise TryLater(f"{peer.name}: report answered 0x{int(answer.Status):04X}")
        except NothingAccepted:
            raise TryLater(f"{peer.name}: it does not take reports of commitment") from None
