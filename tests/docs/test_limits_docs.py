"""The table of limits in dicom_conf/README.md has the numbers of the code."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from node.config.settings import NodeSettings
from node.dicom import limits

README = (Path(__file__).parents[2] / "dicom_conf/README.md").read_text("utf-8")
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def rows() -> list[tuple[str, str, str]]:
    table = README.split("## Limits\n", 1)[1].split("\n\n")[1]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return [(what, limit, where.strip("`")) for what, limit, where, _ in cells[2:] if limit != "-"]


def value_of(where: str) -> int:
    module, _, name = where.rpartition(".")
    if module.startswith("node."):
        return int(getattr(import_module(module), name))
    section = getattr(NodeSettings(), module)
    return int(getattr(section, name)) * (1 << 20 if name.endswith("_mb") else 1)


@pytest.mark.parametrize(("what", "limit", "where"), rows())
def test_the_number_is_that_of_the_code(what: str, limit: str, where: str) -> None:
    number, unit = re.fullmatch(r"([0-9,]+) ?([KMG]iB)?", limit).groups()
    assert int(number.replace(",", "")) * UNITS[unit or ""] == value_of(where), what


def test_every_limit_of_objects_is_told() -> None:
    told = {where.rpartition(".")[2] for _, _, where in rows()}
    assert {name for name in dir(limits) if name.startswith("MAXIMUM_")} <= told


@pytest.mark.parametrize(("what", "where"), [(what, where) for what, _, where in rows()])
def test_a_test_reaches_the_limit(what: str, where: str) -> None:
    """At least, one that is no test of documents names it."""
    tests = Path(__file__).parents[1]
    sources = (path for path in tests.rglob("test_*.py") if path.parent.name != "docs")
    name = re.compile(rf"\b{where.rpartition('.')[2]}\b")
    assert any(name.search(path.read_text("utf-8")) for path in sources), what
