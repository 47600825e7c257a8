"""JSON Schemas of the yaml files, for editors: made from the settings, explained by the README.

An editor that knows the schema completes keys, shows what they mean and underlines mistakes. It
sees one file at a time; ``onconode config check`` sees how they fit together.

References
----------
JSON Schema 2020-12; ``# yaml-language-server: $schema=...`` names a schema within a yaml file.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from node.config.files import find_config_dir
from node.config.settings import NodeSettings, Peer, RoutingRule

Schema = dict[str, Any]
Meanings = Mapping[frozenset[str], Mapping[str, str]]
"""Keys of a table in the README -> key -> what it means."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILES = ("node.schema.json", "peers.schema.json", "routing.schema.json")


def make_schemas(readme: str | None = None) -> dict[str, str]:
    """Return file name -> text of the schema of each yaml file.

    Parameters
    ----------
    readme : str, optional
        Text of ``dicom_conf/README.md``, whose tables explain the keys; that of the clone, if
        there is one, when it is not given.
    """
    if readme is None:
        beside = find_config_dir(environment={}) / "README.md"
        readme = beside.read_text("utf-8") if beside.is_file() else ""
    meanings = dict(_read_tables(readme))
    node = _schema_of(NodeSettings, meanings)
    node |= {"type": ["object", "null"], "title": "node.yaml of onconode"}
    peers = _schema_of_list("peers", Peer, meanings, title="peers.yaml of onconode")
    routing = _schema_of_list("rules", RoutingRule, meanings, title="routing.yaml of onconode")
    routing["required"] = ["rules"]
    routing["properties"]["rules"] |= {"type": "array", "minItems": 1}
    return {
        name: json.dumps({"$schema": DIALECT} | schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in zip(SCHEMA_FILES, (node, peers, routing), strict=True)
    }


def write_schemas(folder: Path) -> tuple[Path, ...]:
    """Write the schemas to a folder, made if missing; return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in make_schemas().items():
        (folder / name).write_text(text, "utf-8")
        written.append(folder / name)
    return tuple(written)


def _schema_of_list(key: str, model: type[BaseModel], meanings: Meanings, *, title: str) -> Schema:
    entry = _schema_of(model, meanings)
    definitions = entry.pop("$defs", {})
    return {
        "title": title,
        "type": "object" if key == "rules" else ["object", "null"],
        "properties": {
            key: {
                "type": ["array", "null"],
                "items": {"$ref": f"#/$defs/{model.__name__}"},
            }
        },
        "additionalProperties": False,
        "$defs": {**definitions, model.__name__: entry},
    }


def _schema_of(model: type[BaseModel], meanings: Meanings) -> Schema:
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    _allow_nulls(model, schema, definitions)
    for part in (schema, *definitions.values()):
        _explain(part, meanings)
    return schema


def _allow_nulls(model: type[BaseModel], schema: Schema, definitions: Mapping[str, Schema]) -> None:
    """Allow keys without a value where ``load_settings`` takes them for their defaults."""
    for name, field in model.model_fields.items():
        if not field.is_required():
            _allow_null(schema["properties"][name])
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            _allow_nulls(inner, definitions[inner.__name__], definitions)


def _allow_null(part: Schema) -> None:
    if "$ref" in part:
        part["anyOf"] = [{"$ref": part.pop("$ref")}, {"type": "null"}]
    elif isinstance(part.get("type"), str):
        part["type"] = [part["type"], "null"]
        if "enum" in part:
            part["enum"] = [*part["enum"], None]


def _explain(part: Schema, meanings: Meanings) -> None:
    """Let keys carry what the README says of them, and the whole its first paragraph."""
    if "description" in part:
        first = part["description"].partition("\n\n")[0]
        part["description"] = " ".join(first.replace("``", "`").split())
    properties: Mapping[str, Schema] = part.get("properties", {})
    scalars = {name for name, value in properties.items() if not _is_section(value)}
    told = meanings.get(frozenset(properties)) or meanings.get(frozenset(scalars)) or {}
    for name, value in properties.items():
        value.pop("title", None)
        if name in told:
            value["description"] = told[name]


def _is_section(value: Schema) -> bool:
    """Tell whether a key holds a section with a table of its own."""
    return isinstance(value.get("default"), dict) and any(
        "$ref" in each for each in value.get("anyOf", ())
    )


def _read_tables(readme: str) -> Iterator[tuple[frozenset[str], dict[str, str]]]:
    """Yield every table whose first column names keys: its keys, and the last column of each."""
    for block in re.findall(r"(?:^\|.*\n)+", readme, flags=re.MULTILINE):
        rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            for line in block.splitlines()[2:]
        ]
        if rows and all(re.fullmatch(r"`\w+`", row[0]) for row in rows):
            told = {row[0].strip("`"): _plain(row[-1]) for row in rows}
            yield frozenset(told), told


def _plain(markdown: str) -> str:
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown).replace("\\|", "|")
