"""Transfer syntaxes: what is proposed for an object, and turning it into what the peer takes.

Objects go as they are stored where the peer takes that. Else uncompressed ones become the other
uncompressed one, or are packed without loss; compressed ones are unpacked. Every syntax gets a
context of its own: of several in one, the peer would choose.

References
----------
PS3.5 section 10 and annex A; PS3.8 section 9.3.2.2 (at most 128 presentation contexts).
"""

from collections.abc import Collection, Iterable
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom.presentation import PresentationContext, build_context

UNCOMPRESSED = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
PACKED = (str(RLELossless), str(JPEGLSLossless), str(JPEG2000Lossless))
"""Without loss, and what pydicom can write; JPEG Lossless can only be read."""
MAXIMUM_CONTEXTS = 128


class CannotTranscode(Exception):
    """The object cannot be turned into the syntax that the peer takes."""


def propose(
    objects: Iterable[tuple[str, str]], *, also: Iterable[str] = ()
) -> list[PresentationContext]:
    """Return the contexts for objects, the most wanted first where there are too many.

    Parameters
    ----------
    objects : iterable of (str, str)
        SOP class and stored transfer syntax of each.
    also : iterable of str
        SOP classes to learn about.
    """
    known = sorted(set(objects))
    wanted = dict.fromkeys(known)
    for among in (UNCOMPRESSED, PACKED):
        wanted |= dict.fromkeys(
            (sop_class, syntax)
            for sop_class, stored in known
            for syntax in among
            if _is_reachable(sop_class, stored, syntax)
        )
    wanted |= dict.fromkeys(
        (sop_class, syntax)
        for sop_class in also
        for syntax in (*UNCOMPRESSED, *PACKED)
        if _is_reachable(sop_class, UNCOMPRESSED[0], syntax)
    )
    return [build_context(*each) for each in list(wanted)[:MAXIMUM_CONTEXTS]]


def choose(sop_class_uid: str, stored: str, accepted: Collection[str]) -> str | None:
    """Return the syntax in which an object goes; None where the peer takes none of them."""
    for syntax in (stored, *UNCOMPRESSED, *PACKED):
        reachable = syntax == stored or _is_reachable(sop_class_uid, stored, syntax)
        if syntax in accepted and reachable:
            return syntax
    return None


def transcode(path: Path, syntax: str) -> Dataset:
    """Read an object in another transfer syntax; UIDs stay as they are.

    Raises
    ------
    CannotTranscode
        If its pixels cannot be decoded or encoded.
    """
    dataset = dcmread(path)
    try:
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            dataset.decompress(generate_instance_uid=False)
        if syntax in PACKED:
            dataset.compress(syntax, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        # pynetdicom wants a data set that was read in the syntax in which it goes
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, KeyError) as error:
        raise CannotTranscode(f"{UID(syntax).name}: {type(error).__name__}") from error
    buffer.seek(0)
    return dcmread(buffer)


def _is_reachable(sop_class_uid: str, stored: str, syntax: str) -> bool:
    if stored in UNCOMPRESSED:
        return syntax in UNCOMPRESSED or "Image Storage" in UID(sop_class_uid).name
    # big endian pixels would have to be swapped; nobody sends them any more
    is_readable = UID(stored).is_encapsulated and stored != ExplicitVRBigEndian
    return is_readable and syntax in UNCOMPRESSED
