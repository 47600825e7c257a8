"""The settings of a node as frozen models; unknown keys are refused.

Each file of the configuration has a module of its own; callers take their settings from here.
"""

from node.config.fields import Frozen
from node.config.node_yaml import (
    OWN_ARCHIVE,
    AssembleSettings,
    AuditSettings,
    DeliverSettings,
    DiskSettings,
    FeedbackSettings,
    JobSettings,
    LogSettings,
    MetricsSettings,
    NodeSettings,
    PriorsSettings,
    ReceiveSettings,
    ReportSettings,
    TlsSettings,
    TriageSettings,
    WebSettings,
)
from node.config.peers_yaml import DicomWeb, Fhir, Hl7, Peer, Permission, WebService
from node.config.routing_yaml import PartChoice, Range, RoutingRule, SequenceMatch, SeriesMatch

__all__ = [
    "OWN_ARCHIVE",
    "AssembleSettings",
    "AuditSettings",
    "DeliverSettings",
    "DicomWeb",
    "DiskSettings",
    "FeedbackSettings",
    "Fhir",
    "Hl7",
    "JobSettings",
    "LogSettings",
    "MetricsSettings",
    "NodeSettings",
    "PartChoice",
    "Peer",
    "Permission",
    "PriorsSettings",
    "Range",
    "ReceiveSettings",
    "ReportSettings",
    "RoutingRule",
    "SequenceMatch",
    "SeriesMatch",
    "Settings",
    "TlsSettings",
    "TriageSettings",
    "WebService",
    "WebSettings",
]


class Settings(Frozen):
    """Everything that the node reads at start."""

    node: NodeSettings = NodeSettings()
    peers: tuple[Peer, ...] = ()
    routing: tuple[RoutingRule, ...] = ()

    def peer(self, name: str) -> Peer:
        """Return the peer of that name; KeyError if there is none."""
        for peer in self.peers:
            if peer.name == name:
                return peer
        raise KeyError(name)
