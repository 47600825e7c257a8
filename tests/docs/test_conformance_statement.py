"""dicom_conf/CONFORMANCE.md is what ``onconode conformance`` writes, and tells what is true."""

import difflib
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.bootstrap.conformance.behaviour import COMMITMENT_STATUSES, REJECTIONS
from node.bootstrap.conformance.claims import accepted, proposed
from node.bootstrap.conformance.statement import write_statement
from node.bootstrap.conformance.tables import read_accepted, read_proposed
from node.cli.app import app
from node.config.load import load_settings
from node.receive import admission, commitment
from node.receive.status import FAULTS

ROOT = Path(__file__).parents[2]
STATEMENT = (ROOT / "dicom_conf/CONFORMANCE.md").read_text("utf-8")


def test_the_committed_statement_is_up_to_date() -> None:
    settings = load_settings(ROOT / "dicom_conf", environment={})
    written = write_statement(settings.node)
    changes = difflib.unified_diff(STATEMENT.splitlines(), written.splitlines(), lineterm="", n=0)
    told = "\n".join(list(changes)[:40])
    if told:
        pytest.fail(f"onconode conformance --out dicom_conf/CONFORMANCE.md\n{told}", pytrace=False)


def test_what_is_read_back_is_what_was_claimed() -> None:
    assert set(read_accepted(STATEMENT)) == set(accepted())
    for claimed, read in zip(proposed(), read_proposed(STATEMENT, proposed()), strict=True):
        assert set(read.claims) == set(claimed.claims)


def test_no_table_of_the_code_has_more_than_the_statement() -> None:
    """Constants that somebody adds to the rooms must reach the lists of the statement."""
    refusals = {
        value
        for name, value in vars(admission).items()
        if name.isupper() and isinstance(value, tuple) and len(value) == 3
    }
    assert refusals <= {answer for answer, _ in REJECTIONS}
    statuses = {
        value for name, value in vars(commitment).items() if name.isupper() and type(value) is int
    }
    statuses.discard(commitment.REQUEST_ACTION)
    assert statuses == {status for status, _ in COMMITMENT_STATUSES}
    for fault in FAULTS.values():
        assert f"| 0x{fault.status:04X} |" in STATEMENT


def test_tables_are_whole() -> None:
    columns = 0
    for line in STATEMENT.splitlines():
        if not line.startswith("|"):
            columns = 0
            continue
        count = len(re.findall(r"(?<!\\)\|", line))
        assert columns in (0, count), line
        columns = count


def test_command_writes_it_to_a_file_or_to_the_screen(tmp_path: Path) -> None:
    arguments = ["--config", str(ROOT / "dicom_conf"), "conformance"]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "c.md")])
    assert (tmp_path / "c.md").read_text("utf-8") == shown.stdout
