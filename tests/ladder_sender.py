"""Results in the hands of outbox and ladder, with a clock that stands still."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from factories_report import axes, make_labels, make_report, make_series
from sqlalchemy import Engine

from node.bootstrap.standing_in import StandInMaker
from node.config.settings import DeliverSettings, Peer, ReportSettings
from node.deliver.ladder import FORM_OF_CLASS, Ladder
from node.deliver.outbox import deliver_batch
from node.domain.report import Evidence
from node.jobs.job import DeliveryState
from node.jobs.ledger import Ledger
from node.jobs.state import JobState
from node.language import Readers
from node.report.write import write_evidence
from node.storage.database import open_database, sqlite_url
from node.storage.negotiations import NegotiationStore
from node.storage.spool import Spool
from tests.contract.stopped_clock import StoppedClock

QUICK = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=1)


def make_result(
    folder: Path, *, shape: tuple[int, int, int] = (6, 24, 32), readers: Readers | None = None
) -> tuple[Evidence, ...]:
    """Make what the worker makes of a study with two lesions."""
    series = make_series(folder / "images", axes(shape=shape))
    return write_evidence(
        make_report(series.volume, make_labels(shape, 2)),
        series.volume,
        source_paths=series.paths,
        out_dir=folder / "out",
        prefix="x",
        settings=ReportSettings(),
        readers=readers,
    )


@dataclass
class Sender:
    """Ledger, outbox and ladder of a node, with a clock that stands still."""

    folder: Path
    engine: Engine
    evidence: tuple[Evidence, ...]
    destination: str = "pacs"
    settings: DeliverSettings = QUICK
    attempts: int = 6
    language: str = ""
    clock: StoppedClock = field(default_factory=StoppedClock)

    def __post_init__(self) -> None:
        self.ledger = Ledger(
            self.engine,
            lease_s=60,
            delivery_maximum_attempts=self.attempts,
            commitment={self.destination: False},
            maximum_losses=2,
            now=self.clock,
        )
        self.negotiations = NegotiationStore(self.engine)
        maker = StandInMaker(
            ledger=self.ledger,
            spool=Spool(self.folder / "spool"),
            language_of=lambda _: self.language,
        )
        self.ladder = Ladder(
            ledger=self.ledger, owner="d", make=maker.make, accepted=self.negotiations.accepted
        )
        self.job_id = self.add_job("r")

    def add_job(self, rule: str) -> str:
        job = self.ledger.add_job(
            study_instance_uid="1.2",
            series_instance_uids=["1.2.1"],
            bundle="b",
            rule=rule,
            destinations=[self.destination],
            calling_ae_title="M",
            content_digest="d",
        )
        assert self.ledger.claim("w")
        self.ledger.finish(job.job_id, "w", evidence=self.evidence, result={})
        return job.job_id

    def send_once(self, peer: Peer) -> None:
        deliver_batch(
            self.ledger.claim_deliveries("d"),
            ledger=self.ledger,
            peers=[peer],
            calling_ae_title="ONCONODE",
            settings=self.settings,
            owner="d",
            on_negotiated=self.negotiations.remember,
            ladder=self.ladder,
        )

    def send(self, peer: Peer) -> JobState:
        """Send whatever is due, and let time pass where nothing is, until the job rests."""
        for _ in range(200):
            state = self.ledger.get(self.job_id).state
            if state is not JobState.SENDING:
                return state
            if self.ledger.due_destinations():
                self.send_once(peer)
            else:
                self.clock.pass_seconds(30)
        raise AssertionError("the job does not come to rest")

    def states(self) -> dict[str, DeliveryState]:
        """Form -> state; of reports the one that was made last."""
        return {
            FORM_OF_CLASS[each.sop_class_uid]: each.state
            for each in self.ledger.deliveries(self.job_id)
        }


@contextmanager
def opened_sender(
    folder: Path, result: tuple[Evidence, ...], *, destination: str, settings: DeliverSettings
) -> Iterator[Sender]:
    """Open a sender with a copy of a result."""
    place = folder / "result"
    shutil.copytree(result[0].path.parent, place)
    moved = tuple(
        Evidence(
            kind=each.kind,
            path=place / each.path.name,
            sop_class_uid=each.sop_class_uid,
            sop_instance_uid=each.sop_instance_uid,
            series_instance_uid=each.series_instance_uid,
        )
        for each in result
    )
    engine = open_database(sqlite_url(folder))
    yield Sender(
        folder=folder, engine=engine, evidence=moved, destination=destination, settings=settings
    )
    engine.dispose()
