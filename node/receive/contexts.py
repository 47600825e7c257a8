"""Which storage classes and transfer syntaxes the listener accepts.

Every storage class is accepted, for one refused object can fail the batch of a whole study;
which series are looked at is decided later, by the routing rules. The transfer syntaxes are
those that the node can decode: what it could only keep it refuses in the negotiation, where
the sender can still choose another.
"""

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AllStoragePresentationContexts
from pynetdicom.presentation import PresentationContext, build_context

from node.config.settings import Permission
from node.dicom.commitment import STORAGE_COMMITMENT

TRANSFER_SYNTAXES = (
    # the acceptor's order decides: uncompressed first, so that nothing is decoded twice
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    RLELossless,
    JPEGLSNearLossless,
    JPEG2000,
    HTJ2K,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
)

UNCOMPRESSED = 3
VERIFICATION = "1.2.840.10008.1.1"

PRIVATE_STORAGE_CLASSES = (
    # what CT and MR scanners send along with their images; kept, never looked at
    "1.3.12.2.1107.5.9.1",  # Siemens CSA non-image
    "1.3.46.670589.11.0.0.12.1",  # Philips MR spectrum
    "1.3.46.670589.11.0.0.12.2",  # Philips MR series data
    "1.3.46.670589.11.0.0.12.4",  # Philips MR examcard
)


def storage_classes() -> tuple[str, ...]:
    """Return the SOP Class UIDs that may be sent here, those of the standard first."""
    standard = (str(context.abstract_syntax) for context in AllStoragePresentationContexts)
    return (*standard, *PRIVATE_STORAGE_CLASSES)


def permission_of(sop_class_uid: str) -> Permission:
    """Return which of the permissions in ``peers.yaml`` a SOP class needs."""
    if sop_class_uid == VERIFICATION:
        return "echo"
    return "commit" if sop_class_uid == STORAGE_COMMITMENT else "store"


def accepted_contexts(*, commitment: bool = False) -> list[PresentationContext]:
    """Return the presentation contexts of the listener.

    Parameters
    ----------
    commitment : bool
        Storage Commitment too, in both roles: peers ask us, and answer what we asked them.
    """
    syntaxes: list[str | UID] = [*TRANSFER_SYNTAXES]
    storage = [build_context(uid, syntaxes) for uid in storage_classes()]
    contexts = [build_context(VERIFICATION, syntaxes[:UNCOMPRESSED]), *storage]
    if commitment:
        context = build_context(STORAGE_COMMITMENT, syntaxes[:UNCOMPRESSED])
        context.scu_role = context.scp_role = True
        contexts.append(context)
    return contexts
