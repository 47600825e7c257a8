"""An archive that keeps what it gets, counts every receipt and fails when it is told to.

In a test::

    with Archive(tmp_path) as archive:
        send_files(paths, host=archive.host, port=archive.port)
        assert archive.wait_for(lambda: len(archive.receipts) == len(paths), timeout_s=10)

As a process: ``python -m node.emulate.archive --port 11113 --dir archive``.
"""

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydicom import Dataset, dcmread
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, evt

from node.emulate.commitment_desk import Commitment, CommitmentDesk

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000
_VERIFICATION = "1.2.840.10008.1.1"
_STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_PENDING = 0xFF00
_LABELMAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What the archive does wrong.

    Parameters
    ----------
    refuse_sop_classes : frozenset of str
        Contexts of these SOP classes are not accepted; read when the archive starts.
    accept_syntaxes : frozenset of str
        Contexts of other transfer syntaxes are not accepted; empty for all. Read at the start.
    maximum_associations : int
        More are rejected as a transient lack; read at the start.
    answer : int
        Status for the objects at fault, e.g. ``OUT_OF_RESOURCES``; they are not kept.
    lose : bool
        Answer with success and keep nothing.
    abort : bool
        Abort the association instead of answering.
    keep : bool
        With ``abort``: the object was kept, and only the answer is lost.
    stall : bool
        Never answer; the association stays open until the archive stops.
    delay_s : float
        Wait so long before the answer.
    only : frozenset of str
        SOP classes that all of these apply to; empty for all.
    after : int
        So many objects pass before.
    times : int or None
        How many objects ``answer``, ``lose``, ``abort``, ``stall`` and ``delay_s`` apply to; None
        for all.
    """

    refuse_sop_classes: frozenset[str] = frozenset()
    accept_syntaxes: frozenset[str] = frozenset()
    maximum_associations: int = 64
    answer: int = SUCCESS
    lose: bool = False
    abort: bool = False
    keep: bool = False
    stall: bool = False
    delay_s: float = 0.0
    only: frozenset[str] = frozenset()
    after: int = 0
    times: int | None = None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """One C-STORE request, also a repeated or a refused one.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, calling_ae_title : str
    status : int
        The answer.
    sha256 : str
        Hex digest of the data set as it came, without file meta.
    path : Path or None
        Where it is kept; None if it was refused.
    """

    sop_class_uid: str
    sop_instance_uid: str
    calling_ae_title: str
    status: int
    sha256: str
    path: Path | None


class Archive:
    """C-ECHO and C-STORE SCP on a folder.

    Parameters
    ----------
    directory : Path
        Objects are kept here as ``<SOP Instance UID>.dcm``; a repeated one as ``<UID>~2.dcm``.
    ae_title, host, port : str, str, int
        Port 0 takes a free one; ``port`` tells which after ``start``.
    faults : Faults
        May be replaced while the archive runs.
    commitment : Commitment
        Whether and how it answers requests for commitment.

    Attributes
    ----------
    desk : CommitmentDesk
        Where such requests arrive.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ae_title: str = "ARCHIVE",
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults | None = None,
        commitment: Commitment = Commitment.NONE,
    ) -> None:
        self.desk = CommitmentDesk(ae_title=ae_title, mode=commitment, held=self._held)
        self.directory = directory
        self.ae_title = ae_title
        self.host = host
        self.port = port
        self.answers_queries = True
        self.on_receipt: Callable[[Receipt], None] = lambda _receipt: None
        self._changed = threading.Condition()
        self._receipts: list[Receipt] = []
        self._faults = faults or Faults()
        self._faulty_objects = 0
        self._server: Any = None
        self._stopped = threading.Event()

    def start(self) -> int:
        """Listen; return the port."""
        self.directory.mkdir(parents=True, exist_ok=True)
        ae = AE(ae_title=self.ae_title)
        ae.maximum_associations = self._faults.maximum_associations
        self._stopped.clear()
        ae.add_supported_context(_VERIFICATION)
        if self.answers_queries:
            ae.add_supported_context(_STUDY_ROOT_FIND)
        syntaxes = sorted(self._faults.accept_syntaxes) or AllTransferSyntaxes
        storage = {str(context.abstract_syntax) for context in AllStoragePresentationContexts}
        for sop_class_uid in sorted(storage | {_LABELMAP_SEGMENTATION}):
            if sop_class_uid not in self._faults.refuse_sop_classes:
                ae.add_supported_context(sop_class_uid, syntaxes)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_C_FIND, self._find),
            *self.desk.offer(ae),
        ]
        self._server = ae.start_server((self.host, self.port), block=False, evt_handlers=handlers)
        self.port = int(self._server.server_address[1])
        return self.port

    def stop(self) -> None:
        """Stop listening and abort open associations; a later ``start`` takes the same port."""
        self._stopped.set()
        if self._server is not None:
            server, self._server = self._server, None
            server.ae.shutdown()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def faults(self) -> Faults:
        """What goes wrong from now on; setting it counts ``times`` anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        with self._changed:
            self._faults, self._faulty_objects = faults, 0

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """Every request so far, in order."""
        with self._changed:
            return tuple(self._receipts)

    @property
    def kept(self) -> tuple[Receipt, ...]:
        """The receipts of objects that were accepted."""
        return tuple(receipt for receipt in self.receipts if receipt.path is not None)

    def counts(self) -> Counter[str]:
        """How often each SOP Instance UID was accepted."""
        return Counter(receipt.sop_instance_uid for receipt in self.kept)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until the condition holds, looking again at every receipt and ten times a second."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            with self._changed:
                self._changed.wait(min(left_s, 0.1))
        return True

    def _store(self, event: evt.Event) -> int:
        request: Any = event.request
        sop_instance_uid = str(request.AffectedSOPInstanceUID)
        faults = self._next_faults(str(request.AffectedSOPClassUID))
        if faults.delay_s:
            time.sleep(faults.delay_s)
        if faults.stall:
            self._note(event, CANNOT_UNDERSTAND, None)
            self._stopped.wait()
            return CANNOT_UNDERSTAND
        if faults.abort:
            event.assoc.abort()
            self._note(event, CANNOT_UNDERSTAND, sop_instance_uid if faults.keep else None)
            return CANNOT_UNDERSTAND
        if faults.answer != SUCCESS:
            self._note(event, faults.answer, None)
            return faults.answer
        if not set(sop_instance_uid) <= set("0123456789."):
            self._note(event, CANNOT_UNDERSTAND, None)
            return CANNOT_UNDERSTAND
        self._note(event, SUCCESS, None if faults.lose else sop_instance_uid)
        return SUCCESS

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """Answer C-FIND at image level, by what is on the disk."""
        wanted = event.identifier
        for path in sorted(self.directory.glob("*.dcm")):
            header = dcmread(path, stop_before_pixels=True)
            if header.SeriesInstanceUID != wanted.get("SeriesInstanceUID"):
                continue
            match = Dataset()
            match.QueryRetrieveLevel = "IMAGE"
            for keyword in (
                "StudyInstanceUID",
                "SeriesInstanceUID",
                "SOPInstanceUID",
                "SOPClassUID",
            ):
                setattr(match, keyword, header[keyword].value)
            yield _PENDING, match

    def _held(self) -> dict[str, str]:
        return {
            receipt.sop_instance_uid: receipt.sop_class_uid
            for receipt in self.kept
            if receipt.path is not None and receipt.path.exists()
        }

    def _next_faults(self, sop_class_uid: str) -> Faults:
        """Faults for the next object; none once they applied ``times`` times."""
        with self._changed:
            faults = self._faults
            if faults.only and sop_class_uid not in faults.only:
                return Faults()
            number = self._faulty_objects
            self._faulty_objects += 1
            last = float("inf") if faults.times is None else faults.after + faults.times
            return faults if faults.after <= number < last else Faults()

    def _note(self, event: evt.Event, status: int, keep_as: str | None) -> None:
        request: Any = event.request
        with self._changed:
            path = None
            if keep_as is not None:
                path = self._free_path(keep_as)
                temporary = path.with_suffix(".part")
                temporary.write_bytes(event.encoded_dataset(include_meta=True))
                temporary.replace(path)
            encoded = event.encoded_dataset(include_meta=False)
            receipt = Receipt(
                sop_class_uid=str(request.AffectedSOPClassUID),
                sop_instance_uid=str(request.AffectedSOPInstanceUID),
                calling_ae_title=event.assoc.requestor.ae_title.strip(),
                status=status,
                sha256=hashlib.sha256(encoded).hexdigest(),
                path=path,
            )
            self._receipts.append(receipt)
            self._changed.notify_all()
        self.on_receipt(receipt)

    def _free_path(self, sop_instance_uid: str) -> Path:
        path, number = self.directory / f"{sop_instance_uid}.dcm", 1
        while path.exists():
            number += 1
            path = self.directory / f"{sop_instance_uid}~{number}.dcm"
        return path


def main(arguments: list[str] | None = None) -> None:
    """Run an archive until SIGINT or SIGTERM."""
    import argparse
    import signal

    parser = argparse.ArgumentParser(prog="python -m node.emulate.archive", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="folder that keeps the objects")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ae-title", default="ARCHIVE")
    options = parser.parse_args(arguments)
    archive = Archive(options.dir, ae_title=options.ae_title, host=options.host, port=options.port)
    archive.on_receipt = lambda receipt: print(
        f"received {receipt.sop_instance_uid} class {receipt.sop_class_uid} "
        f"status 0x{receipt.status:04X} count {archive.counts()[receipt.sop_instance_uid]}",
        flush=True,
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    print(f"listening {archive.ae_title} {archive.host} {archive.start()}", flush=True)
    stopped.wait()
    archive.stop()


if __name__ == "__main__":
    main()
