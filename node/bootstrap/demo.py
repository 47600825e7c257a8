"""The demo: a node and an archive of their own, a real study, and what came of it."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydicom import dcmread
from pydicom.uid import SegmentationStorage

from node.bootstrap.parts import Parts
from node.config.load import load_settings
from node.config.settings import DeliverSettings, Peer, Settings
from node.deliver.c_echo import echo
from node.domain.errors import InputRejected, OncoNodeError, TryLater
from node.emulate.modality import send_files
from node.emulate.phantom import WrittenSeries, write_case
from node.evaluation.overlap import measure_dice
from node.jobs.job import Job
from node.jobs.state import FINISHED, JobState
from node.jobs.timing import stage_seconds
from node.report.verify import decode_frames

LOOPBACK = "127.0.0.1"
NODE_AE, ARCHIVE_AE, MODALITY_AE = "ONCONODE", "ARCHIVE", "MODALITY"
STAGES = ("load", "read", "segment", "radiomics", "classify", "compare", "report")
LOOK_INTERVAL_S = 0.1
MARKER = "onconode-demo"

Progress = Callable[[str, float], None]
"""Takes what is going on, and the share of the whole that is done."""


class NotDelivered(OncoNodeError):
    """The study was processed, or not, but its results are not in the archive."""


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo saw.

    Parameters
    ----------
    result : dict
        As in ``result.json``.
    dice : float
        Of the SEG that the archive received against the reference mask.
    seconds : dict of str to float
        Every stage, from the last byte sent to the last answer of the archive.
    total_s : float
        From the last byte sent to both objects accepted.
    seg, sr, overlay : Path or None
        Objects as the archive received them, and the picture; no SEG when nothing was found.
    """

    result: dict[str, Any]
    dice: float
    seconds: dict[str, float]
    total_s: float
    seg: Path | None
    sr: Path
    overlay: Path


