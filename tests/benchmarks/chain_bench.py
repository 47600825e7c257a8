"""Speed and memory of the whole chain: a study in by C-STORE, SEG and SR accepted by an archive.

``python tests/benchmarks/chain_bench.py [--quick] [--large] [--runs N] [--out FILE]`` starts a
node as a process of its own, warms its worker with one study, and prints a markdown table. Every
run has new UIDs. Time runs from the row of the last object in the ledger (its file is safe then)
to the archive's last answer, and includes the quiet time of 1 s. Stages are those of the ledger.
Memory is the highest resident set since the runs of a kind began, as the kernel counts it.

The bundle is the repository's, or that of ``ONCONODE_MODELS_DIR``.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from chain_series import SentSeries, write_demo_series, write_large_series
from running_node import RunningNode, node_beside_archive

from node.emulate.archive import Archive, Receipt
from node.jobs.job import Job
from node.jobs.state import FINISHED, JobState
from node.jobs.timing import stage_seconds

QUIET_TIME_S = 1.0
LOOK_S = 0.2
STUDY_S = 1800.0
"""Bound for one study, however slow the machine."""
WATCHED = ("listener", "worker-1")
STAGES = ("assemble", "wait", "load", "read", "segment", "radiomics", "classify", "report", "send")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One study."""

    sending_s: float
    total_s: float
    stages_s: dict[str, float]
    lesions: int


@dataclass(kw_only=True)
class Kind:
    """Studies of one kind and what they took."""

    name: str
    write: Callable[[Path], SentSeries]
    runs: int
    done: list[Run] = field(default_factory=list)
    peak_mb: dict[str, float] = field(default_factory=dict)
    left_mb: dict[str, float] = field(default_factory=dict)


