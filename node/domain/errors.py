"""Errors, named by what the node does next.

::

    OncoNodeError
    |-- InputRejected   the input can never be processed as it is: answer, quarantine, do not retry
    |-- TryLater        a resource is missing for now (PACS down, disk full): retry with back-off
    `-- SetupFault      configuration or installation is wrong: stop and call the operator

Everything else that is raised is a bug and is treated as one.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault in some input, told so that a person can mend it.

    Parameters
    ----------
    code : str
        Stable kebab-case name of the kind of fault, e.g. ``"duplicate-position"``.
    found, expected, remedy : str
        What was found, what was expected, and what to do; never patient text or pixels.
    tag : str, optional
        DICOM keyword or ``file:line`` that the fault is about.
    uid : str, optional
        UID of the object at fault.
    """

    code: str
    found: str
    expected: str
    remedy: str
    tag: str = ""
    uid: str = ""

    def __str__(self) -> str:
        where = " ".join(part for part in (self.tag, self.uid) if part)
        place = f" [{where}]" if where else ""
        return (
            f"{self.code}{place}: found {self.found}; expected {self.expected}; "
            f"remedy: {self.remedy}"
        )


class OncoNodeError(Exception):
    """Root of the errors that the node knows how to answer."""


class InputRejected(OncoNodeError):
    """The input can never be processed as it is.

    Parameters
    ----------
    problems : iterable of Problem
        Every fault that was found, not only the first.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type["InputRejected"], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class TryLater(OncoNodeError):
    """Something outside is missing for now; the same work may succeed later."""


class SetupFault(OncoNodeError):
    """Configuration or installation is wrong; only a person can mend it.

    Parameters
    ----------
    summary : str
        What is wrong, in one sentence.
    problems : iterable of Problem, optional
        Every fault that was found, not only the first.
    """

    def __init__(self, summary: str, problems: Iterable[Problem] = ()) -> None:
        self.summary = summary
        self.problems = tuple(problems)
        super().__init__("\n".join([summary, *(str(problem) for problem in self.problems)]))

    def __reduce__(self) -> tuple[type["SetupFault"], tuple[str, tuple[Problem, ...]]]:
        return type(self), (self.summary, self.problems)
