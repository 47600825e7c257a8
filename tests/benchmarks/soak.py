"""Soak: many small studies from several senders, while processes of the node are killed at random.

``python tests/benchmarks/soak.py [--studies N] [--senders N] [--kills N] [--seed N] [--minutes N]
[--out FILE]`` starts a node and an archive. Each sender sends one study after the other, and sends
again what was not answered with success, as a modality does. Slices go outermost first: a part of
a study then has a gap, by which the node knows that it is a part. Processes get SIGKILL at drawn
moments, the whole node among them. At the end the archive must hold one SEG and one SR of every
study.

The last fifth of the studies is left in peace: it shows whether memory stays flat.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from free_ports import free_port
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage
from resident_sizes import ResidentSizes
from running_node import AE_TITLE, START_S, RunningNode, node_beside_archive
from small_study import write_small_study

from node.domain.errors import TryLater
from node.emulate.archive import Archive, Receipt
from node.emulate.modality import send_files
from node.emulate.mr_headers import sample_uid
from node.jobs.job import Job
from node.jobs.state import FINISHED, JobState

VICTIMS = ("worker-1", "listener", "node", "dispatcher", "scheduler", "observer", "web")
RESULT_CLASSES = frozenset({str(SegmentationStorage), str(Comprehensive3DSRStorage)})
PEACE = 0.8
"""Share of the results after which nothing is killed any more."""
IN_FLIGHT = 4
"""Studies that a sender has sent and that have no result yet; so sending lasts to the end."""
KILL_WITHIN_S = 3.0
SEND_AGAIN_S = 1.0
VISIT_EVERY_S = 1.0
STUCK_S = 600.0
"""Without a new result for so long nothing comes any more."""

NODE = {
    "assemble": {"quiet_time_s": 2, "process_partial": False},
    "jobs": {"lease_s": 10, "poll_interval_s": 0.2, "retry_backoff_s": 0.5},
    "deliver": {"retry_backoff_s": 0.5, "acse_timeout_s": 10, "dimse_timeout_s": 30},
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much, by which draw, and after how many minutes no further study is sent."""

    studies: int
    senders: int
    kills: int
    seed: int
    minutes: float = float("inf")


