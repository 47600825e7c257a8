"""C-STORE: check what came, make it safe, record it, and only then answer 0000.

References
----------
PS3.4 annex B, PS3.7 section 9.1.1.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog
from pynetdicom.association import Association
from sqlalchemy.exc import SQLAlchemyError

from node.domain.errors import InputRejected, Problem, TryLater
from node.domain.study import InstanceRef
from node.receive import problems as found
from node.receive.file_meta import FileMeta
from node.receive.group_commit import GroupCommit
from node.receive.header import PeekedHeader
from node.receive.identify import identify
from node.receive.status import SUCCESS, failure, fault_of
from node.receive.store_command import StoreAnswer, StoreRequest
from node.receive.streaming import SpooledDataSet
from node.storage.instances import InstanceStore, ReceivedInstance, Recorded
from node.storage.spool import NO_SPACE, Spool, is_uid

log = structlog.get_logger()

LOCKS = 64


class StoreService:
    """Answers C-STORE requests.

    Parameters
    ----------
    store : InstanceStore
    spool : Spool
    ae_title : str
        Of this node.
    maximum_bytes : int
        Of a data set, also of a deflated one once inflated.
    minimum_free_bytes : int
        How much of the disk stays free.

    Attributes
    ----------
    counts : Counter
        How many requests ended as ``new``, as ``duplicate``, or with which code of a problem.
    """

    def __init__(
        self,
        *,
        store: InstanceStore,
        spool: Spool,
        ae_title: str,
        maximum_bytes: int,
        minimum_free_bytes: int,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._store = store
        self._spool = spool
        self._ae_title = ae_title
        self._maximum_bytes = maximum_bytes
        self._minimum_free_bytes = minimum_free_bytes
        self._counts_lock = threading.Lock()
        self._commits = GroupCommit(store.record_all)
        # one SOP Instance UID is handled by one association at a time
        self._locks = [threading.Lock() for _ in range(LOCKS)]

    def open_data_set(
        self, association: Association, request: StoreRequest, transfer_syntax_uid: str
    ) -> SpooledDataSet:
        """Return where the data set of a request shall go."""
        return SpooledDataSet(
            spool=self._spool,
            file_meta=FileMeta(
                sop_class_uid=request.sop_class_uid,
                sop_instance_uid=request.sop_instance_uid,
                transfer_syntax_uid=transfer_syntax_uid,
                calling_ae_title=association.requestor.ae_title.strip(),
                called_ae_title=self._ae_title,
            ),
            maximum_bytes=self._maximum_bytes,
            minimum_free_bytes=self._minimum_free_bytes,
        )

    def answer(self, data_set: SpooledDataSet | None) -> StoreAnswer:
        """Make a complete object safe and return the answer; one may have come without data set."""
        if data_set is None:
            self._count("not-dicom")
            return failure([found.no_data_set()])
        problems = self._take_safely(data_set)
        return self._refuse(data_set, problems) if problems else SUCCESS

    def _take_safely(self, data_set: SpooledDataSet) -> tuple[Problem, ...]:
        try:
            return self._take(data_set)
        except InputRejected as rejection:
            return rejection.problems
        except (SQLAlchemyError, TryLater) as error:
            log.warning("database.unavailable", error=type(error).__name__)
            return (found.database_unavailable(),)
        except OSError as error:
            if error.errno in NO_SPACE:
                return (found.disk_full(error),)
            log.exception("instance.failed", **_context(data_set.file_meta))
            return (found.internal_error(),)
        except Exception:  # process boundary: the sender gets an answer, whatever failed
            log.exception("instance.failed", **_context(data_set.file_meta))
            return (found.internal_error(),)

    def _take(self, data_set: SpooledDataSet) -> tuple[Problem, ...]:
        """Store an object and return why that failed; nothing if it is safe."""
        if data_set.problem is not None:
            return (data_set.problem,)
        meta = data_set.file_meta
        header = identify(
            data_set.file.path,
            file_meta=meta,
            start=data_set.start,
            spool=self._spool,
            maximum_bytes=self._maximum_bytes,
        )
        received = describe(
            header,
            meta,
            place=self._spool.object_path(
                study_instance_uid=header.study_instance_uid,
                series_instance_uid=header.series_instance_uid,
                sop_instance_uid=header.sop_instance_uid,
            ),
            sha256=data_set.sha256,
            size_bytes=data_set.size_bytes,
        )
        with self._locks[hash(header.sop_instance_uid) % LOCKS]:
            recorded = self._store_once(data_set, received)
        if recorded is Recorded.CONFLICT:
            return (found.other_content(header.sop_instance_uid),)
        self._count(recorded.value)
        log.info(
            "instance.stored" if recorded is Recorded.NEW else "instance.duplicate",
            **_context(meta),
            study_instance_uid=header.study_instance_uid,
            size_bytes=data_set.size_bytes,
        )
        return ()

    def _store_once(self, data_set: SpooledDataSet, received: ReceivedInstance) -> Recorded:
        """Name the file and record it, unless the ledger knows its UID already.

        A file that has the place but no row was never answered with 0000: it is replaced.
        """
        instance = received.instance
        if instance.path.exists():
            known = self._store.find(instance.sop_instance_uid)
            if known is not None:
                same = known.instance.sha256 == instance.sha256
                return Recorded.DUPLICATE if same else Recorded.CONFLICT
        self._spool.keep(data_set.file, instance.path)
        return self._commits.submit(received)

    def _refuse(self, data_set: SpooledDataSet, problems: Sequence[Problem]) -> StoreAnswer:
        fault = fault_of(problems)
        self._count(problems[0].code)
        kept = fault.keep and data_set.problem is None and self._quarantine(data_set, problems)
        log.warning(
            "instance.refused",
            **_context(data_set.file_meta),
            status=f"{fault.status:04X}",
            problems=[problem.code for problem in problems],
            quarantined=kept,
        )
        return failure(problems)

    def _quarantine(self, data_set: SpooledDataSet, problems: Sequence[Problem]) -> bool:
        meta = data_set.file_meta
        try:
            path = self._spool.quarantine(data_set.file, name=data_set.sha256)
            self._store.quarantine(
                path=path,
                calling_ae_title=meta.calling_ae_title,
                status=fault_of(problems).status,
                problems=problems,
                sop_instance_uid=meta.sop_instance_uid,
            )
        except (OSError, SQLAlchemyError, TryLater):
            log.exception("quarantine.failed", **_context(meta))
            return False
        return True

    def _count(self, outcome: str) -> None:
        with self._counts_lock:
            self.counts[outcome] += 1


def describe(
    header: PeekedHeader, file_meta: FileMeta, *, place: Path, sha256: str, size_bytes: int
) -> ReceivedInstance:
    """Put together what the ledger keeps of a received object."""
    return ReceivedInstance(
        instance=InstanceRef(
            sop_instance_uid=header.sop_instance_uid,
            sop_class_uid=header.sop_class_uid,
            transfer_syntax_uid=file_meta.transfer_syntax_uid,
            path=place,
            sha256=sha256,
        ),
        study_instance_uid=header.study_instance_uid,
        series_instance_uid=header.series_instance_uid,
        modality=header.modality,
        calling_ae_title=file_meta.calling_ae_title,
        size_bytes=size_bytes,
    )


def _context(file_meta: FileMeta) -> dict[str, str]:
    uid = file_meta.sop_instance_uid
    return {
        "sop_instance_uid": uid if is_uid(uid) else "invalid",
        "calling_ae_title": file_meta.calling_ae_title,
    }
