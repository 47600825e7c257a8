"""A file of a stranger, checked against the limits before it is read.

What comes through the listener was checked when it was received; files of a folder were not.
"""

import zlib
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from pydicom.filereader import (
    _read_file_meta_info,  # the public one takes a path and does not tell where it ends
    read_preamble,
)
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.dicom.limits import MAXIMUM_INFLATED_BYTES
from node.dicom.structure import TOO_COMPLEX, StructureFault, walk_data_set

CHUNK_BYTES = 1 << 16


def check_file(path: Path) -> None:
    """Check how much a Part 10 file holds; other faults are left to who reads it.

    Raises
    ------
    StructureFault
        It is nested too deep, has too many elements, or inflates to too much.
    DAMAGED
        It is no such file, see ``node.dicom.damage``.
    """
    with path.open("rb") as file:
        read_preamble(file, False)
        syntax = str(_read_file_meta_info(file).get("TransferSyntaxUID", ""))
        start = file.tell()
        if syntax == DeflatedExplicitVRLittleEndian:
            _check_inflated(file)
            return
        if path.stat().st_size == start:
            return
        with mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            try:
                walk_data_set(mapped, transfer_syntax_uid=syntax, start=start)
            except StructureFault as fault:
                if fault.code == TOO_COMPLEX:
                    raise


def _check_inflated(file: BinaryIO) -> None:
    inflater, size_bytes = zlib.decompressobj(wbits=-zlib.MAX_WBITS), 0
    while not inflater.eof:
        chunk = inflater.unconsumed_tail or file.read(CHUNK_BYTES)
        if not chunk:
            return
        size_bytes += len(inflater.decompress(chunk, CHUNK_BYTES))
        if size_bytes > MAXIMUM_INFLATED_BYTES:
            raise StructureFault(
                TOO_COMPLEX, f"more than {MAXIMUM_INFLATED_BYTES >> 20} MiB once inflated"
            )
