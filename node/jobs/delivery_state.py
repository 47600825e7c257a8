"""The life of one object on its way to one destination, as a table.

::

    PENDING --ACCEPT--> ACCEPTED --COMMIT--> COMMITTED
       ^ |                | |  '----FIND---> FOUND --COMMIT--> COMMITTED
       | |     LOSE       | |
       | '<---------------' '--GIVE_UP--.
       |                                v
       '--------REOPEN--------------- FAILED <--GIVE_UP-- PENDING --REPLACE--> REPLACED

A delivery is *sent* while it is PENDING under a lease: what becomes of it is not known before the
answer. ACCEPTED ends the waiting of its job; COMMITTED and FOUND are proofs that come later. One
that is REPLACED is never sent; the job waits for what stands in for it: for nothing where the
object was rejected by a person, or a message has a later one, which may also happen to one that
FAILED. REOPEN also leads from ACCEPTED, FOUND and COMMITTED to PENDING, where a person asks for it.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from node.jobs.job import DeliveryState


class DeliveryEvent(StrEnum):
    """What may happen to a delivery."""

    ACCEPT = "accept"  # C-STORE or STOW-RS was answered with success
    COMMIT = "commit"  # the destination promised to keep it
    FIND = "find"  # the destination promised nothing, and was seen to hold it
    LOSE = "lose"  # the destination accepted it and does not hold it
    GIVE_UP = "give-up"
    REOPEN = "reopen"  # by a person, or another job wants it sent
    REPLACE = "replace"  # the destination takes no such object, or is not to get it


TRANSITIONS: Mapping[tuple[DeliveryState, DeliveryEvent], DeliveryState] = MappingProxyType(
    {
        (DeliveryState.PENDING, DeliveryEvent.ACCEPT): DeliveryState.ACCEPTED,
        (DeliveryState.PENDING, DeliveryEvent.GIVE_UP): DeliveryState.FAILED,
        (DeliveryState.PENDING, DeliveryEvent.REPLACE): DeliveryState.REPLACED,
        (DeliveryState.FAILED, DeliveryEvent.REPLACE): DeliveryState.REPLACED,
        # whoever lost the lease may have been the one who was answered
        (DeliveryState.REPLACED, DeliveryEvent.ACCEPT): DeliveryState.ACCEPTED,
        (DeliveryState.FAILED, DeliveryEvent.ACCEPT): DeliveryState.ACCEPTED,
        (DeliveryState.ACCEPTED, DeliveryEvent.ACCEPT): DeliveryState.ACCEPTED,
        (DeliveryState.FOUND, DeliveryEvent.ACCEPT): DeliveryState.FOUND,
        (DeliveryState.COMMITTED, DeliveryEvent.ACCEPT): DeliveryState.COMMITTED,
        (DeliveryState.ACCEPTED, DeliveryEvent.COMMIT): DeliveryState.COMMITTED,
        (DeliveryState.FOUND, DeliveryEvent.COMMIT): DeliveryState.COMMITTED,
        (DeliveryState.ACCEPTED, DeliveryEvent.FIND): DeliveryState.FOUND,
        (DeliveryState.ACCEPTED, DeliveryEvent.LOSE): DeliveryState.PENDING,
        (DeliveryState.ACCEPTED, DeliveryEvent.GIVE_UP): DeliveryState.FAILED,
        (DeliveryState.FAILED, DeliveryEvent.REOPEN): DeliveryState.PENDING,
        (DeliveryState.ACCEPTED, DeliveryEvent.REOPEN): DeliveryState.PENDING,
        (DeliveryState.FOUND, DeliveryEvent.REOPEN): DeliveryState.PENDING,
        (DeliveryState.COMMITTED, DeliveryEvent.REOPEN): DeliveryState.PENDING,
    }
)


class IllegalDeliveryTransition(ValueError):
    """The event cannot happen to a delivery in this state."""


def advance_delivery(state: DeliveryState, event: DeliveryEvent) -> DeliveryState:
    """Return the state after an event.

    Raises
    ------
    IllegalDeliveryTransition
        The event cannot happen in this state.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalDeliveryTransition(f"{event} of a delivery that is {state}") from None
