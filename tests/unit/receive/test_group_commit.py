"""Commits of many threads share a batch; each gets its own outcome."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from node.receive.group_commit import GroupCommit

TIMEOUT_S = 10


def test_one_item_is_committed_at_once() -> None:
    commits = GroupCommit(lambda batch: [item * 2 for item in batch])
    assert commits.submit(21) == 42


def test_items_that_wait_are_committed_together() -> None:
    first_entered, go_on = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def commit(batch: Sequence[int]) -> list[int]:
        batches.append(list(batch))
        if batch[0] == 0:
            first_entered.set()
            assert go_on.wait(TIMEOUT_S)
        return [item * 2 for item in batch]

    commits = GroupCommit(commit)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(commits.submit, 0)
        assert first_entered.wait(TIMEOUT_S)
        others = [pool.submit(commits.submit, number) for number in range(1, 9)]
        while len(commits._waiting) < 8:
            assert not any(other.done() for other in others), "answered before it was committed"
        go_on.set()
        assert first.result(TIMEOUT_S) == 0
        assert [other.result(TIMEOUT_S) for other in others] == [2 * n for n in range(1, 9)]
    assert batches[0] == [0]
    assert sorted(batches[1]) == list(range(1, 9))
    assert len(batches) == 2


def test_a_failure_reaches_everybody_of_its_batch_and_nobody_after() -> None:
    def commit(batch: Sequence[str]) -> list[str]:
        if "bad" in batch:
            raise OSError("no space")
        return list(batch)

    commits = GroupCommit(commit)
    with pytest.raises(OSError, match="no space"):
        commits.submit("bad")
    assert commits.submit("good") == "good"
