"""C-MOVE as SCU, study root: an archive sends objects to an AE title that it knows.

References
----------
PS3.4 section C.4.2, table C.4-2 (statuses).
"""

from pydicom import Dataset
from pynetdicom.presentation import build_context

from node.config.settings import DeliverSettings, Peer
from node.deliver.association import NothingAccepted, open_association
from node.domain.errors import TryLater
from node.query.c_find import PENDING, check_final
from node.query.found import Fetched, QueryRefused

STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
DESTINATION_UNKNOWN = 0xA801


def move(
    peer: Peer,
    identifier: Dataset,
    *,
    destination_ae_title: str,
    calling_ae_title: str,
    settings: DeliverSettings,
) -> Fetched:
    """Have a peer send objects to an AE title.

    Raises
    ------
    TryLater
        If there is no association, or no answer, or the peer or the destination lacks resources.
    QueryRefused
        If the peer does not offer the service, or does not know the destination.
    """
    try:
        with open_association(
            peer,
            contexts=[build_context(STUDY_ROOT_MOVE)],
            calling_ae_title=calling_ae_title,
            settings=patient(settings),
        ) as association:
            try:
                for status, _ in association.send_c_move(
                    identifier, destination_ae_title, STUDY_ROOT_MOVE
                ):
                    if "Status" not in status:
                        break
                    if int(status.Status) in PENDING:
                        continue
                    if int(status.Status) == DESTINATION_UNKNOWN:
                        raise QueryRefused(
                            f"{peer.name}: it knows no AE title {destination_ae_title}; the "
                            "archive's operator must add this node with its host and port"
                        )
                    check_final(peer, "C-MOVE", status)
                    return fetched_of(status)
            except RuntimeError:  # pynetdicom: the association has ended before the call
                raise TryLater(f"{peer.name}: the association was lost") from None
    except NothingAccepted:
        raise QueryRefused(f"{peer.name}: it does not offer C-MOVE, study root") from None
    raise TryLater(f"{peer.name}: no answer to C-MOVE")


def patient(settings: DeliverSettings) -> DeliverSettings:
    """Return settings for answers that come only when all objects were sent; 0 has no limit."""
    if not settings.dimse_timeout_s:
        return settings
    return settings.model_copy(update={"dimse_timeout_s": max(settings.dimse_timeout_s, 600)})


def fetched_of(status: Dataset) -> Fetched:
    """Return the counts of a final answer; a warning is counted as arrived."""
    arrived = int(status.get("NumberOfCompletedSuboperations") or 0)
    arrived += int(status.get("NumberOfWarningSuboperations") or 0)
    return Fetched(completed=arrived, failed=int(status.get("NumberOfFailedSuboperations") or 0))
