"""Receive speed: 300 CT slices of 0.53 MB to this node's listener, dcmtk storescp and Orthanc.

``python tests/benchmarks/receive_bench.py [--slices N] [--rounds N] [--quick]`` prints a markdown
table. Runs are interleaved (node, storescp, Orthanc, node, ...), every run starts from an empty
folder and with a server of its own, and medians are compared. The node synchronises every object
and its row before it answers; storescp and Orthanc run as Debian ships them.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pydicom
from free_ports import free_port
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

AE_TITLE = "ONCONODE"
SENDERS = (1, 4, 8)
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
START_TIMEOUT_S = 30


@dataclass
class Run:
    """One sending of the whole series."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    received: int


@dataclass
class Peer:
    """A server under test: how to start it in a folder, and how to count what it has."""

    name: str
    command: Callable[[Path, int], Sequence[str]]
    count: Callable[[Path], int]
    runs: dict[int, list[Run]] = field(default_factory=dict)


def write_series(folder: Path, slices: int) -> None:
    """Write a CT-like series: a noisy ellipse with soft tissue, bone and air."""
    noise = np.random.default_rng(20261101)
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    body = np.where((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1, 40, -1000)
    body[(x / 0.12) ** 2 + ((y - 0.4) / 0.12) ** 2 < 1] = 700
    root = "1.2.826.0.1.3680043.10.999"
    for number in range(slices):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = f"{root}.3.{number + 1}"
        ds.Modality = "CT"
        ds.PatientName, ds.PatientID = "Phantom^Bench", "BENCH"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{root}.1", f"{root}.2"
        ds.InstanceNumber = number + 1
        ds.ImagePositionPatient = [-180, -180, number]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing, ds.SliceThickness = [0.703, 0.703], 1
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows = ds.Columns = 512
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope = 0, 1
        ds.PixelData = (body + noise.normal(0, 15, body.shape)).astype("<i2").tobytes()
        pydicom.dcmwrite(folder / f"{number:04d}.dcm", ds, enforce_file_format=True)


def serve_listener(folder: Path, port: int) -> None:
    """Run the node's listener until the process is ended: the child process of a benchmark."""
    import structlog

    from node.config.settings import NodeSettings
    from node.receive.association_log import AssociationLog
    from node.receive.scp import Listener
    from node.storage.associations import AssociationStore
    from node.storage.database import open_database, sqlite_url
    from node.storage.instances import InstanceStore
    from node.storage.spool import Spool

    structlog.configure(
        logger_factory=structlog.WriteLoggerFactory((folder / "node.log").open("w")),
        processors=[structlog.processors.JSONRenderer()],
    )
    engine = open_database(sqlite_url(folder))
    listener = Listener(
        settings=NodeSettings(ae_title=AE_TITLE, port=port),
        peers=(),
        store=InstanceStore(engine),
        spool=Spool(folder / "spool"),
        associations=AssociationLog(AssociationStore(engine), listener="benchmark"),
    )
    listener.start()
    threading.Event().wait()


def node_command(folder: Path, port: int) -> Sequence[str]:
    """Command of the listener."""
    return (sys.executable, __file__, "--serve", str(folder), "--port", str(port))


def storescp_command(folder: Path, port: int) -> Sequence[str]:
    """Command of dcmtk's receiver, with one process for each association."""
    return ("storescp", "--fork", "-aet", AE_TITLE, "-od", str(folder), str(port))


def orthanc_command(folder: Path, port: int) -> Sequence[str]:
    """Command of Orthanc; the settings are written beside."""
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "DicomAet": AE_TITLE,
        "DicomPort": port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "HttpServerEnabled": False,
        "Plugins": [],
        "ConcurrentJobs": 1,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    return ("Orthanc", str(path))


def count_large_files(folder: Path) -> int:
    """Count files of the size of a slice, whatever their names."""
    return sum(
        path.stat().st_size > 500_000
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("index", "onconode.db", "node.log"))
    )


