"""C-FIND as SCU, study root.

References
----------
PS3.4 sections C.4.1 (C-FIND) and C.6.2, table C.4-1 (statuses).
"""

from typing import Any

from pydicom import Dataset
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from node.config.settings import DeliverSettings, Peer
from node.deliver.association import NothingAccepted, open_association
from node.domain.errors import TryLater
from node.query.found import QueryRefused

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
PENDING = frozenset({0xFF00, 0xFF01})
SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANCELLED = 0xFE00
MAXIMUM_MATCHES = 20_000


def find(
    peer: Peer,
    identifier: Dataset,
    *,
    calling_ae_title: str,
    settings: DeliverSettings,
    maximum_matches: int = MAXIMUM_MATCHES,
) -> list[Dataset]:
    """Return the identifiers that match.

    Raises
    ------
    TryLater
        If there is no association, the answers end too early, or the peer lacks resources.
    QueryRefused
        If the peer does not offer the service, refuses the question, or has too many answers.
    """
    try:
        with open_association(
            peer,
            contexts=[build_context(STUDY_ROOT_FIND)],
            calling_ae_title=calling_ae_title,
            settings=settings,
        ) as association:
            return _collect(peer, association, identifier, maximum_matches)
    except NothingAccepted:
        raise QueryRefused(f"{peer.name}: it does not offer C-FIND, study root") from None


def _collect(
    peer: Peer, association: Association, identifier: Dataset, maximum_matches: int
) -> list[Dataset]:
    matches: list[Dataset] = []
    try:
        for status, match in association.send_c_find(identifier, STUDY_ROOT_FIND):
            if "Status" not in status:
                raise TryLater(f"{peer.name}: no answer to C-FIND")
            code = int(status.Status)
            if code not in PENDING:
                check_final(peer, "C-FIND", status)
                return matches
            if match is not None:
                matches.append(match)
            if len(matches) > maximum_matches:
                association.abort()
                raise QueryRefused(
                    f"{peer.name}: more than {maximum_matches} matches; ask for less"
                )
    except RuntimeError:  # pynetdicom: the association has ended before the call
        raise TryLater(f"{peer.name}: the association was lost") from None
    raise TryLater(f"{peer.name}: the answers to C-FIND did not end")


def check_final(peer: Peer, service: str, status: Any) -> None:
    """Raise what a final status other than success means; warnings pass.

    The Error Comment stays with the peer: it may name the patient, and this goes to log and ledger.
    """
    code = int(status.Status)
    if code == SUCCESS or code >> 12 == 0xB:
        return
    said = f"{peer.name}: {service} answered 0x{code:04X}; its log tells why"
    if code >> 8 == OUT_OF_RESOURCES >> 8 or code == CANCELLED:
        raise TryLater(said)
    raise QueryRefused(said)