class Demo:
    """Node, archive and study below one folder.

    Parameters
    ----------
    folder : Path
        Emptied first if an earlier demo made it.
    models_dir : Path
    case : str
        Sample case, see ``node.emulate.phantom``.
    """

    def __init__(self, folder: Path, *, models_dir: Path, case: str = "brain1") -> None:
        self.folder = folder.resolve()
        self.models_dir = models_dir.resolve()
        self.case = case
        self._processes: list[subprocess.Popen[str]] = []

    @property
    def config_dir(self) -> Path:
        """Configuration of the demo's node."""
        return self.folder / "conf"

    @property
    def log_file(self) -> Path:
        """Log of the demo's node."""
        return self.folder / "node.log"

    @property
    def archive_dir(self) -> Path:
        """What the archive received."""
        return self.folder / "archive"

    @property
    def process_ids(self) -> list[str]:
        """Of archive and node, to stop them by hand."""
        return [str(process.pid) for process in self._processes]

    @contextmanager
    def running(self, *, keep: bool, progress: Progress) -> Iterator[Settings]:
        """Start archive and node, wait until the node answers C-ECHO, and stop them at the end.

        Raises
        ------
        TryLater
            If either does not come up; the log tells why.
        """
        self._prepare()
        done = False
        try:
            progress("starting the archive", 0.02)
            archive_port = self._start_archive()
            progress("starting the node", 0.05)
            settings = self._start_node(archive_port)
            yield settings
            done = True
        finally:
            if not (keep and done):
                self.stop()

    def stop(self) -> None:
        """Stop node and archive."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()

    def send_and_wait(
        self, settings: Settings, *, timeout_s: float, progress: Progress
    ) -> DemoResult:
        """Send the sample study over DICOM and wait for SEG and SR in the archive.

        Raises
        ------
        InputRejected
            If the node refused the study.
        NotDelivered
            If processing or sending failed, or took too long.
        """
        progress("writing the study", 0.1)
        series = write_case(self.case, self.folder / "study", orientation="axial")
        progress("sending the study", 0.12)
        sent = send_files(
            series.paths,
            host=LOOPBACK,
            port=settings.node.port,
            called_ae=NODE_AE,
            calling_ae=MODALITY_AE,
        )
        refused = [one for one in sent if one.status != 0]
        if refused:
            raise NotDelivered(f"the node refused {len(refused)} of {len(sent)} objects")
        start = time.monotonic()
        parts = Parts(settings=settings)
        job = self._wait_for_job(parts, series, deadline=start + timeout_s, progress=progress)
        total_s = time.monotonic() - start
        if job.state is JobState.REJECTED:
            raise InputRejected(job.problems)
        if job.state is not JobState.DELIVERED:
            raise NotDelivered(f"the job ended {job.state.value}: {job.error}; see {self.log_file}")
        return self._collect(parts, job, series, total_s)

    def _prepare(self) -> None:
        if (self.folder / MARKER).exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.iterdir()):
            raise NotDelivered(f"{self.folder} is not empty and no earlier demo made it")
        (self.folder / MARKER).touch()

    def _start_archive(self) -> int:
        argv = ["-m", "node.emulate.archive", "--dir", str(self.archive_dir)]
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, *argv, "--ae-title", ARCHIVE_AE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        assert process.stdout is not None
        words = process.stdout.readline().split()
        if not words:
            raise TryLater("the archive of the demo did not start")
        return int(words[-1])

    def _start_node(self, archive_port: int) -> Settings:
        self._write_config(archive_port)
        settings = load_settings(self.config_dir)
        with self.log_file.open("w") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "node.cli", "--config", str(self.config_dir), "serve"],
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._processes.append(process)
        here = Peer(name="here", ae_title=NODE_AE, host=LOOPBACK, port=settings.node.port)
        quick = DeliverSettings(acse_timeout_s=2, dimse_timeout_s=2)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if _is_open(settings.node.port):
                echo(here, calling_ae_title=MODALITY_AE, settings=quick)
                return settings
            time.sleep(LOOK_INTERVAL_S)  # the node is starting; the deadline bounds this
        raise TryLater(f"the node did not answer C-ECHO; its log is {self.log_file}")

    def _write_config(self, archive_port: int) -> None:
        files: dict[str, Any] = {
            "node.yaml": {
                "ae_title": NODE_AE,
                "port": _free_port(),
                "data_dir": str(self.folder / "node"),
                "models_dir": str(self.models_dir),
                "assemble": {"quiet_time_s": 1},
            },
            "peers.yaml": {
                "peers": [
                    {"name": "archive", "ae_title": ARCHIVE_AE, "host": LOOPBACK,
                     "port": archive_port}
                ]
            },
            "routing.yaml": {
                "rules": [
                    {"name": "demo", "match": {"modality": ["MR"]}, "bundle": "brain-t1ce",
                     "destinations": ["archive"]}
                ]
            },
        }  # fmt: skip
        self.config_dir.mkdir(parents=True)
        for name, content in files.items():
            (self.config_dir / name).write_text(yaml.safe_dump(content, sort_keys=False))

    def _wait_for_job(
        self, parts: Parts, series: WrittenSeries, *, deadline: float, progress: Progress
    ) -> Job:
        while time.monotonic() < deadline:
            jobs = parts.ledger.list(study=series.study_instance_uid, limit=1)
            if jobs and jobs[0].state in FINISHED:
                return jobs[0]
            progress(*_describe(jobs[0] if jobs else None))
            time.sleep(LOOK_INTERVAL_S)  # the ledger of another process; the deadline bounds this
        raise NotDelivered(f"no result in time; the node's log is {self.log_file}")

    def _collect(self, parts: Parts, job: Job, series: WrittenSeries, total_s: float) -> DemoResult:
        received = {
            str(dataset.SOPInstanceUID): (path, dataset)
            for path in sorted(self.archive_dir.rglob("*.dcm"))
            for dataset in [dcmread(path)]
        }
        places: dict[str, Path] = {}
        dice = measure_dice(np.zeros(1), series.mask_of(series.source_uids))
        for entry in job.result["evidence"]:
            if not entry["sop_instance_uid"]:
                continue
            if entry["sop_instance_uid"] not in received:
                raise NotDelivered(f"the archive has no {entry['kind']} of this study")
            path, dataset = received[entry["sop_instance_uid"]]
            places[entry["kind"]] = path
            if dataset.SOPClassUID == SegmentationStorage:
                dice = _dice_of_seg(dataset, series)
        overlay = next(parts.spool.results_dir(job.job_id).rglob("*_overlay.png"))
        shown = self.folder / "overlay.png"
        shutil.copyfile(overlay, shown)
        return DemoResult(
            result=dict(job.result),
            dice=dice,
            seconds=stage_seconds(parts.ledger.events(job.job_id)),
            total_s=total_s,
            seg=places.get("seg"),
            sr=places["sr"],
            overlay=shown,
        )


def _dice_of_seg(seg: Any, series: WrittenSeries) -> float:
    """Dice of all segments together against the reference, both on the source's slices."""
    reference = series.mask_of(series.source_uids)
    found = np.zeros_like(reference)
    place = {uid: k for k, uid in enumerate(series.source_uids)}
    for frame in decode_frames(seg):
        found[place[frame.source_uid]] |= frame.pixels
    return measure_dice(found, reference)


def _describe(job: Job | None) -> tuple[str, float]:
    if job is None:
        return "waiting until the study is complete", 0.15
    if job.state is JobState.SENDING:
        return "sending SEG and SR", 0.95
    if job.stage in STAGES:
        return job.stage, 0.3 + 0.65 * STAGES.index(job.stage) / len(STAGES)
    return "waiting for a worker", 0.2


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
