"""A clock for tests."""

from datetime import UTC, datetime, timedelta


class StoppedClock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2025, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
