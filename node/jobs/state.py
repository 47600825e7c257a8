"""The life of a job as one table.

::

    ADD -> QUEUED --CLAIM--> RUNNING --FINISH--> SENDING --ACCEPTED--> DELIVERED
             ^                | | |  --FINISH_EMPTY----------------------^
             |  TRY_AGAIN     | | |                 |
             |  POSTPONE      | | |                 '--SEND_FAILED--> FAILED --RESEND--> SENDING
             '--LAPSE---------' | '--GIVE_UP--> FAILED
                                '----REJECT--> REJECTED <- REFUSE

LOST leads from DELIVERED, and from FAILED by SEND_FAILED, back to SENDING: a destination has lost
what it had accepted; RESEND leads from DELIVERED there, too, by a person. COMMITTED leaves a job
DELIVERED and tells that every object is proven to be where it was sent. CANCEL leads from QUEUED,
RUNNING and SENDING to CANCELLED; RETRY, by a person, leads from FAILED, REJECTED and CANCELLED back
to QUEUED. Nothing but ``advance`` and ``begin`` names a job's state.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # waits until it is due and a worker is free
    RUNNING = "running"  # a worker holds its lease
    SENDING = "sending"  # results are made; the outbox delivers them
    DELIVERED = "delivered"  # every destination has accepted every object
    FAILED = "failed"  # given up; a person may retry
    REJECTED = "rejected"  # the input can never be processed as it is
    CANCELLED = "cancelled"  # by a person, or a later content of the study replaced it


class JobEvent(StrEnum):
    """What may happen to a job."""

    ADD = "add"  # a study was assembled
    REFUSE = "refuse"  # a study was assembled and nothing can be done with it
    CLAIM = "claim"
    FINISH = "finish"  # with objects to send
    FINISH_EMPTY = "finish-empty"  # with nothing to send
    TRY_AGAIN = "try-again"  # an attempt failed, more are left
    POSTPONE = "postpone"  # something outside is missing; does not count as an attempt
    LAPSE = "lapse"  # whoever held the lease is gone
    GIVE_UP = "give-up"  # the last attempt failed, or only the operator can mend it
    REJECT = "reject"
    ACCEPTED = "accepted"  # the last delivery was accepted
    SEND_FAILED = "send-failed"  # nothing is left to send and a delivery was given up
    RETRY = "retry"  # a person wants it done again
    RESEND = "resend"  # a person wants results sent again
    LOST = "lost"  # a destination lost an object that it had accepted; it is sent again
    COMMITTED = "committed"  # every destination is known to hold every object
    CANCEL = "cancel"


INITIAL: Mapping[JobEvent, JobState] = MappingProxyType(
    {JobEvent.ADD: JobState.QUEUED, JobEvent.REFUSE: JobState.REJECTED}
)

TRANSITIONS: Mapping[tuple[JobState, JobEvent], JobState] = MappingProxyType(
    {
        (JobState.QUEUED, JobEvent.CLAIM): JobState.RUNNING,
        (JobState.QUEUED, JobEvent.CANCEL): JobState.CANCELLED,
        (JobState.RUNNING, JobEvent.FINISH): JobState.SENDING,
        (JobState.RUNNING, JobEvent.FINISH_EMPTY): JobState.DELIVERED,
        (JobState.RUNNING, JobEvent.TRY_AGAIN): JobState.QUEUED,
        (JobState.RUNNING, JobEvent.POSTPONE): JobState.QUEUED,
        (JobState.RUNNING, JobEvent.LAPSE): JobState.QUEUED,
        (JobState.RUNNING, JobEvent.GIVE_UP): JobState.FAILED,
        (JobState.RUNNING, JobEvent.REJECT): JobState.REJECTED,
        (JobState.RUNNING, JobEvent.CANCEL): JobState.CANCELLED,
        (JobState.SENDING, JobEvent.ACCEPTED): JobState.DELIVERED,
        (JobState.SENDING, JobEvent.SEND_FAILED): JobState.FAILED,
        (JobState.SENDING, JobEvent.CANCEL): JobState.CANCELLED,
        (JobState.DELIVERED, JobEvent.LOST): JobState.SENDING,
        (JobState.DELIVERED, JobEvent.RESEND): JobState.SENDING,
        (JobState.DELIVERED, JobEvent.COMMITTED): JobState.DELIVERED,
        (JobState.FAILED, JobEvent.LOST): JobState.SENDING,
        (JobState.FAILED, JobEvent.RETRY): JobState.QUEUED,
        (JobState.FAILED, JobEvent.RESEND): JobState.SENDING,
        (JobState.REJECTED, JobEvent.RETRY): JobState.QUEUED,
        (JobState.CANCELLED, JobEvent.RETRY): JobState.QUEUED,
    }
)

FINISHED = frozenset({JobState.DELIVERED, JobState.FAILED, JobState.REJECTED, JobState.CANCELLED})
"""States that nothing leaves without a person, or a destination that loses objects."""


class IllegalTransition(ValueError):
    """The event cannot happen to a job in this state."""

    def __init__(self, state: JobState, event: JobEvent) -> None:
        super().__init__(f"{event} is not possible for a job that is {state}")
        self.state = state
        self.event = event

    def __reduce__(self) -> tuple[type["IllegalTransition"], tuple[JobState, JobEvent]]:
        return type(self), (self.state, self.event)


def begin(event: JobEvent) -> JobState:
    """Return the state in which a job comes into being.

    Raises
    ------
    KeyError
        The event makes no job.
    """
    return INITIAL[event]


def advance(state: JobState, event: JobEvent) -> JobState:
    """Return the state after an event.

    Raises
    ------
    IllegalTransition
        The event cannot happen in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None
