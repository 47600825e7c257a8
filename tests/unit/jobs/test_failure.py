"""The table from errors to job events."""

import errno

import pytest
from sqlalchemy.exc import OperationalError

from node.domain.errors import InputRejected, OncoNodeError, SetupFault, TryLater
from node.jobs.failure import EVENT_OF_ERROR, describe_bug, event_of
from node.jobs.state import JobEvent


class DiskFull(TryLater):
    """A kind of TryLater."""


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (InputRejected([]), JobEvent.REJECT),
        (DiskFull("full"), JobEvent.POSTPONE),
        (SetupFault("no bundle"), JobEvent.GIVE_UP),
        (OSError(errno.ENOSPC, "No space left on device"), JobEvent.POSTPONE),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), JobEvent.POSTPONE),
        (OSError(errno.EFBIG, "File too large"), JobEvent.POSTPONE),
        (OSError(errno.EACCES, "Permission denied"), JobEvent.TRY_AGAIN),
        (OperationalError("BEGIN IMMEDIATE", {}, Exception("locked")), JobEvent.POSTPONE),
        (ZeroDivisionError(), JobEvent.TRY_AGAIN),
        (MemoryError(), JobEvent.TRY_AGAIN),
    ],
)
def test_every_error_has_its_event(error: BaseException, event: JobEvent) -> None:
    assert event_of(error) is event


def test_every_branch_of_the_error_tree_has_a_line() -> None:
    named = {kind for kind, _ in EVENT_OF_ERROR}
    assert set(OncoNodeError.__subclasses__()) <= named


def test_a_bug_is_told_by_type_and_place_without_its_text() -> None:
    try:
        int("Doe^Jane")
    except ValueError as error:
        told = describe_bug(error)
    assert told.startswith("ValueError at test_failure.py:")
    assert "Doe" not in told


def test_a_bug_inside_the_node_is_told_by_our_own_line() -> None:
    try:
        event_of.__globals__["next"] = None  # not found as a builtin but as a global
        event_of(ValueError())
    except TypeError as error:
        told = describe_bug(error)
    finally:
        del event_of.__globals__["next"]
    assert told.startswith("TypeError at jobs/failure.py:")
