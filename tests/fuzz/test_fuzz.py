"""Damaged input of every kind: no crash, no hang, no memory, no error but those of the domain.

``ONCONODE_FUZZ_CASES`` is the number of cases of all targets together. Without it there are few,
always the same; with it they are new in each run, and a failure prints the changes that led to it,
for ``corpus/``.
"""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import structlog
from fuzz_bounds import GROWTH_BYTES, bounded_time, peak_bytes
from fuzz_pieces import Change, changes
from fuzz_seeds import seed_study
from fuzz_targets import TARGETS
from hypothesis import HealthCheck, Phase, given, settings

pytestmark = pytest.mark.filterwarnings("ignore")
FEW = 1_000
CASES = int(os.environ.get("ONCONODE_FUZZ_CASES", "0"))


def _drop(*_: object) -> NoReturn:
    raise structlog.DropEvent


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    """Log nothing: every second case is a reason to."""
    before = structlog.get_config()
    structlog.configure(processors=[_drop])
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    structlog.configure(**before)


def test_shares_are_of_all_cases() -> None:
    assert sum(share for _, share in TARGETS.values()) == 100


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_not_damaged_is_taken(name: str, tmp_path: Path) -> None:
    TARGETS[name][0]([], tmp_path)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target, share = TARGETS[name]
    cases = max(1, (CASES or FEW) * share // 100)
    seed_study()
    target([], tmp_path)
    seen = 0

    @settings(
        max_examples=cases,
        derandomize=not CASES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(changes)
    def attack(wanted: list[Change]) -> None:
        nonlocal seen
        seen += 1
        with bounded_time():
            target(wanted, tmp_path)

    memory_bytes, began, worked = peak_bytes(), time.perf_counter(), time.process_time()
    attack()
    seconds, busy_s = time.perf_counter() - began, time.process_time() - worked
    grown_bytes = peak_bytes() - memory_bytes
    if CASES:
        with capfd.disabled():
            rates = f"{seen / seconds:.0f}/s, {seen / busy_s:.0f} per second of processor time"
            print(f"{name}: {seen} cases, {rates}, memory +{grown_bytes >> 20} MiB", flush=True)
    assert seen >= cases  # hypothesis may think that it has seen enough
    assert grown_bytes < GROWTH_BYTES
