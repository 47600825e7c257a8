"""External programs that tests need: found, or the test is skipped (in CI: failed)."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

MISSING = "tool missing"
"""A skip for want of a program begins so, or says 'not installed'; see conftest.py."""

REQUIRE_VARIABLE = "ONCONODE_REQUIRE_TOOLS"
"""Set to 1 where all tools must be there; a missing one then fails the test."""


def tools_are_required() -> bool:
    """Tell whether a missing tool is a failure here."""
    return os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0")


def tells_of_missing_tool(reason: str) -> bool:
    """Tell whether a test was skipped for want of a program."""
    return reason.startswith(MISSING) or "not installed" in reason


def require_tool(name: str) -> Path:
    """Return a program, from beside the running Python or from PATH.

    Skips the test when there is none, or fails it where ``ONCONODE_REQUIRE_TOOLS`` is set. A name
    with a slash is a file that must exist, e.g. ``/usr/share/java/pixelmed.jar``.
    """
    if "/" in name:
        found = name if Path(name).is_file() else None
    else:
        beside = Path(sys.executable).parent
        found = shutil.which(name, path=str(beside)) or shutil.which(name)
        found = found or shutil.which(name, path="/usr/sbin:/sbin")
    return Path(found) if found else _miss(name)


def require_dcmtk(name: str) -> str:
    """Return a program of dcmtk, and never the one of that name that pynetdicom installs.

    Skips or fails as ``require_tool`` does. pynetdicom's lie beside the running Python, where an
    active virtual environment looks first.
    """
    beside = Path(sys.executable).parent
    folders = [each for each in os.environ["PATH"].split(os.pathsep) if Path(each) != beside]
    return shutil.which(name, path=os.pathsep.join(folders)) or _miss(f"{name} (dcmtk)")


def _miss(name: str) -> NoReturn:
    reason = f"{MISSING}: {name}"
    if tools_are_required():
        pytest.fail(f"{reason} ({REQUIRE_VARIABLE} is set)", pytrace=False)
    pytest.skip(reason)