@dataclass(kw_only=True)
class Outcome:
    """What came of it; every number is of studies where nothing else is said."""

    studies: int = 0
    senders: int = 0
    results: int = 0
    doubled: int = 0
    dead_letters: int = 0
    refused_as_part: int = 0
    done_again: int = 0
    objects_sent_again: int = 0
    visits: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    memory: str = ""
    leaks: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Studies without SEG or without SR."""
        return self.studies - self.results

    def __str__(self) -> str:
        kills = ", ".join(f"{victim} {n}" for victim, n in sorted(self.killed.items()))
        rows = [
            ("studies in", self.studies),
            ("senders", self.senders),
            ("killed", f"{self.killed.total()} ({kills})"),
            ("results out", self.results),
            ("lost", self.lost),
            ("doubled", self.doubled),
            ("dead letters", self.dead_letters),
            ("begun more than once", self.done_again),
            ("refused while a part of them was there", self.refused_as_part),
            ("objects sent again, answer unknown", self.objects_sent_again),
            ("readings of metrics and web page", self.visits),
            ("minutes", f"{self.seconds / 60:.1f}"),
        ]
        lines = ["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)]
        told = ["", f"memory grows: {', '.join(self.leaks)}"] if self.leaks else []
        return "\n".join([*lines, "", self.memory, *told])


class Results:
    """What the archive has of each study, as it comes."""

    def __init__(self, archive: Archive) -> None:
        self.changed = threading.Condition()
        self._found: dict[str, Counter[tuple[str, str, str]]] = {}
        archive.on_receipt = self._take

    def _take(self, receipt: Receipt) -> None:
        if receipt.path is None:
            return
        uid = str(dcmread(receipt.path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
        with self.changed:
            found = self._found.setdefault(uid, Counter())
            found[receipt.sop_class_uid, receipt.sop_instance_uid, receipt.sha256] += 1
            self.changed.notify_all()

    def whole(self) -> int:
        """Studies of which every kind of result is there."""
        with self.changed:
            return sum(self._kinds(found).keys() >= RESULT_CLASSES for found in self.all())

    def doubled(self) -> int:
        """Studies with two results of a kind, or with two contents under one UID."""
        with self.changed:
            return sum(max(self._kinds(found).values()) > 1 for found in self.all())

    def sent_again(self) -> int:
        """Objects that came more than once, the same in every byte."""
        with self.changed:
            return sum(count - 1 for found in self.all() for count in found.values())

    def all(self) -> list[Counter[tuple[str, str, str]]]:
        """Counts of (SOP Class UID, SOP Instance UID, SHA-256), by study."""
        return list(self._found.values())

    @staticmethod
    def _kinds(found: Counter[tuple[str, str, str]]) -> Counter[str]:
        return Counter(sop_class for sop_class, _, _ in found)


class Soak:
    """A node under load, and who sends, kills and watches."""

    def __init__(self, plan: Plan, folder: Path, node: RunningNode, archive: Archive) -> None:
        self.plan = plan
        self.node = node
        self.results = Results(archive)
        self.sizes = ResidentSizes(node, work=self.results.whole)
        self.outcome = Outcome(senders=plan.senders)
        self._folder = folder
        self._template = write_small_study(folder / "template").paths
        self._rng = np.random.default_rng(plan.seed)
        self._identity = str(self._rng.integers(2**63))
        self._stop = threading.Event()
        self._sent = 0
        self._sends_until_s = float("inf")

    def run(self) -> Outcome:
        """Send, kill and wait until every study is at rest."""
        began_s = time.monotonic()
        self._sends_until_s = began_s + 60 * self.plan.minutes
        with ThreadPoolExecutor(self.plan.senders + 3, thread_name_prefix="soak") as pool:
            work = [
                *(pool.submit(self._send_share, each) for each in range(self.plan.senders)),
                pool.submit(self._kill_at_random),
                pool.submit(self.sizes.watch, self._stop),
                pool.submit(self._visit),
            ]
            try:
                self._wait_for_results()
                self._wait_for_rest()
            finally:
                self._stop.set()
                wait(work)
            for each in work:
                each.result()
        self.outcome.seconds = time.monotonic() - began_s
        self._count()
        return self.outcome

    # -- those who send --------------------------------------------------------------------------

    def _send_share(self, sender: int) -> None:
        for number in range(sender, self.plan.studies, self.plan.senders):
            with self.results.changed:
                self.results.changed.wait_for(self._may_send)
                if self._stop.is_set() or time.monotonic() > self._sends_until_s:
                    return
                self._sent += 1
            paths = self._write_study(number)
            self._send(paths, calling_ae=f"MODALITY{sender + 1}")
            for path in paths:
                path.unlink()
            paths[0].parent.rmdir()

    def _may_send(self) -> bool:
        open_studies = self._sent - self.results.whole()
        return self._stop.is_set() or open_studies < IN_FLIGHT * self.plan.senders

    def _write_study(self, number: int) -> tuple[Path, ...]:
        """Write the template under UIDs of its own, outermost slices first."""
        folder = self._folder / f"study{number}"
        folder.mkdir()
        first, *inner, last = self._template
        paths = []
        for path in (first, last, *inner):
            dataset = dcmread(path)
            own = f"{self._identity}/{number}"
            dataset.PatientID = f"SOAK{number}"
            dataset.StudyInstanceUID = sample_uid("study", own)
            dataset.SeriesInstanceUID = sample_uid("series", own)
            dataset.SOPInstanceUID = sample_uid("instance", own, path.stem)
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.save_as(folder / path.name, enforce_file_format=True)
            paths.append(folder / path.name)
        return tuple(paths)

    def _send(self, paths: Sequence[Path], *, calling_ae: str) -> None:
        """Send until every file has been answered with success."""
        left = list(paths)
        while left and not self._stop.is_set():
            try:
                sent = send_files(
                    left,
                    host="127.0.0.1",
                    port=self.node.port,
                    called_ae=AE_TITLE,
                    calling_ae=calling_ae,
                )
            except TryLater:
                sent = ()
            answered = {one.path for one in sent if one.status == 0}
            left = [path for path in left if path not in answered]
            if left:
                self._stop.wait(SEND_AGAIN_S)

    # -- who kills -------------------------------------------------------------------------------

    def _kill_at_random(self) -> None:
        plan, rng = self.plan, self._rng
        victims = rng.permutation([VICTIMS[n % len(VICTIMS)] for n in range(plan.kills)])
        marks = np.sort(rng.integers(1, max(2, int(plan.studies * PEACE)), plan.kills))
        delays_s = rng.uniform(0, KILL_WITHIN_S, plan.kills)
        for victim, mark, delay_s in zip(victims.tolist(), marks, delays_s, strict=True):
            with self.results.changed:
                self.results.changed.wait_for(
                    lambda mark=mark: self._stop.is_set() or self.results.whole() >= mark
                )
            if self._stop.wait(delay_s):
                return
            self._kill(victim)

    def _kill(self, victim: str) -> None:
        node = self.node
        if victim != "node":
            node.wait_for(lambda: node.is_alive(victim), f"the {victim} to be killed", START_S)
        node.kill(victim)
        self.outcome.killed[victim] += 1
        self._tell(f"killed {victim}")
        if victim == "node":
            node.start()

    # -- who looks -------------------------------------------------------------------------------

    def _visit(self) -> None:
        """Read metrics and the page where one signs in; either may be dead just now."""
        settings = self.node.settings.node
        addresses = [
            f"http://127.0.0.1:{settings.metrics.port}/metrics",
            f"http://127.0.0.1:{settings.web.port}/login",
        ]
        while not self._stop.wait(VISIT_EVERY_S):
            for address in addresses:
                with suppress(OSError, HTTPException), urlopen(address, timeout=10) as answer:
                    answer.read()
                    self.outcome.visits += 1

    # -- who waits and counts --------------------------------------------------------------------

    def _wait_for_results(self) -> None:
        last, at_s, told = -1, time.monotonic(), 0
        while (whole := self.results.whole()) < self._wanted():
            if whole != last:
                last, at_s = whole, time.monotonic()
            if whole >= told + max(10, self.plan.studies // 50):
                told = whole
                self._tell(f"sent {self._sent}")
            if time.monotonic() - at_s > STUCK_S:
                self._tell(f"no result for {STUCK_S:g} s\n{self.node.log_tail()}")
                return
            with self.results.changed:
                self.results.changed.wait(5)

    def _wanted(self) -> int:
        is_over = time.monotonic() > self._sends_until_s
        return self._sent if is_over else self.plan.studies

    def _wait_for_rest(self) -> None:
        """Wait until no job is under way: what could double a result has been done by then."""
        self.node.wait_for(
            lambda: all(job.state in FINISHED for job in self._jobs()),
            "all jobs to be at rest",
            START_S,
            look_s=1,
        )

    def _jobs(self) -> list[Job]:
        return self.node.parts.ledger.list(limit=3 * self.plan.studies)

    def _count(self) -> None:
        outcome, jobs = self.outcome, self._jobs()
        delivered = [job for job in jobs if job.state is JobState.DELIVERED]
        outcome.studies = self._sent
        outcome.results = self.results.whole()
        several = len(delivered) - len({job.study_instance_uid for job in delivered})
        outcome.doubled = max(self.results.doubled(), several)
        outcome.dead_letters = sum(job.state is JobState.FAILED for job in jobs)
        outcome.refused_as_part = sum(job.state is JobState.REJECTED for job in jobs)
        outcome.done_again = sum(job.attempts > 1 for job in delivered)
        outcome.objects_sent_again = self.results.sent_again()
        outcome.memory = self.sizes.table()
        outcome.leaks = self.sizes.leaks()

    def _tell(self, what: str) -> None:
        done = f"{self.results.whole()} of {self.plan.studies} done"
        print(f"{time.strftime('%H:%M:%S')} {done}: {what}", file=sys.stderr, flush=True)


@contextmanager
def prepared(plan: Plan, folder: Path) -> Iterator[Soak]:
    """Start archive and node, and stop them at the end."""
    watched = {
        "metrics": {"port": free_port()},
        "web": {"enabled": True, "port": free_port()},
    }
    with node_beside_archive(folder, "soak", NODE | watched) as (node, archive):
        yield Soak(plan, folder, node, archive)


def main() -> int:
    """Soak and print; exits with 1 when a study was lost or doubled, or memory grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="send for so long")
    parser.add_argument("--out", type=Path, help="file for the table")
    options = parser.parse_args()
    plan = Plan(
        studies=options.studies,
        senders=options.senders,
        kills=options.kills,
        seed=options.seed,
        minutes=options.minutes,
    )
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as folder,
        prepared(plan, Path(folder)) as soak,
    ):
        outcome = soak.run()
    print(f"\n{outcome}")
    if options.out:
        options.out.write_text(f"{outcome}\n")
    return int(bool(outcome.lost or outcome.doubled or outcome.dead_letters or outcome.leaks))


if __name__ == "__main__":
    sys.exit(main())
