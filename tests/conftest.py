"""Rules for every test: where tools are required, no test may skip for want of one.

The table of faults is printed from here: where tests run in several processes, the one that prints
loads no conftest below this.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tools
from fault_table import lines_of, rows_in

# rich takes the width of a console for ever from what stands here when it is made: tests that want
# wide tables set it later. pytest-xdist sets it, and so may a shell.
os.environ.pop("COLUMNS", None)


@pytest.fixture(name="require_tool")
def _require_tool() -> Callable[[str], Path]:
    """Return ``tools.require_tool``; see there."""
    return tools.require_tool


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts of every fault at every stage."""
    reports = (each for reports in terminalreporter.stats.values() for each in reports)
    rows = rows_in(each for each in reports if isinstance(each, pytest.TestReport))
    if rows:
        terminalreporter.section("faults: studies in, results out")
        for line in lines_of(rows):
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return _fail_if_tool_missing(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    return _fail_if_tool_missing(report)


def _fail_if_tool_missing(report):
    """Turn a skip for want of a tool into a failure, where tools must be."""
    if report.skipped and tools.tools_are_required() and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if tools.tells_of_missing_tool(reason):
            report.outcome = "failed"
            report.longrepr = f"{reason} ({tools.REQUIRE_VARIABLE} is set)"
    return report
