"""What happened to a study and when: from its first object to the archive's promise to keep it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from node.jobs.job import JobEventRow
from node.jobs.rows import STAGE
from node.jobs.state import JobEvent


@dataclass(frozen=True, kw_only=True)
class Step:
    """A span of a study's way.

    Parameters
    ----------
    name : str
        ``receive``, ``assemble``, ``wait``, a stage of the pipeline, ``send`` or ``commit``.
    begin, end : datetime
        ``end`` is the present where it still goes on.
    goes_on : bool
    """

    name: str
    begin: datetime
    end: datetime
    goes_on: bool = False

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.begin).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A step as it is drawn: shares of the whole time, 0 to 100."""

    step: Step
    left: float
    width: float


def trace_steps(
    events: Sequence[JobEventRow],
    *,
    first_received_at: datetime | None = None,
    last_received_at: datetime | None = None,
    now: datetime,
) -> tuple[Step, ...]:
    """Return the steps of a job's latest attempt, in the order of time.

    Parameters
    ----------
    events : sequence of JobEventRow
        Its history, oldest line first.
    first_received_at, last_received_at : datetime, optional
        Of the study's objects that came before the job.
    now : datetime
    """
    if not events:
        return ()
    steps = []
    added = events[0].at
    if first_received_at is not None and last_received_at is not None:
        steps.append(Step(name="receive", begin=first_received_at, end=last_received_at))
        steps.append(Step(name="assemble", begin=last_received_at, end=added))
    claims = [place for place, line in enumerate(events) if line.event == JobEvent.CLAIM]
    latest = claims[-1] if claims else 0
    if claims:
        steps.append(Step(name="wait", begin=added, end=events[latest].at))
    for place in range(latest, len(events)):
        line = events[place]
        name = _step_that_begins(line, claimed=bool(claims))
        if name is None:
            continue
        following = events[place + 1].at if place + 1 < len(events) else None
        if name == "commit" and (
            following is None or events[place + 1].event != JobEvent.COMMITTED
        ):
            continue  # whether a promise was asked for is not told by the history
        steps.append(
            Step(name=name, begin=line.at, end=following or now, goes_on=following is None)
        )
    return tuple(steps)


def _step_that_begins(line: JobEventRow, *, claimed: bool) -> str | None:
    if line.event == STAGE:
        return line.stage
    if line.event in (JobEvent.FINISH, JobEvent.RESEND, JobEvent.LOST):
        return "send"
    if line.event == JobEvent.ACCEPTED:
        return "commit"
    if line.event in (JobEvent.ADD, JobEvent.RETRY) and not claimed:
        return "wait"
    return None


def lay_out(steps: Sequence[Step]) -> tuple[Bar, ...]:
    """Place steps on one axis from the first to the last moment."""
    if not steps:
        return ()
    begin, end = min(step.begin for step in steps), max(step.end for step in steps)
    whole_s = max((end - begin).total_seconds(), 1e-3)
    return tuple(
        Bar(
            step=step,
            left=100 * (step.begin - begin).total_seconds() / whole_s,
            width=100 * step.seconds / whole_s,
        )
        for step in steps
    )
