"""The runbook names only commands, settings, files, log events and metrics that exist."""

import re
from pathlib import Path

import pytest
from command_lines import command_lines, fault_of
from pydantic import BaseModel

from node.cli.app import app  # noqa: F401 - commands are compared with it
from node.config.environment import CONFIG_VARIABLE, OVERRIDES
from node.config.settings import NodeSettings, Peer, RoutingRule
from node.jobs.job import DeliveryState
from node.jobs.state import JobState

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "dicom_conf/runbook.md").read_text("utf-8")
CODE = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", RUNBOOK, flags=re.DOTALL))
SOURCES = "\n".join(path.read_text("utf-8") for path in (ROOT / "node").rglob("*.py"))


def keys_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        found.add(f"{prefix}{name}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= keys_of(field.annotation, f"{prefix}{name}.")
    return found


SETTINGS = keys_of(NodeSettings) | keys_of(Peer) | keys_of(RoutingRule)
EVENTS = set(re.findall(r"\blog\.\w+\(\s*\"([a-z_]+\.[a-z_]+)\"", SOURCES))


def test_every_command_line_exists():
    lines = list(command_lines(RUNBOOK))
    assert len(lines) > 40
    assert {words[0] for words in lines} >= {
        *("backup", "restore", "config", "jobs", "associations", "find", "fetch", "audit"),
    }
    assert not [f"{words}: {fault}" for words in lines if (fault := fault_of(words))]


def test_every_setting_exists_with_its_section():
    dotted = {word for word in CODE if re.fullmatch(r"[a-z_]+\.[a-z_]+", word)}
    files = {word for word in dotted if word.endswith((".yaml", ".md", ".json", ".log"))}
    assert dotted - files - SETTINGS - EVENTS == set()
    assert len(dotted & SETTINGS) > 15
    assert len(dotted & EVENTS) > 2


def test_every_word_with_an_underscore_is_a_setting_or_a_metric():
    words = {word for word in CODE if re.fullmatch(r"[a-z]+(_[a-z]+)+", word)}
    metrics = {word for word in words if word.startswith("onconode_")}
    names = {key.rpartition(".")[2] for key in SETTINGS}
    assert (
        words - metrics - names == {"dicom_conf", "job_id", "study_instance_uid", "pg_dump"} & words
    )
    assert not {metric for metric in metrics if f'"{metric}"' not in SOURCES}
    assert metrics


def test_settings_with_values_are_accepted():
    """``key: value`` in the text: the key is one, and the value is of its kind."""
    pairs = [re.fullmatch(r"([a-z_.]+): (\w+)", word) for word in CODE]
    given = {(found[1], found[2]) for found in pairs if found}
    assert given
    for key, value in given:
        (name,) = {each for each in SETTINGS if each == key or each == key.rpartition(".")[2]}
        holder = Peer if name in Peer.model_fields else NodeSettings
        parsed = {"true": True, "false": False}.get(value, value)
        example = {"name": "x", "ae_title": "X"} if holder is Peer else {}
        holder.model_validate({**example, name: parsed})


def test_every_variable_exists():
    named = set(re.findall(r"\bONCONODE_[A-Z_]+\b", RUNBOOK))
    assert named
    assert named <= {CONFIG_VARIABLE, *OVERRIDES}


def test_every_file_of_the_project_exists():
    named = set(re.findall(r"\bdeploy/[\w./-]+\w", RUNBOOK))
    assert len(named) > 4
    for name in named:
        assert (ROOT / name).exists(), name
    for name in re.findall(r"install -m \d+ ((?:onconode[\w.-]+ )+)", RUNBOOK):
        for each in name.split():
            assert (ROOT / "deploy/systemd" / each).is_file(), each


def test_every_state_of_a_job_is_explained():
    day = RUNBOOK.split("## From day to day", 1)[1].split("\n## ", 1)[0]
    explained = re.findall(r"^\| `([a-z]+)` \|", day, flags=re.MULTILINE)
    assert sorted(explained) == sorted(state.value for state in JobState)


def test_states_of_deliveries_that_are_named_exist():
    assert {"accepted", "committed", "found"} <= {state.value for state in DeliveryState}


@pytest.mark.parametrize(
    "message",
    [
        "another node runs on",
        "a restore was interrupted",
        "the database has schema",
        "no peer is called",
        "which this program does not know",
    ],
)
def test_messages_of_the_table_are_the_nodes(message):
    assert message in RUNBOOK
    assert message in SOURCES


def test_failure_table_has_all_its_columns():
    table = RUNBOOK.split("## What you see", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) > 25
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {6}
