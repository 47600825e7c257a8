"""Receivers of messages: a RIS, a FHIR server. No test message is sent: it would be a result."""

from node.bootstrap.doctor.reach import bounded
from node.bootstrap.doctor.sheet import Line, Mark
from node.config.settings import Peer, Settings
from node.deliver.greeting import greet
from node.domain.errors import SetupFault, TryLater


def check_receiver(peer: Peer, settings: Settings) -> Line:
    """Connect as a delivery would, and look what a FHIR server can do."""
    check = "HL7" if peer.hl7 else "FHIR"
    tried = f"a connection to {peer.address}" + ("" if peer.hl7 else ", CapabilityStatement")
    try:
        found, obstacle = greet(peer, bounded(settings.node.deliver))
    except (TryLater, SetupFault) as reason:
        said = str(reason).removeprefix(f"{peer.name}: ")
        remedy = "compare host, port and tls, or url, secrets and ca_file, with the receiver's"
        return Line(
            about=peer.name, check=check, mark=Mark.FAIL, tried=tried, found=said, remedy=remedy
        )
    if obstacle:
        return Line(
            about=peer.name, check=check, mark=Mark.WARN, tried=tried,
            found=f"{found}; {obstacle}",
            remedy="ask the server's operator: results go as transactions of FHIR R4",
        )  # fmt: skip
    return Line(about=peer.name, check=check, mark=Mark.PASS, tried=tried, found=found)
