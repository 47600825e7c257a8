"""The JSON Schemas for editors: up to date, true of the shipped files, and strict."""

import json
from pathlib import Path

import jsonschema
import pytest

from node.config.document import read_document
from node.config.files import FILES
from node.config.schema import SCHEMA_FILES, make_schemas, write_schemas
from node.config.settings import NodeSettings, Peer, RoutingRule

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "dicom_conf"
REMEDY = "run: onconode config schema --out dicom_conf/schema"


def faults_of(name: str, text: str, folder: Path) -> list[str]:
    """Messages of a validator about a yaml file, as its editor would see them."""
    (folder / name).write_text(text)
    schema = json.loads(make_schemas()[name.replace(".yaml", ".schema.json")])
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(read_document(folder / name).value)]


def test_shipped_schemas_are_up_to_date():
    for name, text in make_schemas().items():
        assert (SHIPPED / "schema" / name).read_text("utf-8") == text, REMEDY


def test_schemas_are_valid_and_written_whole(tmp_path):
    written = write_schemas(tmp_path / "new")
    assert [path.name for path in written] == list(SCHEMA_FILES)
    for path in written:
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("name", FILES)
def test_shipped_files_meet_their_schema_and_name_it(name, tmp_path):
    text = (SHIPPED / name).read_text("utf-8")
    assert faults_of(name, text, tmp_path) == []
    first = text.splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (SHIPPED / first.removeprefix(prefix)).is_file()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("node.yaml", ""),
        ("node.yaml", "receive:\n  # nothing\nport:\n"),
        ("peers.yaml", ""),
        ("peers.yaml", "peers:\n  - {name: p, ae_title: A, port: }\n"),
        ("routing.yaml", (SHIPPED / "routing.yaml").read_text("utf-8")),
    ],
)
def test_what_the_node_accepts_is_accepted(name, text, tmp_path):
    assert faults_of(name, text, tmp_path) == []


RULE = "rules:\n  - {name: r, match: {modality: [MR]}, bundle: b, destinations: [d]"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("node.yaml", "prot: 104\n"),
        ("node.yaml", "port: '104'\n"),
        ("node.yaml", "port: 70000\n"),
        ("node.yaml", "jobs: {worker: 1}\n"),
        ("node.yaml", "log: {level: LOUD}\n"),
        ("peers.yaml", "peers:\n  - {name: p}\n"),
        ("peers.yaml", "peers:\n  - {name: p, ae_title: A_TITLE_THAT_IS_TOO_LONG}\n"),
        ("peers.yaml", "peer: []\n"),
        ("routing.yaml", ""),
        ("routing.yaml", "rules: []\n"),
        ("routing.yaml", RULE + ", mode: x}\n"),
        ("routing.yaml", RULE.replace("[d]", "d") + "}\n"),
        ("routing.yaml", RULE.replace("modality: [MR]", "modalty: [MR]") + "}\n"),
        ("routing.yaml", RULE.replace("[d]", "[]") + "}\n"),
    ],
)
def test_mistakes_are_seen(name, text, tmp_path):
    assert faults_of(name, text, tmp_path)


def test_every_key_is_explained():
    node, peers, routing = (json.loads(text) for text in make_schemas().values())
    parts = [
        (NodeSettings.__name__, node),
        *node["$defs"].items(),
        (Peer.__name__, peers["$defs"]["Peer"]),
        *routing["$defs"].items(),
    ]
    assert {RoutingRule.__name__, "SeriesMatch", "SequenceMatch"} <= {name for name, _ in parts}
    sections = set(node["$defs"])
    silent = [
        f"{name}.{key}"
        for name, part in parts
        for key, value in part["properties"].items()
        if "description" not in value
        and not any(
            each.get("$ref", "").rpartition("/")[2] in sections for each in value.get("anyOf", ())
        )
    ]
    assert silent == []
