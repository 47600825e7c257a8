"""Roles of a rule: read, and every fault told with its line."""

from pathlib import Path

import pytest

from node.config.load import load_settings
from node.config.settings import Settings
from node.domain.errors import SetupFault

RULE = """\
rules:
  - name: three
    match:
      modality: [MR]
    bundle: brain-multiseq
    destinations: [pacs]
    roles:
      flair:
        - description: ["* dark fluid *"]
        - inversion_time_ms: [1700, 2800]
          echo_time_ms: [80, 200]
      t1ce: [{and_description: ["* km *"], contrast_agent: true}]
"""


def load(root: Path, routing: str) -> Settings:
    directory = root / "dicom_conf"
    directory.mkdir()
    (directory / "node.yaml").write_text("")
    (directory / "peers.yaml").write_text("peers:\n  - {name: pacs, ae_title: A, port: 4242}\n")
    (directory / "routing.yaml").write_text(routing)
    version = root / "models" / "brain-multiseq" / "0.1.0"
    version.mkdir(parents=True)
    (version / "bundle.yaml").write_text("roles: [{name: flair}, {name: t1}, {name: t1ce}]\n")
    return load_settings(directory, environment={})


def test_alternatives_are_read_in_their_order(tmp_path: Path) -> None:
    (rule,) = load(tmp_path, RULE).routing
    by_name, by_physics = rule.roles["flair"]
    assert by_name.description == ("* dark fluid *",)
    assert by_physics.inversion_time_ms == (1700, 2800)
    assert rule.roles["t1ce"][0].contrast_agent is True


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("      t1ce:", "      t1gd:", "unknown-role", 12),
        ("[1700, 2800]", "[2800, 1700]", "bad-value", 10),
        ("[1700, 2800]", "[2800]", None, 10),
        ("contrast_agent", "contrast", "unknown-key", 12),
    ],
)
def test_faults_have_a_line(
    tmp_path: Path, old: str, new: str, code: str | None, line: int
) -> None:
    with pytest.raises(SetupFault) as caught:
        load(tmp_path, RULE.replace(old, new))
    told = [(problem.code, problem.tag) for problem in caught.value.problems]
    assert len(told) == 1, told
    assert code in (None, told[0][0])
    assert told[0][1].endswith(f"routing.yaml:{line}")
