"""The file meta information in front of what was received."""

from io import BytesIO
from pathlib import Path

import pydicom
from factories_receive import encode, make_ct
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from node.receive.file_meta import IMPLEMENTATION_CLASS_UID, FileMeta, read_file_meta

META = FileMeta(
    sop_class_uid=CTImageStorage,
    sop_instance_uid="1.2.3",
    transfer_syntax_uid=ExplicitVRLittleEndian,
    calling_ae_title="CT1",
    called_ae_title="ONCONODE",
)


def test_pydicom_reads_it() -> None:
    ds = pydicom.dcmread(BytesIO(META.encode() + encode(make_ct())))
    meta = ds.file_meta
    assert meta.MediaStorageSOPClassUID == CTImageStorage
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.SourceApplicationEntityTitle == "CT1"
    assert ds.pixel_array.shape == (16, 16)


def test_it_is_read_back_with_the_start_of_the_data_set(tmp_path: Path) -> None:
    path = tmp_path / "object.dcm"
    path.write_bytes(META.encode() + b"data set")
    meta, start = read_file_meta(path)
    assert meta == META
    assert path.read_bytes()[start:] == b"data set"


def test_the_implementation_uid_is_one() -> None:
    assert UID(IMPLEMENTATION_CLASS_UID).is_valid
