"""Read the identifiers of a received data set; values are skipped.

Walking to the end proves that the data set has the structure it claims, that no byte of it is
missing, and that it is within the limits.
"""

import re
from dataclasses import dataclass

from node.dicom.structure import Buffer, StructureFault, walk_data_set
from node.receive.problems import malformed

SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
MODALITY = 0x00080060
STUDY_INSTANCE = 0x0020000D
SERIES_INSTANCE = 0x0020000E
WANTED = frozenset((SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY_INSTANCE, SERIES_INSTANCE))

_MODALITY_CHARACTERS = re.compile(r"[A-Z0-9 _]{0,16}")


@dataclass(frozen=True, kw_only=True)
class PeekedHeader:
    """The identifiers of a data set, empty where it has none.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid : str
    modality : str
        Empty also when it is no code string.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str


def peek_header(buffer: Buffer, *, transfer_syntax_uid: str, start: int = 0) -> PeekedHeader:
    """Read the identifiers of an encoded data set and check that it is complete.

    Parameters
    ----------
    buffer : bytes or mmap
        File or data set; of a deflated one, the inflated bytes.
    transfer_syntax_uid : str
    start : int, optional
        Where the data set begins in the buffer.

    Raises
    ------
    InputRejected
        ``not-dicom``, ``unparsable``, ``truncated`` or ``too-complex``.
    """
    try:
        values = walk_data_set(
            buffer, transfer_syntax_uid=transfer_syntax_uid, start=start, wanted=WANTED
        )
    except StructureFault as fault:
        raise malformed(fault.code, fault.found) from fault
    modality = values.get(MODALITY, "")
    return PeekedHeader(
        sop_class_uid=values.get(SOP_CLASS, ""),
        sop_instance_uid=values.get(SOP_INSTANCE, ""),
        study_instance_uid=values.get(STUDY_INSTANCE, ""),
        series_instance_uid=values.get(SERIES_INSTANCE, ""),
        modality=modality if _MODALITY_CHARACTERS.fullmatch(modality) else "",
    )
