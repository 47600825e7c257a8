"""The observer: what monitoring and the audit repository see of a node.

A process of its own, so that neither a scrape nor a repository that does not answer takes
anything from those that receive and analyse.
"""

import structlog

from node.bootstrap.health import look_whether_ready
from node.bootstrap.http_service import HttpService
from node.bootstrap.metrics import NodeCollector
from node.bootstrap.parts import Parts
from node.config.settings import NodeSettings
from node.telemetry.audit.syslog import SyslogForwarder, tls_context
from node.telemetry.audit.trail import FOLDER

log = structlog.get_logger()


def is_observer_wanted(node: NodeSettings) -> bool:
    """Tell whether there is anything for an observer to do."""
    return bool(node.metrics.port or (node.audit.enabled and node.audit.syslog_host))


class Observer:
    """Serves metrics and health, and forwards the audit trail.

    Parameters
    ----------
    parts : Parts

    Raises
    ------
    SetupFault
        A port cannot be bound, or a certificate cannot be used.
    """

    def __init__(self, parts: Parts) -> None:
        node = parts.settings.node
        self._forwarder: SyslogForwarder | None = None
        if node.audit.enabled and node.audit.syslog_host:
            self._forwarder = SyslogForwarder(
                node.data_dir / FOLDER, node.audit, tls_context(node.audit)
            )
        self._service: HttpService | None = None
        if node.metrics.port:
            collector = NodeCollector(
                parts,
                unsent_bytes=self._forwarder.unsent_bytes if self._forwarder else None,
            )
            self._service = HttpService(
                address=node.metrics.bind_address,
                port=node.metrics.port,
                collector=collector,
                look=lambda: look_whether_ready(parts),
            )
            collector.follow()

    def start(self) -> None:
        """Serve and forward in threads."""
        if self._service is not None:
            self._service.start()
        if self._forwarder is not None:
            self._forwarder.start()

    def stop(self) -> None:
        """End both."""
        if self._service is not None:
            self._service.stop()
        if self._forwarder is not None:
            self._forwarder.stop()
