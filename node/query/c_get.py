"""C-GET as SCU, study root: an archive sends objects on the association that asked for them.

References
----------
PS3.4 section C.4.3, PS3.7 annex D.3.3.4 (role selection: the node is SCP of storage here).
"""

from pathlib import Path

from pydicom import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import build_role, evt
from pynetdicom.presentation import PresentationContext, build_context

from node.config.settings import DeliverSettings, Peer
from node.deliver.association import NothingAccepted, open_association
from node.domain.errors import TryLater
from node.query.c_find import PENDING, check_final
from node.query.c_move import fetched_of, patient
from node.query.found import Fetched, QueryRefused
from node.storage.spool import is_uid

STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    RLELossless,
)
_STORAGE = "1.2.840.10008.5.1.4.1.1"
CLASSES = tuple(
    f"{_STORAGE}.{number}"
    for number in (
        "2", "2.1", "2.2",  # CT, enhanced, legacy converted
        "4", "4.1", "4.2", "4.3", "4.4",  # MR, enhanced, spectroscopy, colour, legacy converted
        "128", "130", "128.1",  # PET
        "7", "7.1", "7.2", "7.3", "7.4",  # secondary capture
        "66", "66.1", "66.2", "66.3", "66.4", "66.5", "66.7",  # registration, SEG, surfaces
        "88.11", "88.22", "88.33", "88.34", "88.59", "88.67", "88.71",  # SR, key objects
        "11.1", "11.2", "11.4", "11.12",  # presentation states
        "481.2", "481.3", "481.5",  # RT dose, structure set, plan
        "104.1", "104.3", "67",  # documents, real world values
    )
)  # fmt: skip
"""An association has at most 128 contexts, so C-GET names what it may be sent."""
SUCCESS, CANNOT_UNDERSTAND = 0x0000, 0xC000
MAXIMUM_FETCHED_BYTES = 2 << 30
"""Of one object: pynetdicom keeps it in memory while it comes."""
MAXIMUM_FETCHED = 20_000
"""Objects of one C-GET."""


def get(
    peer: Peer,
    identifier: Dataset,
    folder: Path,
    *,
    calling_ae_title: str,
    settings: DeliverSettings,
) -> Fetched:
    """Fetch objects into a folder.

    Raises
    ------
    TryLater
        If there is no association, or no answer, or the peer lacks resources.
    QueryRefused
        If the peer does not offer the service.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[Path, None] = {}  # in order, and each once: what comes twice is one object

    def store(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)  # type: ignore[union-attr]  # a C-STORE
        if not is_uid(uid) or len(paths) >= MAXIMUM_FETCHED:
            return CANNOT_UNDERSTAND
        path = folder / f"{uid}.dcm"
        path.write_bytes(event.encoded_dataset())
        paths[path] = None
        return SUCCESS

    try:
        with open_association(
            peer,
            contexts=[build_context(STUDY_ROOT_GET), *_storage_contexts()],
            calling_ae_title=calling_ae_title,
            settings=patient(settings),
            roles=[build_role(uid, scp_role=True) for uid in CLASSES],
            handlers=[(evt.EVT_C_STORE, store)],
            maximum_message_bytes=MAXIMUM_FETCHED_BYTES,
        ) as association:
            try:
                for status, _ in association.send_c_get(identifier, STUDY_ROOT_GET):
                    if "Status" not in status:
                        break
                    if int(status.Status) in PENDING:
                        continue
                    check_final(peer, "C-GET", status)
                    told = fetched_of(status)
                    return Fetched(completed=len(paths), failed=told.failed, paths=tuple(paths))
            except ValueError:  # pynetdicom: the context for C-GET was not accepted
                raise NothingAccepted(peer.name) from None
            except RuntimeError:  # pynetdicom: the association has ended before the call
                raise TryLater(f"{peer.name}: the association was lost") from None
    except NothingAccepted:
        raise QueryRefused(f"{peer.name}: it does not offer C-GET, study root") from None
    raise TryLater(f"{peer.name}: no answer to C-GET")


def _storage_contexts() -> list[PresentationContext]:
    return [build_context(uid, list(SYNTAXES)) for uid in CLASSES]
