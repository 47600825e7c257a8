"""Parts that several processes of a node make alike from the settings."""

import socket
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from node.config.running import Running
from node.config.settings import Settings
from node.durable import make_private_folder
from node.jobs.ledger import Ledger
from node.registry.store import ModelStore
from node.storage.associations import AssociationStore
from node.storage.database import open_database, sqlite_url
from node.storage.feedback import FeedbackStore
from node.storage.heard import HeardObjects
from node.storage.instances import InstanceStore
from node.storage.negotiations import NegotiationStore
from node.storage.past_studies import PastStudies
from node.storage.spool import Spool


@dataclass(kw_only=True, eq=False)
class Parts:
    """Storage and ledger of one node, opened when first asked for.

    Parameters
    ----------
    settings : Settings
        In effect now; ask here, at each use, for what may change while the node runs.
    applied : Running, optional
        The kept version that they come from, in a process of a running node.
    """

    settings: Settings
    applied: Running | None = None

    def take_up(self, settings: Settings) -> None:
        """Work by other settings from now on; storage and ledger stay as they were opened."""
        self.settings = settings

    @cached_property
    def engine(self) -> Engine:
        """The database: PostgreSQL where configured, else SQLite in the data folder."""
        node = self.settings.node
        make_private_folder(node.data_dir)
        return open_database(node.database_url or sqlite_url(node.data_dir))

    @property
    def has_database(self) -> bool:
        """Whether there is one already; a server has its own."""
        node = self.settings.node
        return bool(node.database_url) or (node.data_dir / "onconode.db").is_file()

    @cached_property
    def store(self) -> InstanceStore:
        """Rows of what was received."""
        return InstanceStore(self.engine)

    @cached_property
    def associations(self) -> AssociationStore:
        """The latest associations that were asked for here."""
        return AssociationStore(self.engine, keep=self.settings.node.receive.keep_associations)

    @cached_property
    def negotiations(self) -> NegotiationStore:
        """What peers accepted when they were called."""
        return NegotiationStore(self.engine)

    @cached_property
    def spool(self) -> Spool:
        """Files of what was received, and of results."""
        return Spool(self.settings.node.data_dir)

    @cached_property
    def models(self) -> ModelStore:
        """The bundles."""
        return ModelStore(self.settings.node.models_dir)

    @cached_property
    def past(self) -> PastStudies:
        """Headers of past studies."""
        return PastStudies(self.engine)

    @cached_property
    def feedback(self) -> FeedbackStore:
        """What people said of results."""
        return FeedbackStore(self.engine)

    @cached_property
    def heard(self) -> HeardObjects:
        """Which objects were read for it."""
        return HeardObjects(self.engine)

    @cached_property
    def ledger(self) -> Ledger:
        """Jobs and deliveries."""
        jobs, deliver = self.settings.node.jobs, self.settings.node.deliver
        return Ledger(
            self.engine,
            lease_s=jobs.lease_s,
            maximum_attempts=jobs.maximum_attempts,
            retry_backoff_s=jobs.retry_backoff_s,
            retry_backoff_maximum_s=jobs.retry_backoff_maximum_s,
            delivery_maximum_attempts=deliver.maximum_attempts,
            delivery_backoff_s=deliver.retry_backoff_s,
            delivery_backoff_maximum_s=deliver.retry_backoff_maximum_s,
            commitment={
                peer.name: peer.commitment == "require"
                for peer in self.settings.peers
                if peer.commitment != "off" and not peer.takes_messages
            },
            maximum_losses=deliver.maximum_losses,
            generator=np.random.default_rng(),  # jitter: retries of several nodes must not meet
        )

    @property
    def owner(self) -> str:
        """Name under which this node claims work."""
        return f"{socket.gethostname()}/{self.settings.node.ae_title}"

    @property
    def run_dir(self) -> Path:
        """Process ids and addresses of a running node."""
        return self.settings.node.data_dir / "run"

    @property
    def scheduler(self) -> str | Path:
        """Address of an existing Dask scheduler, or the file in which ours keeps its own."""
        return self.settings.node.jobs.scheduler_address or self.run_dir / "scheduler.address"
