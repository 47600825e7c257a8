"""Stage seconds from a history."""

from datetime import UTC, datetime, timedelta

from node.jobs.job import JobEventRow
from node.jobs.state import JobState
from node.jobs.timing import stage_seconds

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def line(at_s: float, event: str, stage: str = "") -> JobEventRow:
    return JobEventRow(
        at=NOON + timedelta(seconds=at_s),
        event=event,
        state=JobState.RUNNING,
        stage=stage,
        attempt=1,
        owner="w",
        detail="",
    )


def test_only_the_latest_attempt_counts_and_a_running_stage_is_left_out() -> None:
    history = [
        line(0, "add"),
        line(1, "claim"),
        line(2, "stage", "volume"),
        line(9, "lapse", "volume"),
        line(10, "claim"),
        line(11, "stage", "volume"),
        line(13, "stage", "segment"),
    ]
    assert stage_seconds(history) == {"wait": 10, "volume": 2}


def test_sendings_are_added_up() -> None:
    history = [
        line(0, "add"),
        line(1, "claim"),
        line(2, "finish"),
        line(5, "send-failed"),
        line(50, "resend"),
        line(51, "accepted"),
    ]
    assert stage_seconds(history) == {"wait": 1, "send": 4}


def test_no_history_takes_no_time() -> None:
    assert stage_seconds([]) == {}
