"""A small soak: the same as ``make soak``, with few studies and a kill of worker and listener."""

from pathlib import Path

import pytest
from benchmarks.soak import Plan, prepared

pytestmark = pytest.mark.slow


def test_a_small_soak_loses_and_doubles_nothing(tmp_path: Path) -> None:
    plan = Plan(studies=12, senders=3, kills=2, seed=1)
    with prepared(plan, tmp_path) as soak:
        outcome = soak.run()
    print(outcome)
    assert outcome.killed == {"worker-1": 1, "listener": 1}
    assert outcome.visits > 0
    assert (outcome.studies, outcome.results) == (12, 12), str(outcome)
    assert (outcome.lost, outcome.doubled, outcome.dead_letters) == (0, 0, 0), str(outcome)
