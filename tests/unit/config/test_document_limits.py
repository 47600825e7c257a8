"""A yaml file of any size or shape costs no more than it may."""

from pathlib import Path

import pytest

from node.config import document
from node.config.document import (
    MAXIMUM_DEPTH,
    MAXIMUM_FILE_BYTES,
    MAXIMUM_VALUES,
    read_document,
)


def codes(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [problem.code for problem in read_document(path).problems]


def test_bytes_of_a_file(tmp_path: Path) -> None:
    path, rest = tmp_path / "node.yaml", "ae_title: NODE\n#"
    whole = rest + "x" * (MAXIMUM_FILE_BYTES - len(rest))
    assert codes(path, whole) == []
    assert codes(path, whole + "x") == ["too-large"]
    assert not read_document(path).readable


def test_values_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "peers.yaml"
    assert MAXIMUM_VALUES >= 1000
    monkeypatch.setattr(document, "MAXIMUM_VALUES", 5)
    assert codes(path, "a: [1, 2, 3]\n") == []  # the file, the list, and what is in it
    assert codes(path, "a: [1, 2, 3, 4]\n") == ["too-large"]
    assert codes(path, "a: &a [1]\nb: *a\n") == []
    assert codes(path, "a: &a [1]\nb: *a\nc: *a\n") == ["too-large"]  # aliases count each time


def test_depth_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "routing.yaml"
    assert codes(path, "[" * MAXIMUM_DEPTH + "]" * MAXIMUM_DEPTH) == []
    deeper = MAXIMUM_DEPTH + 2
    assert codes(path, "[" * deeper + "]" * deeper) == ["yaml-syntax"]
