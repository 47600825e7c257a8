"""The faults of an object or of the node, told so that a person can mend them.

The codes are those of the table in ``status``.
"""

from node.domain.errors import InputRejected, Problem


def malformed(code: str, found: str) -> InputRejected:
    """``not-dicom``, ``unparsable``, ``truncated`` or ``too-complex``."""
    problem = Problem(
        code=code,
        found=found,
        expected="a complete data set in the negotiated transfer syntax, within the limits",
        remedy="send the object again from its source",
    )
    return InputRejected([problem])


def no_data_set() -> Problem:
    """The C-STORE request came alone."""
    return Problem(
        code="not-dicom",
        found="a C-STORE request without data set",
        expected="a data set (PS3.7 section 9.1.1.1)",
        remedy="have the sender mended",
    )


def missing_uid(keyword: str) -> Problem:
    """A UID that every composite object has is absent or empty."""
    return Problem(
        code="missing-uid",
        tag=keyword,
        found="no value",
        expected="a UID: objects of every storage class have one (PS3.3)",
        remedy="let the sender export complete objects",
    )


def mismatch(code: str, keyword: str) -> Problem:
    """The data set is not the one that the request names."""
    return Problem(
        code=code,
        tag=keyword,
        found="another UID than the C-STORE request's",
        expected="the affected UID of the request (PS3.7 section 9.1.1.1)",
        remedy="let the sender make the request from the object itself",
    )


def other_content(sop_instance_uid: str) -> Problem:
    """The UID is taken by other bytes."""
    return Problem(
        code="other-content",
        tag="SOPInstanceUID",
        uid=sop_instance_uid,
        found="other bytes than those stored under the UID",
        expected="one content for one SOP Instance UID (PS3.5 section 9)",
        remedy="compare both objects; let the sender give a changed object a UID of its own",
    )


def misplaced(sop_instance_uid: str) -> Problem:
    """A file of the spool holds another object than its name says."""
    return Problem(
        code="unparsable",
        uid=sop_instance_uid,
        found="an object that belongs into another folder",
        expected="objects/<study>/<series>/<sop>.dcm",
        remedy="do not edit the spool by hand",
    )


def too_large(maximum_bytes: int) -> Problem:
    """More bytes than one data set may have, as sent or once inflated."""
    return Problem(
        code="data-set-too-large",
        found="a larger data set",
        expected=f"at most {maximum_bytes >> 20} MiB",
        remedy="raise receive.maximum_dataset_mb, or send the series in smaller objects",
    )


def disk_full(error: OSError) -> Problem:
    """There is no room for the object."""
    return Problem(
        code="disk-full",
        found=error.strerror or str(error),
        expected="room for the object and receive.minimum_free_disk_mb beside it",
        remedy="free disk space, then send the object again",
    )


def database_unavailable() -> Problem:
    """The object is on the disk, but the ledger could not be written."""
    return Problem(
        code="database-unavailable",
        found="a database that is locked or does not answer",
        expected="a ledger that can be written",
        remedy="see the node's log, then send the object again",
    )


def internal_error() -> Problem:
    """A bug, or a fault of the machine."""
    return Problem(
        code="internal-error",
        found="an error of the node itself",
        expected="none",
        remedy="see the node's log; the object is in quarantine",
    )


def interrupted() -> Problem:
    """The node ended while the object was being received."""
    return Problem(
        code="truncated",
        found="an object whose receipt was interrupted",
        expected="all of it",
        remedy="nothing to do: the sender got no answer and sends it again",
    )
