"""Whether a receiver of messages is there, without telling it of any patient."""

import time
from collections.abc import Mapping
from typing import Any

from node.config.settings import DeliverSettings, Peer
from node.deliver.fhir import read_capabilities
from node.deliver.mllp import open_line
from node.domain.errors import SetupFault

R4 = ("4.0", "4.3")
"""Versions whose resources are those that are sent; 4.3 is R4B."""


def greet(peer: Peer, settings: DeliverSettings) -> tuple[str, str]:
    """Connect to a receiver; of a FHIR server also read what it can do.

    Returns
    -------
    tuple of str
        What was found, and what of it stands in the way of sending; empty where nothing does.

    Raises
    ------
    TryLater
        If it cannot be reached.
    SetupFault
        If it is no such receiver, or a secret cannot be read.
    """
    begun = time.monotonic()
    if peer.fhir is None:
        with open_line(peer, settings):
            pass
        return f"connected in {_ms(begun)}; HL7 has no question that changes nothing", ""
    told = read_capabilities(peer, settings)
    try:
        return _judge(told, _ms(begun))
    except (AttributeError, TypeError):
        raise SetupFault(f"{peer.name}: its CapabilityStatement cannot be read") from None


def _judge(told: Mapping[str, Any], took: str) -> tuple[str, str]:
    version = str(told.get("fhirVersion", "unknown"))
    found = f"FHIR {version} answered in {took}"
    if not version.startswith(R4):
        return found, "its version is not R4"
    interactions = {
        each.get("code")
        for rest in told.get("rest") or ()
        if rest.get("mode") == "server"
        for each in rest.get("interaction") or ()
    }
    return found, "" if "transaction" in interactions else "it offers no transactions"


def _ms(begun: float) -> str:
    return f"{1000 * (time.monotonic() - begun):.0f} ms"
