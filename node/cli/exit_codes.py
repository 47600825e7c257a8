"""Exit codes of ``onconode``: one table from the kind of error to the code.

Scripts may rely on them; ``node/README.md`` documents them and a test compares.
"""

from collections.abc import Mapping
from enum import IntEnum

from node.domain.errors import InputRejected, SetupFault, TryLater


class ExitCode(IntEnum):
    """What the shell sees."""

    OK = 0
    BUG = 1
    USAGE = 2
    INPUT_REJECTED = 3
    TRY_LATER = 4
    SETUP_FAULT = 5
    NOT_DELIVERED = 6
    INTERRUPTED = 130


MEANING: Mapping[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.BUG: "an unexpected error: a bug, please report it",
    ExitCode.USAGE: "the command line is wrong, or names something that does not exist",
    ExitCode.INPUT_REJECTED: "the input can never be processed as it is",
    ExitCode.TRY_LATER: "something outside is missing for now: peer, database, disk space",
    ExitCode.SETUP_FAULT: "configuration, model bundle or installation is wrong",
    ExitCode.NOT_DELIVERED: "processed, but not everything was accepted by its destination",
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
}

BY_ERROR: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (InputRejected, ExitCode.INPUT_REJECTED),
    (TryLater, ExitCode.TRY_LATER),
    (SetupFault, ExitCode.SETUP_FAULT),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
)
"""The first class that fits decides; any other error is a bug."""


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error that ended a command."""
    for kind, code in BY_ERROR:
        if isinstance(error, kind):
            return code
    return ExitCode.BUG
