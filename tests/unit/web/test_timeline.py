"""The timeline of a study: every stage of the latest attempt, and what is open still."""

from datetime import UTC, datetime, timedelta

import pytest

from node.jobs.job import JobEventRow
from node.jobs.state import JobState
from node.web.timeline import lay_out, trace_steps

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def line(seconds, event, stage=""):
    return JobEventRow(
        at=at(seconds),
        event=event,
        state=JobState.RUNNING,
        stage=stage,
        attempt=1,
        owner="",
        detail="",
    )


HISTORY = [
    line(30, "add"),
    line(31, "claim"),
    line(32, "stage", "read"),
    line(40, "lapse"),
    line(50, "claim"),
    line(50, "stage", "read"),
    line(52, "stage", "segment"),
    line(60, "finish"),
    line(62, "accepted"),
    line(70, "committed"),
]


def test_the_latest_attempt_counts():
    steps = trace_steps(HISTORY, first_received_at=at(0), last_received_at=at(20), now=at(99))
    assert [(step.name, step.seconds) for step in steps] == [
        ("receive", 20),
        ("assemble", 10),
        ("wait", 20),
        ("read", 2),
        ("segment", 8),
        ("send", 2),
        ("commit", 8),
    ]
    assert not any(step.goes_on for step in steps)


def test_what_goes_on_ends_now():
    *_, last = trace_steps(HISTORY[:7], now=at(99))
    assert (last.name, last.seconds, last.goes_on) == ("segment", 47, True)
    (waiting,) = trace_steps(HISTORY[:1], now=at(33))
    assert (waiting.name, waiting.seconds, waiting.goes_on) == ("wait", 3, True)


def test_what_was_accepted_and_never_committed_is_no_step():
    assert [step.name for step in trace_steps(HISTORY[:9], now=at(99))][-1] == "send"
    assert trace_steps([], now=NOON) == ()


def test_bars_share_one_axis():
    steps = trace_steps(HISTORY, first_received_at=at(0), last_received_at=at(20), now=at(99))
    bars = lay_out(steps)
    assert bars[0].left == 0
    assert bars[-1].left + bars[-1].width == pytest.approx(100)
    assert bars[4].left == pytest.approx(100 * 52 / 70)
    assert bars[4].width == pytest.approx(100 * 8 / 70)
    assert lay_out(()) == ()
