"""What the page is given of the node; ``bootstrap`` fills it in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fastapi import Request
from sqlalchemy import Engine

from node.config.settings import Peer, Settings
from node.deliver.c_store import SendOutcome
from node.jobs.ledger import Ledger
from node.query.found import Archive, Fetched, Wanted
from node.registry.store import ModelStore
from node.storage.accounts import AccountStore
from node.storage.associations import AssociationStore
from node.storage.instances import InstanceStore
from node.storage.spool import Spool
from node.storage.usage import DiskRoom
from node.telemetry.audit.events import StudyShare
from node.telemetry.audit.trail import AuditTrail


@dataclass(frozen=True, kw_only=True)
class Services:
    """Parts of a node that the page reads and acts on.

    Parameters
    ----------
    settings : callable
        The settings in effect now.
    engine : Engine
    ledger, store, associations, spool, models, accounts
        As elsewhere in the node.
    trail : AuditTrail
        Of the web process.
    share : callable
        Study Instance UID -> what an audit message says of the study.
    disk : callable
        Free space against its marks.
    processes : callable
        Name of each process that should live -> whether it does.
    certificates : callable
        Purpose -> when a certificate that the configuration names ends.
    clock_fault : callable
        What is wrong with the clock of this host; empty: nothing.
    readiness : callable
        Name of a part -> whether it works; the node is ready if all do.
    metrics : callable
        Metrics in the text format of Prometheus.
    now : callable
        Clock; aware UTC.
    archive : callable
        The archive behind a peer.
    fetch : callable
        Has a peer send objects to the node; asked with the peer, what is wanted, and whether by
        C-GET.
    hand_in : callable
        Gives files to the node's listener, under an AE title of their sender.
    """

    settings: Callable[[], Settings]
    engine: Engine
    ledger: Ledger
    store: InstanceStore
    associations: AssociationStore
    spool: Spool
    models: ModelStore
    accounts: AccountStore
    trail: AuditTrail
    share: Callable[[str], StudyShare]
    disk: Callable[[], DiskRoom]
    processes: Callable[[], Mapping[str, bool]]
    certificates: Callable[[], Mapping[str, datetime]]
    clock_fault: Callable[[], str]
    readiness: Callable[[], Mapping[str, bool]]
    metrics: Callable[[], bytes]
    now: Callable[[], datetime]
    archive: Callable[[Peer], Archive]
    fetch: Callable[[Peer, Wanted, bool], Fetched]
    hand_in: Callable[[Sequence[Path], str], Sequence[SendOutcome]]


def services_of(request: Request) -> Services:
    """Return the services of the application that got a request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services