@contextmanager
def running(peer: Peer, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Start a server, wait until its port answers, stop it at the end."""
    port = free_port()
    process = subprocess.Popen(
        peer.command(folder, port),
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while subprocess.run(
            ("echoscu", "-aec", AE_TITLE, "127.0.0.1", str(port)),
            env=ENVIRONMENT,
            capture_output=True,
            check=False,
        ).returncode:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{peer.name} did not start")
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def send(files: Sequence[Path], senders: int, port: int) -> None:
    """Send all files, dealt out to parallel storescu."""
    commands = [
        subprocess.Popen(
            ("storescu", "-R", "-aec", AE_TITLE, "127.0.0.1", str(port), *files[n::senders]),
            env=ENVIRONMENT,
        )
        for n in range(senders)
    ]
    if any([command.wait() for command in commands]):  # noqa: C419 - every one is waited for
        raise RuntimeError("a storescu failed")


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time of a server and of the children that it waited for."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def measure(peer: Peer, files: Sequence[Path], senders: int) -> Run:
    """Time one sending and watch the server's memory."""
    folder = Path(tempfile.mkdtemp(prefix="receive-bench-"))
    try:
        with running(peer, folder) as (port, process):
            peaks, done = [0], threading.Event()

            def watch() -> None:
                while not done.wait(0.05):
                    peaks.append(process.memory_info().rss)

            watcher = threading.Thread(target=watch)
            watcher.start()
            begin, cpu_before = time.perf_counter(), cpu_seconds(process)
            send(files, senders, port)
            seconds = time.perf_counter() - begin
            spent = cpu_seconds(process) - cpu_before
            done.set()
            watcher.join()
            received = peer.count(folder)
        return Run(
            seconds=seconds,
            cpu_seconds=spent,
            peak_rss_mb=max(peaks) / 1e6,
            received=received,
        )
    finally:
        shutil.rmtree(folder)


def print_table(peers: Sequence[Peer], slices: int, rounds: int) -> None:
    """Print medians, rates and ratios as markdown."""
    print(f"\n{slices} CT slices of 0.53 MB, median of {rounds} interleaved runs\n")
    print("| senders | server | seconds | objects/s | seconds / node | CPU ms/object | RSS (MB) |")
    print("|---|---|---|---|---|---|---|")
    for senders in SENDERS:
        own = statistics.median(run.seconds for run in peers[0].runs[senders])
        for peer in peers:
            runs = peer.runs[senders]
            seconds = statistics.median(run.seconds for run in runs)
            rss = max(run.peak_rss_mb for run in runs)
            cpu_ms = 1e3 * statistics.median(run.cpu_seconds for run in runs) / slices
            ratio = "" if peer is peers[0] else f"{seconds / own:.2f}"
            memory = f"{rss:.0f}" if peer.name != "dcmtk storescp" else "one process each"
            print(
                f"| {senders} | {peer.name} | {seconds:.2f} | {slices / seconds:.0f} "
                f"| {ratio} | {cpu_ms:.1f} | {memory} |"
            )


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="one round of 60 slices")
    arguments, _ = parser.parse_known_args()  # `make bench` hands all benchmarks the same ones
    if arguments.quick:
        arguments.slices, arguments.rounds = 60, 1
    if arguments.serve:
        serve_listener(arguments.serve, arguments.port)
        return
    peers = [Peer("node", node_command, count_large_files)]
    for program, name, command in (
        ("storescp", "dcmtk storescp", storescp_command),
        ("Orthanc", "Orthanc", orthanc_command),
    ):
        if shutil.which(program):
            peers.append(Peer(name, command, count_large_files))
        else:
            print(f"{program} is not installed: left out", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="receive-bench-series-") as series:
        write_series(Path(series), arguments.slices)
        files = sorted(Path(series).iterdir())
        for _ in range(arguments.rounds):
            for senders in SENDERS:
                for peer in peers:
                    run = measure(peer, files, senders)
                    if run.received != arguments.slices:
                        print(
                            f"{peer.name} has {run.received} of {arguments.slices} objects",
                            file=sys.stderr,
                        )
                    peer.runs.setdefault(senders, []).append(run)
    print_table(peers, arguments.slices, arguments.rounds)


if __name__ == "__main__":
    main()
