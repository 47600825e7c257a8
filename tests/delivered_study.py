"""A node with a delivered result of two lesions, and a listener for what is said of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from factories_receive import storescu
from factories_report import SeriesOnDisk, axes, make_labels, make_report, make_series
from free_ports import free_port

from node.bootstrap.assembling import Assembler
from node.bootstrap.hearing import Hearing
from node.bootstrap.parts import Parts
from node.config.settings import (
    AssembleSettings,
    NodeSettings,
    Peer,
    ReportSettings,
    RoutingRule,
    SeriesMatch,
    Settings,
)
from node.domain.feedback import Feedback
from node.jobs.job import Job
from node.jobs.state import JobState
from node.receive.scp import Listener
from node.report.write import write_evidence

SHAPE = (9, 48, 40)
GRID = axes(shape=SHAPE, rotation_deg=(10, 5, 20))
"""Oblique: nothing may hold along the axes of the patient only."""


@dataclass(frozen=True)
class Site:
    """A node with a delivered result of two lesions, the first malignant, the second benign."""

    parts: Parts
    listener: Listener
    series: SeriesOnDisk
    labels: np.ndarray
    job: Job
    folder: Path

    def send(self, *paths: Path) -> None:
        storescu(self.listener.port, "-aet", "VIEWER", *paths)

    def hear(self) -> tuple[Feedback, ...]:
        """Hear what came; return what is current, by lesion."""
        Hearing(self.parts).tick()
        found = self.parts.feedback.list()
        return tuple(sorted(found, key=lambda each: each.opinion.tracking_uid or ""))

    def said(self, *paths: Path) -> tuple[Feedback, ...]:
        self.send(*paths)
        return self.hear()

    def outcomes(self) -> set[str]:
        """What became of the objects that are no results."""
        with self.parts.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT outcome FROM heard_objects").all()
        return {row[0] for row in rows}

    def result(self, kind: str) -> Path:
        (path,) = {each.path for each in self.deliveries() if each.kind == kind}
        return path

    def deliveries(self) -> list[Any]:
        return self.parts.ledger.deliveries(self.job.job_id)

    def tracking_uid(self, number: int) -> str:
        lesions: list[dict[str, Any]] = self.job.result["lesions"]
        return str(lesions[number - 1]["tracking_uid"])

    def assemble(self) -> None:
        while Assembler(self.parts).tick():
            pass


def work(parts: Parts, series: SeriesOnDisk, labels: np.ndarray, folder: Path) -> Job:
    """Do what a worker and the outbox do, with a mask that is given."""
    job = parts.ledger.claim("worker")
    assert job is not None
    report = make_report(series.volume, labels)
    evidence = write_evidence(
        report,
        series.volume,
        source_paths=list(series.paths),
        out_dir=folder / "results",
        prefix="x",
        settings=ReportSettings(),
    )
    findings = {finding.lesion_number: finding for finding in report.findings}
    result = {
        "bundle": {"name": "b", "version": "1", "digest": "5f" * 32},
        "lesions": [
            {
                "number": lesion.number,
                "tracking_uid": lesion.tracking_uid,
                "assessment": findings[lesion.number].assessment.meaning,
                "malignancy_probability": findings[lesion.number].malignancy_probability,
            }
            for lesion in report.segmentation.lesions
        ],
        "evidence": [
            {
                "kind": item.kind.value,
                "file": item.path.name,
                "sop_class_uid": item.sop_class_uid,
                "sop_instance_uid": item.sop_instance_uid,
                "series_instance_uid": item.series_instance_uid,
            }
            for item in evidence
        ],
    }
    parts.ledger.finish(job.job_id, "worker", evidence=evidence, result=result)
    for delivery in parts.ledger.claim_deliveries("outbox"):
        if delivery.destination == "pacs":
            parts.ledger.delivery_done(delivery.delivery_id, "outbox")
    done = parts.ledger.get(job.job_id)
    is_all = set(job.destinations) == {"pacs"}
    assert done.state is (JobState.DELIVERED if is_all else JobState.SENDING)
    return done


@contextmanager
def delivered_study(
    folder: Path,
    peers: tuple[Peer, ...] = (),
    port: int = 0,
    *,
    destinations: tuple[str, ...] = ("pacs",),
) -> Iterator[Site]:
    """Run a listener, send it a study of an oblique MR, and make its result.

    It is delivered to ``pacs``; to other destinations it is still to be sent.
    """
    node = NodeSettings(
        port=port or free_port(),
        data_dir=folder / "data",
        models_dir=folder / "models",
        assemble=AssembleSettings(quiet_time_s=0),
    )
    rule = RoutingRule(
        name="mr", match=SeriesMatch(modality=("MR",)), bundle="b", destinations=destinations
    )
    parts = Parts(settings=Settings(node=node, peers=peers, routing=(rule,)))
    listener = Listener(settings=node, peers=peers, store=parts.store, spool=parts.spool)
    listener.start()
    try:
        series = make_series(folder / "study", GRID)
        labels = make_labels(SHAPE, 2)
        storescu(listener.port, *series.paths)
        while Assembler(parts).tick():
            pass
        job = work(parts, series, labels, folder)
        yield Site(parts, listener, series, labels, job, folder)
    finally:
        listener.stop()
        parts.engine.dispose()
