"""Where the processes of a node write their audit messages: never in the way of their work."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from node.config.settings import AuditSettings
from node.telemetry.audit import codes
from node.telemetry.audit.chain import AuditChain
from node.telemetry.audit.events import Node, security_alert
from node.telemetry.audit.message import AuditMessage, Outcome, encode_message

log = structlog.get_logger()

FOLDER = "audit"
MAXIMUM_PENDING = 1000
MEGABYTE = 1 << 20


def _utc_now() -> datetime:
    return datetime.now(UTC)


class AuditTrail:
    """The audit trail of one process.

    A message that cannot be written (disk full) is kept in memory and written before the next
    one; when too many wait, the oldest are lost, and the trail says how many.

    Parameters
    ----------
    data_dir : Path
        Its folder ``audit`` holds the trail.
    node : Node
        Who speaks.
    settings : AuditSettings
    now : callable
        Clock; aware.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        node: Node,
        settings: AuditSettings,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.node = node
        self.folder = data_dir / FOLDER
        self.keeps_patient_id = settings.patient_id
        self._is_enabled = settings.enabled
        self._chain = AuditChain(self.folder, maximum_file_bytes=settings.file_mb * MEGABYTE)
        self._now = now
        self._lock = threading.Lock()
        self._pending: deque[tuple[str, datetime]] = deque()
        self._lost = 0

    def record(self, message: AuditMessage) -> None:
        """Write a message; what fails is logged and tried again with the next one."""
        if not self._is_enabled:
            return
        with self._lock:
            self._put(message)
            if len(self._pending) > MAXIMUM_PENDING:
                self._pending.popleft()
                self._lost += 1
            try:
                self._write_pending()
            except OSError as error:
                log.error(
                    "audit.not_written",
                    error=error.strerror or type(error).__name__,
                    waiting=len(self._pending),
                    lost=self._lost,
                )

    def _put(self, message: AuditMessage) -> None:
        at = self._now()
        xml = encode_message(message, source_id=self.node.ae_title, at=at)
        self._pending.append((xml, at))

    def _write_pending(self) -> None:
        if self._lost:
            alert = security_alert(
                self.node,
                kind=codes.AUDIT_RECORDING_STOPPED,
                description=f"{self._lost} audit messages could not be written and are lost",
                subject=self.node.ae_title,
                outcome=Outcome.MAJOR_FAILURE,
            )
            at = self._now()
            self._chain.append(encode_message(alert, source_id=self.node.ae_title, at=at), at=at)
            self._lost = 0
        while self._pending:
            xml, at = self._pending[0]
            self._chain.append(xml, at=at)
            self._pending.popleft()
