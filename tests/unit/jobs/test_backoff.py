"""Waits grow, end at a ceiling and can be spread."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from node.jobs.backoff import Backoff

BACKOFF = Backoff(first_s=2, maximum_s=60)


def test_waits_double_up_to_the_ceiling() -> None:
    waits = [BACKOFF.delay(failures).total_seconds() for failures in range(1, 8)]
    assert waits == [2, 4, 8, 16, 32, 60, 60]


@given(failures=st.integers(0, 10**6), seed=st.integers(0, 100))
def test_spread_waits_stay_between_half_and_whole(failures: int, seed: int) -> None:
    longest = BACKOFF.delay(failures)
    spread = BACKOFF.delay(failures, default_rng(seed))
    assert longest / 2 <= spread <= longest <= timedelta(seconds=60)


def test_the_same_generator_gives_the_same_waits() -> None:
    assert BACKOFF.delay(3, default_rng(5)) == BACKOFF.delay(3, default_rng(5))
