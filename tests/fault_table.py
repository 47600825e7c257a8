"""The table of the fault matrix: what went in, what came out, what was lost or doubled."""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

HEAD = ("fault", "stage", "in", "out", "dead-lettered", "sent again", "lost", "doubled")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One cell of the matrix.

    Parameters
    ----------
    fault, stage : str
    studies : int
        That went in.
    results : int
        Studies that ended delivered, with one result of each kind in the archive.
    dead_lettered : int
        Studies that ended in the list of failed jobs first, and were delivered after a retry.
    sent_again : int
        Objects that came again, the same in every byte, because their answer was lost.
    doubled : int
        Studies with more than one result of a kind, or with two contents under one UID.
    """

    fault: str
    stage: str
    studies: int = 1
    results: int
    dead_lettered: int = 0
    sent_again: int = 0
    doubled: int = 0

    @property
    def lost(self) -> int:
        """Studies without a result."""
        return self.studies - self.results

    def counts(self) -> tuple[int, ...]:
        """The numbers, in the order of ``HEAD``."""
        return (
            self.studies,
            self.results,
            self.dead_lettered,
            self.sent_again,
            self.lost,
            self.doubled,
        )


PROPERTY = "fault"
"""The user property of a test report that a row travels in, also between processes."""


def rows_in(reports: Iterable[pytest.TestReport]) -> list[Row]:
    """The rows that tests left, file by file."""
    rows = [
        (report.nodeid.partition("::")[0], Row(**value))
        for report in reports
        if report.when == "teardown"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    return [row for _, row in sorted(rows, key=operator.itemgetter(0))]


def lines_of(rows: Sequence[Row]) -> list[str]:
    """The table as text, with a last line of totals."""
    cells = [(row.fault, row.stage, *map(str, row.counts())) for row in rows]
    totals = map(sum, zip(*(row.counts() for row in rows), strict=True))
    cells = [HEAD, *cells, (f"{len(rows)} cells", "", *map(str, totals))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if column < 2 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
