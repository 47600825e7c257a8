"""A yaml file as plain values that know their lines.

Scalars follow the core schema of YAML 1.2, not 1.1: ``NO``, ``on`` and ``12:30`` are text and
``0104`` is one hundred and four, so AE titles and ports mean what they look like.

References
----------
YAML 1.2.2, section 10.3 (core schema).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from node.domain.errors import Problem

Location = tuple[str | int, ...]

MAXIMUM_DEPTH = 20
"""Deeper nesting is a mistake (or an alias that contains itself)."""
MAXIMUM_FILE_BYTES = 1 << 20
MAXIMUM_VALUES = 100_000
"""Aliases count each time: nine of nine of nine ... fill any memory with a few lines."""


SCALARS = (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]{1,18}$", list("-+0123456789")),
    (
        "float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
)
"""Tag, pattern, and the characters that such a scalar may start with; anything else is text."""


class CoreSchemaLoader(yaml.SafeLoader):
    """SafeLoader with the scalar rules of YAML 1.2."""


CoreSchemaLoader.yaml_implicit_resolvers = {}
for _tag, _pattern, _starts in SCALARS:
    CoreSchemaLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _starts
    )


@dataclass(frozen=True, kw_only=True)
class Document:
    """A parsed yaml file.

    Parameters
    ----------
    path : Path
        Where it was read from.
    value : Any
        Plain mappings, lists and scalars; an empty mapping for an empty or unreadable file.
    lines : mapping of location to int
        1-based line of each value, by its keys and indices from the top.
    problems : tuple of Problem
        Faults of syntax; ``value`` holds what could be read all the same.
    origin : mapping of location to str
        Source of those values that were laid over the file's (environment variables).
    readable : bool
        False when nothing at all could be read, so that ``value`` says nothing.
    """

    path: Path
    value: Any
    lines: Mapping[Location, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    origin: Mapping[Location, str] = field(default_factory=dict)
    readable: bool = True

    def place(self, location: Location = ()) -> str:
        """Return ``file:line`` of that value, or of the nearest one around it."""
        if location in self.origin:
            return self.origin[location]
        while location and location not in self.lines:
            location = location[:-1]
        return f"{self.path}:{self.lines.get(location, 1)}"


def read_document(path: Path) -> Document:
    """Read one yaml file; faults are collected in the document, nothing is raised."""
    text = _read_text(path)
    return _parse(path, text) if isinstance(text, str) else text


def _read_text(path: Path) -> str | Document:
    """Return the text of a file, or a document that says why there is none."""
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_FILE_BYTES + 1)
        if len(content) > MAXIMUM_FILE_BYTES:
            limit = f"at most {MAXIMUM_FILE_BYTES} bytes"
            return _unreadable(path, 1, "too-large", "a larger file", limit)
        return content.decode("utf-8-sig")
    except OSError as fault:
        return _unreadable(path, 1, "unreadable-file", str(fault.strerror), "a readable file")
    except UnicodeDecodeError as fault:
        line = fault.object[: fault.start].count(b"\n") + 1
        return _unreadable(path, line, "yaml-syntax", "bytes that are not UTF-8", "UTF-8 text")


def _parse(path: Path, text: str) -> Document:
    try:
        root = yaml.compose(text, Loader=CoreSchemaLoader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = mark.line + 1 if mark else 1
        found = " ".join(part for part in (fault.context, fault.problem) if part)
        return _unreadable(path, line, "yaml-syntax", found, "valid yaml")
    except RecursionError:
        return _unreadable(path, 1, "yaml-syntax", "values nested too deep", "a few levels")
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        return _unreadable(path, line, "yaml-syntax", "a control character", "plain text")
    reader = _Reader(path)
    try:
        value = {} if root is None else reader.read(root, ())
    except _TooManyValues:
        limit = f"at most {MAXIMUM_VALUES}"
        return _unreadable(path, 1, "too-large", "more values, aliases unfolded", limit)
    return Document(
        path=path,
        value={} if value is None else value,
        lines=reader.lines,
        problems=tuple(reader.problems),
    )


def _unreadable(path: Path, line: int, code: str, found: str, expected: str) -> Document:
    problem = Problem(
        code=code,
        tag=f"{path}:{line}",
        found=found,
        expected=expected,
        remedy="mend this line; the rest of the file is judged after that",
    )
    return Document(path=path, value={}, problems=(problem,), readable=False)


class _TooManyValues(Exception):
    """Aliases of aliases, as a rule."""


class _Reader:
    """Turns yaml nodes into plain values and notes the line of each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []
        self._values = 0

    def read(self, node: yaml.Node, location: Location) -> Any:
        self.lines.setdefault(location, node.start_mark.line + 1)
        self._values += 1
        if self._values > MAXIMUM_VALUES:
            raise _TooManyValues
        if len(location) > MAXIMUM_DEPTH:
            self._add("yaml-syntax", node, "values nested too deep", "a few levels")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*location, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._read_scalar(node)

    def _read_mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, item in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._add("yaml-syntax", key_node, "a key that is a list or mapping", "a word")
                continue
            key = str(key_node.value)
            if key in value:
                first = self.lines[(*location, key)]
                self._add(
                    "duplicate-key", key_node, f"{key!r} again (first in line {first})", "it once"
                )
                continue
            self.lines[(*location, key)] = key_node.start_mark.line + 1
            value[key] = self.read(item, (*location, key))
        return value

    def _read_scalar(self, node: yaml.ScalarNode) -> Any:
        text = node.value
        match node.tag.rpartition(":")[2]:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "str":
                return text
        self._add("yaml-syntax", node, f"the tag {node.tag}", "a plain value")
        return None

    def _add(self, code: str, node: yaml.Node, found: str, expected: str) -> None:
        self.problems.append(
            Problem(
                code=code,
                tag=f"{self.path}:{node.start_mark.line + 1}",
                found=found,
                expected=expected,
                remedy="mend this line",
            )
        )
