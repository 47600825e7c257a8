"""Preamble and file meta information in front of a received data set.

References
----------
PS3.10 section 7.1.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_file_meta_info

from node.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

PREAMBLE = bytes(128) + b"DICM"
GROUP_LENGTH_ELEMENT_BYTES = 12


@dataclass(frozen=True, kw_only=True)
class FileMeta:
    """What the file meta of a received object says.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid : str
        Affected UIDs of the request.
    transfer_syntax_uid : str
        As negotiated.
    calling_ae_title, called_ae_title : str
        Sender and receiver: the listener finds them again after a crash.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae_title: str
    called_ae_title: str

    def encode(self) -> bytes:
        """Return preamble, prefix and group 0002, explicit VR little endian."""
        elements = b"".join(
            (
                struct.pack("<HH2sHL", 0x0002, 0x0001, b"OB", 0, 2) + b"\0\1",
                _text(0x0002, b"UI", self.sop_class_uid),
                _text(0x0003, b"UI", self.sop_instance_uid),
                _text(0x0010, b"UI", self.transfer_syntax_uid),
                _text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
                _text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
                _text(0x0016, b"AE", self.calling_ae_title),
                _text(0x0018, b"AE", self.called_ae_title),
            )
        )
        length = struct.pack("<HH2sHL", 0x0002, 0x0000, b"UL", 4, len(elements))
        return PREAMBLE + length + elements


def read_file_meta(path: Path) -> tuple[FileMeta, int]:
    """Read back what ``FileMeta.encode`` wrote, and where the data set begins after it.

    Raises
    ------
    pydicom.errors.InvalidDicomError, OSError, AttributeError
        The file is none of ours, or cannot be read.
    """
    meta = read_file_meta_info(path)
    start = len(PREAMBLE) + GROUP_LENGTH_ELEMENT_BYTES + meta.FileMetaInformationGroupLength
    return _file_meta(meta), start


def _file_meta(meta: FileMetaDataset) -> FileMeta:
    return FileMeta(
        sop_class_uid=_value(meta, "MediaStorageSOPClassUID"),
        sop_instance_uid=_value(meta, "MediaStorageSOPInstanceUID"),
        transfer_syntax_uid=_value(meta, "TransferSyntaxUID"),
        calling_ae_title=_value(meta, "SourceApplicationEntityTitle"),
        called_ae_title=_value(meta, "ReceivingApplicationEntityTitle"),
    )


def _value(meta: FileMetaDataset, keyword: str) -> str:
    return str(meta.get(keyword, "")).strip()


def _text(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 0x0002, element, vr, len(value)) + value
