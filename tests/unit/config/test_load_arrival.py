"""Settings of arrival and of parts: read, and every fault told with its line."""

from pathlib import Path

import pytest

from node.config.load import load_settings
from node.config.settings import Settings
from node.domain.errors import SetupFault

NODE = """\
assemble:
  quiet_time_by_ae: {"CT*": 60, GATEWAY: 0.5}
  ask_peers: [pacs]
  fetch_missing: move
"""
RULE = """\
rules:
  - name: dynamic
    match: {modality: [MR]}
    bundle: brain-t1ce
    destinations: [pacs]
    part: {temporal_position: last, echo_time_ms: 2.3, b_value: 50}
"""


def load(root: Path, node: str = NODE, routing: str = RULE) -> Settings:
    directory = root / "dicom_conf"
    directory.mkdir()
    (directory / "node.yaml").write_text(node)
    (directory / "peers.yaml").write_text("peers:\n  - {name: pacs, ae_title: A, port: 4242}\n")
    (directory / "routing.yaml").write_text(routing)
    version = root / "models" / "brain-t1ce" / "0.1.0"
    version.mkdir(parents=True)
    (version / "bundle.yaml").write_text("name: brain-t1ce\n")
    return load_settings(directory, environment={})


def test_values_are_read(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.node.assemble.quiet_time_by_ae == {"CT*": 60, "GATEWAY": 0.5}
    assert settings.node.assemble.ask_peers == ("pacs",)
    part = settings.routing[0].part
    assert (part.temporal_position, part.echo_time_ms, part.b_value) == ("last", 2.3, 50)
    assert part.acquisition is None


@pytest.mark.parametrize(
    ("node", "routing", "code", "place"),
    [
        (NODE.replace("[pacs]", "[pax]"), RULE, "unknown-peer", "node.yaml:3"),
        (NODE.replace("move", "ftp"), RULE, "bad-value", "node.yaml:4"),
        (NODE.replace("60", "soon"), RULE, "wrong-type", "node.yaml:2"),
        (NODE, RULE.replace("last", "middle"), "bad-value", "routing.yaml:6"),
        (NODE, RULE.replace("b_value", "bee"), "unknown-key", "routing.yaml:6"),
    ],
)
def test_faults_are_told_with_their_line(
    tmp_path: Path, node: str, routing: str, code: str, place: str
) -> None:
    with pytest.raises(SetupFault) as fault:
        load(tmp_path, node, routing)
    told = {(problem.code, Path(problem.tag).name) for problem in fault.value.problems}
    assert (code, place) in told
