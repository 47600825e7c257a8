"""What people see: results on standard output, complaints on standard error."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from node.domain.errors import InputRejected, OncoNodeError, Problem, SetupFault

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

HEADLINES = {
    "InputRejected": "This input cannot be processed",
    "TryLater": "Not now",
    "SetupFault": "The set-up is wrong",
}


def print_error(error: OncoNodeError) -> None:
    """Print an error of the node's own kind, each problem with found, expected and remedy."""
    problems: tuple[Problem, ...] = ()
    sentence = str(error)
    if isinstance(error, InputRejected):
        problems, sentence = error.problems, ""
    elif isinstance(error, SetupFault):
        problems, sentence = error.problems, error.summary
    headline = Text(HEADLINES.get(type(error).__name__, type(error).__name__), style="bold red")
    err.print(headline + Text(f": {sentence}" if sentence else "", style="default"), soft_wrap=True)
    print_problems(problems)


def print_problems(problems: Iterable[Problem]) -> None:
    """Print problems on standard error, one block each."""
    here = f"{Path.cwd()}/"
    for problem in problems:
        place = " ".join(part for part in (problem.tag.replace(here, ""), problem.uid) if part)
        err.print()
        err.print(Text.assemble((problem.code, "bold"), "  ", (place, "cyan")), soft_wrap=True)
        grid = Table.grid(padding=(0, 1))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row("  found", Text(problem.found))
        grid.add_row("  expected", Text(problem.expected))
        grid.add_row("  remedy", Text(problem.remedy))
        err.print(grid)


def table(*columns: str, title: str = "") -> Table:
    """Return an empty table in the house style; give cells as ``Text`` or plain words."""
    result = Table(title=title or None, title_justify="left", box=None, header_style="bold")
    for column in columns:
        result.add_column(column, overflow="fold")
    return result


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """Return a two-column grid of names and values."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, Text(value))
    return grid
