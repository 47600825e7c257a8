"""Small objects to send, a listener to send them to, and a sender that says what it is told."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RJ
from tools import require_dcmtk

from node.config.settings import NodeSettings, Peer
from node.receive.association_log import AssociationLog
from node.receive.commitment import CommitmentService
from node.receive.scp import Listener
from node.storage.associations import AssociationRecord, AssociationResult, AssociationStore
from node.storage.database import open_database, sqlite_url
from node.storage.instances import InstanceStore
from node.storage.spool import Spool

ROOT = "1.2.826.0.1.3680043.10.998"
STUDY, SERIES = f"{ROOT}.1", f"{ROOT}.2"
ANSWER_TIMEOUT_S = 20


def make_ct(number: int = 1, **attributes: Any) -> Dataset:
    """Make a CT slice of 16 x 16 pixels; keyword arguments set or, with None, remove attributes."""
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = f"{ROOT}.3.{number}"
    ds.Modality = "CT"
    ds.PatientName, ds.PatientID = "Phantom^Test", "TEST"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.InstanceNumber = number
    ds.ImagePositionPatient = [0, 0, number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [1, 1]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.PixelData = (np.arange(256, dtype="<u2") + number).tobytes()
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def make_rgb(number: int = 1) -> Dataset:
    """Make a secondary capture in colour."""
    ds = make_ct(number, SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.7"), Modality="OT")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes(16 * 16 * 3)
    return ds


def encode(ds: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """Encode a data set without file meta."""
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_implicit_VR = transfer_syntax_uid == ImplicitVRLittleEndian
    buffer.is_little_endian = transfer_syntax_uid != "1.2.840.10008.1.2.2"
    write_dataset(buffer, ds)
    return buffer.getvalue()


def write_file(path: Path, ds: Dataset, transfer_syntax_uid: UID = ExplicitVRLittleEndian) -> Path:
    """Write a Part 10 file."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = transfer_syntax_uid
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


@dataclass
class RunningListener:
    """A listener with its store and spool."""

    listener: Listener
    store: InstanceStore
    spool: Spool
    associations: AssociationStore

    @property
    def port(self) -> int:
        """The port to send to."""
        return self.listener.port

    def wait_for_record(
        self, *results: AssociationResult, calling: str | None = None
    ) -> AssociationRecord:
        """Return the record of the latest association, once it has ended (so)."""
        found: list[AssociationRecord] = []

        def is_there() -> bool:
            found[:] = self.associations.list(limit=1, ae_title=calling)
            return any(
                record.ended_at is not None and (not results or record.result in results)
                for record in found
            )

        wait_until(is_there)
        return found[0]

    def received_bytes(self, sop_instance_uid: str) -> bytes:
        """Return the data set of a stored object, as it stands in its file."""
        received = self.store.find(sop_instance_uid)
        assert received is not None
        return data_set_of(received.instance.path)


def data_set_of(path: Path) -> bytes:
    """Return the bytes after the file meta."""
    meta = pydicom.filereader.read_file_meta_info(path)
    return path.read_bytes()[144 + meta.FileMetaInformationGroupLength :]


def listener_settings(**receive: Any) -> NodeSettings:
    """Return settings for a test: any free port, no reserve on the disk."""
    node = NodeSettings()
    limits = node.receive.model_copy(update={"minimum_free_disk_mb": 0, **receive})
    return node.model_copy(update={"port": 0, "receive": limits})


@contextmanager
def running_listener(
    folder: Path,
    *,
    settings: NodeSettings | None = None,
    peers: tuple[Peer, ...] = (),
    store: InstanceStore | None = None,
    commitment: CommitmentService | None = None,
) -> Iterator[RunningListener]:
    """Start a listener in a folder, stop it at the end."""
    spool = Spool(folder / "spool")
    engine = open_database(sqlite_url(folder))
    store = store or InstanceStore(engine)
    associations = AssociationStore(engine)
    listener = Listener(
        settings=settings or listener_settings(),
        peers=peers,
        store=store,
        spool=spool,
        commitment=commitment,
        associations=AssociationLog(associations, listener="test"),
    )
    listener.start()
    try:
        yield RunningListener(
            listener=listener, store=store, spool=spool, associations=associations
        )
    finally:
        listener.stop()


@contextmanager
def associated(
    port: int,
    *contexts: tuple[str, Sequence[str]],
    called: str = "ONCONODE",
    calling: str = "TESTSCU",
) -> Iterator[Association]:
    """Associate as an SCU with the given (SOP class, transfer syntaxes) contexts."""
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_TIMEOUT_S
    for sop_class, syntaxes in contexts or ((CTImageStorage, (ExplicitVRLittleEndian,)),):
        ae.add_requested_context(sop_class, list(syntaxes))
    heard: list[type] = []
    association = ae.associate(
        "127.0.0.1",
        port,
        ae_title=called,
        evt_handlers=[(evt.EVT_PDU_RECV, lambda event: heard.append(type(event.pdu)))],
    )
    # A thread that wakes after the rejected connection is closed calls it aborted.
    association.is_rejected |= A_ASSOCIATE_RJ in heard
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send_bytes(
    association: Association,
    data: bytes,
    *,
    sop_class_uid: str = CTImageStorage,
    sop_instance_uid: str = f"{ROOT}.3.1",
) -> C_STORE:
    """Send bytes that need not be a data set, or none at all, and return the answer."""
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = sop_class_uid
    request.AffectedSOPInstanceUID = sop_instance_uid
    request.Priority = 2
    request.DataSet = BytesIO(data) if data else None
    context = association.accepted_contexts[0]
    association._reactor_checkpoint.clear()
    try:
        association.dimse.send_msg(request, context.context_id)
        _, answer = association.dimse.get_msg(block=True)
    finally:
        association._reactor_checkpoint.set()
    assert isinstance(answer, C_STORE), "no answer came"
    return answer


def run_dcmtk(
    program: str, *arguments: Any, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program of dcmtk; skips the test where it is not installed."""
    result = subprocess.run(
        (require_dcmtk(program), *map(str, arguments)),
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert not check or result.returncode == 0, result.stdout
    return result


def storescu(port: int, *arguments: Any, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Send with dcmtk's storescu, which proposes just the contexts that the files need."""
    return run_dcmtk(
        "storescu", "-v", "-R", "-aec", "ONCONODE", "127.0.0.1", port, *arguments, check=check
    )


def wait_until(condition: Callable[[], Any], timeout_s: float = ANSWER_TIMEOUT_S) -> None:
    """Wait until a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)
