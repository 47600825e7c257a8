"""The transition table is total: every pair is either drawn here or refused."""

import pickle
import re
from itertools import product

import pytest

from node.jobs import state as state_module
from node.jobs.state import (
    FINISHED,
    INITIAL,
    TRANSITIONS,
    IllegalTransition,
    JobEvent,
    JobState,
    advance,
    begin,
)

LEGAL = """
queued    claim         running
queued    cancel        cancelled
running   finish        sending
running   finish-empty  delivered
running   try-again     queued
running   postpone      queued
running   lapse         queued
running   give-up       failed
running   reject        rejected
running   cancel        cancelled
sending   accepted      delivered
sending   send-failed   failed
sending   cancel        cancelled
delivered lost          sending
delivered resend        sending
delivered committed     delivered
failed    lost          sending
failed    retry         queued
failed    resend        sending
rejected  retry         queued
cancelled retry         queued
"""
EXPECTED = {
    (line.split()[0], line.split()[1]): line.split()[2] for line in LEGAL.split("\n") if line
}


@pytest.mark.parametrize(("state", "event"), list(product(JobState, JobEvent)))
def test_every_pair_is_legal_or_raises(state: JobState, event: JobEvent) -> None:
    expected = EXPECTED.get((state, event))
    if expected is not None:
        assert advance(state, event) == expected
    else:
        with pytest.raises(IllegalTransition, match=f"{event} .* {state}"):
            advance(state, event)


def test_every_state_can_be_reached_and_left() -> None:
    reached = set(INITIAL.values()) | set(TRANSITIONS.values())
    assert reached == set(JobState)
    left = {state for state, _ in TRANSITIONS}
    assert left == set(JobState)


def test_only_a_person_or_a_loss_leads_out_of_a_finished_state() -> None:
    out = {
        event
        for (state, event), following in TRANSITIONS.items()
        if state in FINISHED and following is not state
    }
    assert out == {JobEvent.RETRY, JobEvent.RESEND, JobEvent.LOST}


def test_jobs_begin_queued_or_rejected() -> None:
    assert begin(JobEvent.ADD) is JobState.QUEUED
    assert begin(JobEvent.REFUSE) is JobState.REJECTED
    with pytest.raises(KeyError):
        begin(JobEvent.CLAIM)


def test_the_drawing_names_every_event() -> None:
    words = set(re.findall(r"[A-Z_]{3,}", state_module.__doc__ or ""))
    assert {event.name for event in JobEvent} <= words


def test_the_error_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(IllegalTransition(JobState.QUEUED, JobEvent.FINISH)))
    assert (error.state, error.event) == (JobState.QUEUED, JobEvent.FINISH)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[JobState.QUEUED, JobEvent.FINISH] = JobState.DELIVERED  # type: ignore[index]  # on purpose
