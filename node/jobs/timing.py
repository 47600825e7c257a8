"""How long each stage of a job took, read off its history."""

from collections.abc import Sequence
from itertools import zip_longest

from node.jobs.job import JobEventRow
from node.jobs.rows import STAGE
from node.jobs.state import JobEvent


def stage_seconds(events: Sequence[JobEventRow]) -> dict[str, float]:
    """Return the seconds that each stage of the latest attempt took.

    Parameters
    ----------
    events : sequence of JobEventRow
        The history of one job, oldest line first.

    Returns
    -------
    dict of str to float
        In the order of the stages; one that still runs is left out. ``"wait"`` is the time from
        the job's coming to its latest claim, ``"send"`` from the end of work to the last answer.
    """
    seconds: dict[str, float] = {}
    for line, following in zip_longest(events, events[1:]):
        if line.event == JobEvent.CLAIM:
            seconds = {"wait": (line.at - events[0].at).total_seconds()}
        elif following is not None and line.event in (STAGE, JobEvent.FINISH, JobEvent.RESEND):
            name = line.stage if line.event == STAGE else "send"
            spent = (following.at - line.at).total_seconds()
            seconds[name] = seconds.get(name, 0.0) + spent
    return seconds
