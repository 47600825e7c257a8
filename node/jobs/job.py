"""A job, a line of its history and a delivery, as callers see them: frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from node.domain.errors import Problem
from node.domain.intake import Intake
from node.domain.priority import Priority
from node.jobs.state import JobState


@dataclass(frozen=True, kw_only=True)
class Job:
    """A piece of work as the ledger knew it at one moment.

    Parameters
    ----------
    job_id : str
        Derived from study, content, bundle and rule: the same work has the same name.
    study_instance_uid : str
    series_instance_uids : tuple of str
        The selected series; empty for a study that was refused as a whole.
    bundle, rule : str
        Which model, by which routing rule.
    destinations : tuple of str
        Names of the peers that get the results.
    calling_ae_title : str
        Who sent the study.
    content_digest : str
        Of the selected objects.
    state : JobState
    stage : str
        The stage that runs or ran last, empty before the first.
    attempts : int
        Claims that counted; postponed ones do not.
    not_before : datetime
        Not due earlier.
    created_at, updated_at : datetime
    lease_owner : str
        Fencing token of the claim that runs it, empty when none does.
    lease_until : datetime or None
    error : str
        Of the latest failure; never patient text.
    problems : tuple of Problem
        Why it was rejected.
    result : mapping
        What the pipeline returned, as JSON holds it.
    intake : Intake
        How complete the study was, which parts of series were taken, and the earlier report.
    priority : Priority
    memory_bytes : int
        What its worker will need, as estimated from the headers; 0 where it is not known.
    """

    job_id: str
    study_instance_uid: str
    series_instance_uids: tuple[str, ...]
    bundle: str
    rule: str
    destinations: tuple[str, ...]
    calling_ae_title: str
    content_digest: str
    state: JobState
    stage: str
    attempts: int
    not_before: datetime
    created_at: datetime
    updated_at: datetime
    lease_owner: str
    lease_until: datetime | None
    error: str
    problems: tuple[Problem, ...]
    result: Mapping[str, Any]
    intake: Intake = field(default_factory=Intake)
    priority: Priority = Priority.ROUTINE
    memory_bytes: int = 0

    def log_context(self) -> dict[str, Any]:
        """Return what every log line about the job should carry."""
        return {
            "job_id": self.job_id,
            "study_instance_uid": self.study_instance_uid,
            "bundle": self.bundle,
            "attempt": self.attempts,
        }


@dataclass(frozen=True, kw_only=True)
class JobEventRow:
    """One line of a job's history.

    Parameters
    ----------
    at : datetime
    event : str
        A ``JobEvent``, ``"stage"`` when a stage began, or ``"wait"`` with the reason.
    state : JobState
        After the event.
    stage : str
    attempt : int
    owner : str
        Who held the lease when it happened.
    detail : str
        Error or reason.
    """

    at: datetime
    event: str
    state: JobState
    stage: str
    attempt: int
    owner: str
    detail: str


class DeliveryState(StrEnum):
    """Where a delivery stands; ``delivery_state`` has the table of transitions."""

    PENDING = "pending"  # to be sent, or under way
    ACCEPTED = "accepted"  # the destination answered with success
    FOUND = "found"  # a query showed that the destination holds it
    COMMITTED = "committed"  # the destination promised to keep it
    FAILED = "failed"  # given up; a person may have it sent again
    REPLACED = "replaced"  # refused for good; another form of it is sent, where there is one


IN_PEER = frozenset({DeliveryState.ACCEPTED, DeliveryState.FOUND, DeliveryState.COMMITTED})
"""The destination has taken it: it is not sent again, unless the destination loses it."""
UNREADABLE = "unreadable"
"""Beginning of the error of a delivery whose file is gone or damaged: it has to be made again."""
PROVEN = frozenset({DeliveryState.FOUND, DeliveryState.COMMITTED})
"""More than the answer to a sending shows that the destination holds it."""


class CommitmentState(StrEnum):
    """How far the proof of an accepted object is."""

    WANTED = "wanted"  # to be asked for
    ASKED = "asked"  # a transaction is open, the answer may take hours
    OVERDUE = "overdue"  # no answer, or none that tells: look whether the object is there
    CLOSED = "closed"  # nothing more is done; the state of the delivery tells the outcome


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One object for one destination.

    Parameters
    ----------
    delivery_id : int
    job_id : str
        The job that asked first.
    destination : str
        Name of a peer.
    kind, sop_class_uid, sop_instance_uid : str
    path : Path
    state : DeliveryState
    attempts : int
    not_before : datetime
    error : str
        Of the latest attempt.
    commitment : CommitmentState or None
        None where no commitment is asked for.
    commitment_detail : str
        How the proof came about, or why there is none.
    losses : int
        How often the destination accepted the object and lost it.
    stands_for : str
        SOP Instance UID of the object that the destination refused, and this one is sent for.
    """

    delivery_id: int
    job_id: str
    destination: str
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    path: Path
    state: DeliveryState
    attempts: int
    not_before: datetime
    error: str
    commitment: CommitmentState | None = None
    commitment_detail: str = ""
    losses: int = 0
    stands_for: str = ""
