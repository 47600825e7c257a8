"""Answers reach who waits for them, also when the reactor of pynetdicom comes late."""

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.association import Association

from node.deliver.checkpoint import Checkpoint
from node.emulate.archive import Archive

VERIFICATION = "1.2.840.10008.1.1"
LATE_S = 0.05
REQUESTS = 40


def linger(association: Association) -> None:
    """Come to the queue of answers when an answer comes, or a moment later."""
    deadline_s = time.monotonic() + LATE_S
    while not association.dimse.msg_queue.queue and time.monotonic() < deadline_s:
        pass  # what sleeps here comes too late to take the answer


class LateQueue(queue.Queue):
    """The answers of an association, for a waiting thread that the machine wakes late."""

    def get(self, block: bool = True, timeout: float | None = None):
        if block:  # the reactor never blocks here
            deadline_s = time.monotonic() + (timeout or 0)
            while self.empty() and time.monotonic() < deadline_s:
                time.sleep(0.001)
            time.sleep(LATE_S / 2)
            return super().get(timeout=max(0.001, deadline_s - time.monotonic()))
        return super().get(block=False)


class LateCheckpoint(Checkpoint):
    """Ours, with a reactor that lingers between the checkpoint and the answers."""

    def wait(self, timeout: float | None = None) -> bool:
        passed = super().wait(timeout)
        linger(self._association)
        return passed


class LateEvent(threading.Event):
    """pynetdicom's own, with the same reactor."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self.set()

    def wait(self, timeout: float | None = None) -> bool:
        passed = super().wait(timeout)
        linger(self._association)
        return passed


def count_answers(
    folder: Path, checkpoint: Callable[[Association], threading.Event], *, timeout_s: float
) -> int:
    with Archive(folder) as archive:
        entity = AE()
        entity.add_requested_context(VERIFICATION)
        entity.dimse_timeout = timeout_s
        association = entity.associate(archive.host, archive.port, ae_title=archive.ae_title)
        assert association.is_established
        association._reactor_checkpoint = checkpoint(association)
        association.dimse.msg_queue = LateQueue()
        answered = 0
        try:
            while answered < REQUESTS and "Status" in association.send_c_echo():
                answered += 1
        finally:
            if association.is_established:
                association.release()
        return answered


def test_no_answer_is_lost(tmp_path):
    assert count_answers(tmp_path, LateCheckpoint, timeout_s=20) == REQUESTS


def test_without_the_cure_answers_are_lost(tmp_path):
    if count_answers(tmp_path, LateEvent, timeout_s=0.5) == REQUESTS:
        pytest.fail("pynetdicom needs the cure no longer: remove node/deliver/checkpoint.py")


def test_a_reactor_that_has_ended_holds_nobody_up(tmp_path):
    with Archive(tmp_path) as archive:
        entity = AE()
        entity.add_requested_context(VERIFICATION)
        association = entity.associate(archive.host, archive.port, ae_title=archive.ae_title)
        checkpoint = Checkpoint(association)
        association._reactor_checkpoint = checkpoint
        association.abort()
        association.join(timeout=5)
        begin_s = time.monotonic()
        checkpoint.clear()
        assert time.monotonic() - begin_s < 1
