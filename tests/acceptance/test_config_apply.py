"""A whole node takes up, refuses and takes back a configuration while it runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from factories_receive import associated
from running_node import ROOT, START_S, RunningNode, clean_environment

from node.bootstrap.configuring import version_store
from node.config.settings import Peer

pytestmark = pytest.mark.slow

VERIFICATION = ("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))


@pytest.fixture
def node(tmp_path: Path, models_dir: Path) -> Iterator[RunningNode]:
    node = RunningNode(
        tmp_path / "node",
        models_dir=models_dir,
        peers=[Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=4242)],
        rules=[
            {
                "name": "mr",
                "match": {"modality": ["MR"]},
                "bundle": "brain-t1ce",
                "destinations": ["pacs"],
            }
        ],
    )
    node.start()
    yield node
    node.close()


def change_node_file(node: RunningNode, **keys: object) -> None:
    path = node.config_dir / "node.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | keys, sort_keys=False))


def config(node: RunningNode, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "node.cli", "--config", str(node.config_dir), "config", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
        timeout=120,
        check=False,
    )


def is_let_in(node: RunningNode, calling: str) -> bool:
    with associated(node.port, VERIFICATION, calling=calling) as association:
        return bool(association.is_established)


def test_apply_refuse_restart_and_roll_back(node: RunningNode) -> None:
    supervisor = node.pid("supervisor")  # settings are read here, while they have no faults
    port = node.port
    before = (node.config_dir / "node.yaml").read_bytes()
    with associated(port, VERIFICATION, calling="STRANGER") as held:
        change_node_file(node, accept_unknown_peers=False, port=port + 1)
        applied = config(node, "apply")
        assert applied.returncode == 0, applied.stderr
        assert "listener: works by it now" in applied.stdout
        assert "dispatcher: works by it now" in applied.stdout
        assert f"port: {port} -> {port + 1}" in applied.stdout.split("waits for a restart")[1]
        assert held.send_c_echo().Status == 0
        assert not is_let_in(node, "STRANGER")
        assert is_let_in(node, "PACS")

    # faulty files, SIGHUP, and a listener that dies: all goes on by version 2
    change_node_file(node, prot=1)
    os.kill(supervisor, signal.SIGHUP)
    node.wait_for(
        lambda: any(event.get("event") == "config.refused" for event in node.log_events()),
        "the refusal",
        30,
    )
    node.kill("listener")
    node.wait_for(lambda: is_let_in(node, "PACS"), "the listener to be there again", START_S)
    assert not is_let_in(node, "STRANGER")

    back = config(node, "rollback", "1")
    assert back.returncode == 0, back.stderr
    assert (node.config_dir / "node.yaml").read_bytes() == before
    assert is_let_in(node, "STRANGER")
    store = version_store(node.folder / "data")
    assert [version.reason for version in store.list()] == [
        "start",
        "apply",
        "kept before rollback to 1",
        "rollback to 1",
    ]
    assert node.terminate() == 0
