"""Rules for every test: where tools are required, no test may skip for want of one."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tools


@pytest.fixture(name="require_tool")
def _require_tool() -> Callable[[str], Path]:
    """Return ``tools.require_tool``; see there."""
    return tools.require_tool


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