class Clockwork:
    """A running node with an archive that notes the time of every receipt."""

    def __init__(self, node: RunningNode, archive: Archive) -> None:
        self.node = node
        self._archive = archive
        self._received_at_s: dict[str, float] = {}
        archive.on_receipt = self._note

    def _note(self, receipt: Receipt) -> None:
        self._received_at_s[receipt.sop_instance_uid] = time.time()

    def run(self, series: SentSeries) -> Run:
        """Send one study and wait until SEG and SR are in the archive."""
        begin_s = time.perf_counter()
        self.node.send(series.paths)
        sending_s = time.perf_counter() - begin_s
        parts, study = self.node.parts, series.study_instance_uid
        last_byte_s = parts.store.last_received(study).timestamp()
        job = self._wait_for_end(study)
        events = parts.ledger.events(job.job_id)
        sent = [one["sop_instance_uid"] for one in job.result["evidence"]]
        received_at_s = [self._received_at_s[uid] for uid in sent if uid]
        return Run(
            sending_s=sending_s,
            total_s=max(received_at_s) - last_byte_s,
            stages_s={"assemble": events[0].at.timestamp() - last_byte_s - QUIET_TIME_S}
            | stage_seconds(events),
            lesions=len(job.result["lesions"]),
        )

    def _wait_for_end(self, study: str) -> Job:
        def is_over() -> bool:
            job = self.node.job(study)
            return job is not None and job.state in FINISHED

        self.node.wait_for(is_over, f"the results of {study}", STUDY_S, look_s=LOOK_S)
        job = self.node.job(study)
        if job is None or job.state is not JobState.DELIVERED:
            raise RuntimeError(f"a study was not delivered\n{self.node.log_tail()}")
        return job

    def forget_peaks(self) -> None:
        """Let the kernel count the highest resident set from here on (proc(5), clear_refs)."""
        for child in WATCHED:
            Path(f"/proc/{self.node.pid(child)}/clear_refs").write_text("5")

    def resident_mb(self, child: str, field_name: str) -> float:
        """Resident set of a process: ``VmHWM``, the highest since then, or ``VmRSS``, now."""
        status = Path(f"/proc/{self.node.pid(child)}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(field_name))
        return int(line.split()[1]) * 1024 / 1e6


@contextmanager
def running_chain(folder: Path) -> Iterator[Clockwork]:
    """Start archive and node, and stop them at the end."""
    settings = {"assemble": {"quiet_time_s": QUIET_TIME_S}}
    with node_beside_archive(folder, "bench", settings) as (node, archive):
        yield Clockwork(node, archive)


def measure(kind: Kind, chain: Clockwork) -> None:
    """Do all runs of a kind; each study is written just before and removed after it."""
    chain.forget_peaks()
    for number in range(1, kind.runs + 1):
        with tempfile.TemporaryDirectory(prefix="chain-bench-series-") as folder:
            run = chain.run(kind.write(Path(folder)))
        kind.done.append(run)
        print(f"{kind.name}, run {number}: {run.total_s:.1f} s", file=sys.stderr)
    kind.peak_mb = {child: chain.resident_mb(child, "VmHWM") for child in WATCHED}
    kind.left_mb = {child: chain.resident_mb(child, "VmRSS") for child in WATCHED}


def table_of(kinds: Sequence[Kind]) -> str:
    """Medians of all kinds as markdown."""
    rows: list[tuple[str, Callable[[Kind], str]]] = [
        ("runs", lambda kind: str(len(kind.done))),
        ("lesions found", lambda kind: str(kind.done[-1].lesions)),
        ("sending, one association (s)", lambda kind: _median(run.sending_s for run in kind.done)),
        (
            "**last byte in to SEG and SR accepted (s)**",
            lambda kind: f"**{_median(run.total_s for run in kind.done)}**",
        ),
        (
            "slowest run (s)",
            lambda kind: f"{max(run.total_s for run in kind.done):.2f}",
        ),
        (
            f"net of the quiet time of {QUIET_TIME_S:g} s (s)",
            lambda kind: _median(run.total_s - QUIET_TIME_S for run in kind.done),
        ),
        *((f"- {stage} (s)", partial(_median_of_stage, stage)) for stage in STAGES),
        *((f"peak RSS, {child} (MB)", partial(_peak, child)) for child in WATCHED),
        *((f"RSS afterwards, {child} (MB)", partial(_left, child)) for child in WATCHED),
    ]
    lines = [
        "| | " + " | ".join(kind.name for kind in kinds) + " |",
        "|---|" + "---:|" * len(kinds),
        *(
            f"| {label} | " + " | ".join(show(kind) for kind in kinds) + " |"
            for label, show in rows
        ),
    ]
    return "\n".join(lines)


def _median(values: Iterator[float]) -> str:
    return f"{statistics.median(values):.2f}"


def _median_of_stage(stage: str, kind: Kind) -> str:
    return _median(run.stages_s.get(stage, 0.0) for run in kind.done)


def _peak(child: str, kind: Kind) -> str:
    return f"{kind.peak_mb[child]:.0f}"


def _left(child: str, kind: Kind) -> str:
    return f"{kind.left_mb[child]:.0f}"


def choose_kinds(arguments: argparse.Namespace) -> list[Kind]:
    """What the arguments ask for, the small ones first."""
    demo_runs, head_runs = (1, 0) if arguments.quick else (arguments.runs, min(arguments.runs, 3))
    kinds = [Kind(name="demo study, 25 x 256²", write=write_demo_series, runs=demo_runs)]
    if head_runs:
        write = partial(write_large_series, slices=300)
        kinds.append(Kind(name="MR, 300 x 512²", write=write, runs=head_runs))
    if arguments.large:
        write = partial(write_large_series, slices=2000)
        kinds.append(Kind(name="MR, 2000 x 512²", write=write, runs=1))
    return kinds


def describe(kinds: Sequence[Kind]) -> str:
    """What was measured, in words."""
    head = (
        f"Median over the runs, worker warm, quiet time {QUIET_TIME_S:g} s, {os.cpu_count()} "
        f"cores, Python {platform.python_version()}. `assemble` is what follows the quiet time "
        "until there is a job; `send` ends when the ledger has both answers."
    )
    if any("2000" in kind.name for kind in kinds):
        head += (
            " The 2,000 slices (1 GB) are an MR head resampled, stacked up and down and sent to "
            "the brain bundle: there is no bundle for CT yet."
        )
    return head


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one run of the demo study only")
    parser.add_argument("--large", action="store_true", help="also 2,000 slices, once")
    parser.add_argument("--runs", type=int, default=5, help="of the demo study; at most 3 of 300")
    parser.add_argument("--out", type=Path, help="file for the table")
    arguments, _ = parser.parse_known_args()  # `make bench` hands all benchmarks the same ones
    kinds = choose_kinds(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="chain-bench-") as folder,
        running_chain(Path(folder)) as chain,
    ):
        warm = Kind(name="warm-up", write=write_demo_series, runs=1)
        for kind in (warm, *kinds):
            measure(kind, chain)
    text = f"{describe(kinds)}\n\n{table_of(kinds)}\n"
    print(f"\n{text}")
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
