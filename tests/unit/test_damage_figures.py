"""The figures of fault matrix and soak: a loss, a double and a leak must show."""

from dataclasses import replace

import pytest
from fault_table import Row, lines_of
from resident_sizes import Growth, ResidentSizes, Sample, growth_of


def life(pid: int, first: int, last: int, *, mb_per_result: float) -> list[Sample]:
    """A process that grows by 300 MB at its start, and then evenly."""
    return [
        Sample(
            child="worker-1",
            pid=pid,
            results=results,
            resident_mb=700 + 30 * min(results - first, 10) + mb_per_result * results,
        )
        for results in range(first, last)
    ]


@pytest.mark.parametrize("mb_per_result", [0.0, 0.7, -0.2])
def test_growth_is_of_the_longest_life_and_not_of_its_start(mb_per_result: float) -> None:
    samples = life(1, 0, 50, mb_per_result=9) + life(2, 50, 250, mb_per_result=mb_per_result)
    growth = growth_of(samples)
    assert growth.slope == pytest.approx(mb_per_result, abs=1e-6)
    assert growth.late_slope == pytest.approx(mb_per_result, abs=1e-6)
    assert growth.span == 179


def test_a_cache_that_fills_up_is_told_from_a_leak() -> None:
    samples = [
        replace(each, resident_mb=each.resident_mb - 0.2 * max(each.results - 110, 0))
        for each in life(1, 0, 200, mb_per_result=0.2)
    ]
    growth = growth_of(samples)
    assert growth.slope is not None
    assert growth.slope > 0.05
    assert growth.late_slope == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("mb_per_result", "is_leak"), [(0.05, False), (0.2, True)])
def test_a_leak_is_named(mb_per_result: float, is_leak: bool) -> None:
    sizes = ResidentSizes(node=None, work=lambda: 0)
    sizes.samples = life(1, 0, 200, mb_per_result=mb_per_result)
    assert sizes.leaks() == (["worker-1"] if is_leak else [])
    assert "worker-1" in sizes.table()
    # a cache that fills up in the first half is none
    sizes.samples = [
        replace(each, resident_mb=each.resident_mb - mb_per_result * max(each.results - 110, 0))
        for each in sizes.samples
    ]
    assert sizes.leaks() == []


def test_a_short_life_tells_nothing_of_growth() -> None:
    assert growth_of(life(1, 0, 30, mb_per_result=1.0)).slope is None
    assert growth_of([]) == Growth()
    assert not growth_of([]).is_leak


def test_the_table_counts_what_is_lost_and_doubled() -> None:
    rows = [
        Row(fault="SIGKILL node", stage="sending", results=1, sent_again=1),
        Row(fault="archive down", stage="sending", results=0, dead_lettered=1),
        Row(fault="disk full", stage="receiving", results=1, doubled=1),
    ]
    head, *lines, total = lines_of(rows)
    assert head.split()[-2:] == ["lost", "doubled"]
    assert [line.split()[-2:] for line in lines] == [["0", "0"], ["1", "0"], ["0", "1"]]
    assert total.split() == ["3", "cells", "3", "2", "1", "1", "1", "1"]
