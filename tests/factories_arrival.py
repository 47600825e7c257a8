"""Studies that arrive at a node without its network, object by object."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom import dcmread

from node.bootstrap.parts import Parts
from node.config.settings import AssembleSettings, NodeSettings, RoutingRule, SeriesMatch, Settings
from node.domain.report import Evidence, EvidenceKind
from node.domain.study import InstanceRef
from node.jobs.job import Job
from node.storage.instances import InstanceStore, ReceivedInstance

EVERY_MR = RoutingRule(
    name="all", match=SeriesMatch(modality=("MR",)), bundle="b", destinations=("d",)
)


@dataclass
class Clock:
    """A clock that is turned by hand."""

    at: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.at.timestamp()

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def make_parts(
    data_dir: Path, clock: Clock, *, rules: Sequence[RoutingRule] = (EVERY_MR,), **assemble: object
) -> Parts:
    """A node's storage whose objects arrive by a clock."""
    settings = AssembleSettings(**{"quiet_time_s": 5, "incomplete_wait_s": 100} | assemble)
    node = NodeSettings(data_dir=data_dir, models_dir=data_dir / "models", assemble=settings)
    parts = Parts(settings=Settings(node=node, routing=tuple(rules)))
    parts.__dict__["store"] = InstanceStore(parts.engine, now=clock.now)
    return parts


def receive(parts: Parts, paths: Sequence[Path], *, calling_ae: str = "MODALITY") -> str:
    """Record files as received; return the study's UID."""
    for path in paths:
        header = dcmread(path, stop_before_pixels=True)
        parts.store.record(
            ReceivedInstance(
                instance=InstanceRef(
                    sop_instance_uid=str(header.SOPInstanceUID),
                    sop_class_uid=str(header.SOPClassUID),
                    transfer_syntax_uid=str(header.file_meta.TransferSyntaxUID),
                    path=path,
                    sha256=f"digest of {header.SOPInstanceUID}",
                ),
                study_instance_uid=str(header.StudyInstanceUID),
                series_instance_uid=str(header.SeriesInstanceUID),
                modality=str(header.Modality),
                calling_ae_title=calling_ae,
                size_bytes=1,
            )
        )
    return str(header.StudyInstanceUID)


def finish(parts: Parts, job: Job, number: int) -> None:
    """Let a worker finish a job with a report that has a number for a UID."""
    claimed = parts.ledger.claim("worker")
    assert claimed is not None
    assert claimed.job_id == job.job_id
    report = {
        "kind": "sr",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.34",
        "sop_instance_uid": f"2.25.{number}",
        "series_instance_uid": f"2.25.{number}0",
    }
    parts.ledger.finish(
        job.job_id,
        "worker",
        evidence=[
            Evidence(
                kind=EvidenceKind.SR,
                path=Path("sr.dcm"),
                sop_class_uid=report["sop_class_uid"],
                sop_instance_uid=report["sop_instance_uid"],
                series_instance_uid=report["series_instance_uid"],
            )
        ],
        result={"evidence": [report]},
    )
