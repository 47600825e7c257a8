"""Running processes take up an applied configuration; associations stay open meanwhile."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from factories_config import PACS, RULE, write_config
from factories_receive import associated, wait_until
from free_ports import free_port
from peers_dcmtk import wait_for_port
from pydicom.uid import ExplicitVRLittleEndian
from small_study import write_small_study
from test_chain_assembling import receive

from node.bootstrap.configuring import apply_files, version_store
from node.bootstrap.following import read_taken
from node.bootstrap.parts import Parts
from node.config.load import load_settings
from node.config.versions import VersionStore
from node.domain.errors import SetupFault

START_S = 120.0
VERIFICATION = ("1.2.840.10008.1.1", (ExplicitVRLittleEndian,))
SCANNER = "  - {name: scanner, ae_title: SCANNER, host: 127.0.0.1, port: 4243}\n"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a process of a node, without the others."""
    processes = []

    def run(role: str, config_dir: Path, store: VersionStore) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "node.bootstrap.processes", role]
        argv += ["--config", str(config_dir), "--versions", str(store.folder)]
        with (tmp_path / f"{role}.log").open("wb") as log:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=log)
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.wait(timeout=10)


def wait_until_taken(store: VersionStore, role: str, number: int) -> str:
    """Wait until a process looked at a version; return why it refused it."""
    wait_until(lambda: (taken := read_taken(store, role)) and taken.number == number, START_S)
    taken = read_taken(store, role)
    assert taken is not None
    return taken.refused


def test_peers_change_while_an_association_stays_open(tmp_path, start):
    port = free_port()
    node = f"port: {port}\n"
    config_dir = write_config(tmp_path, node=node)
    store = version_store(tmp_path / "data")
    apply_files(config_dir, is_start=True)
    listener = start("listener", config_dir, store)
    wait_for_port(port, listener, timeout_s=START_S)

    with associated(port, VERIFICATION, calling="STRANGER") as held:
        assert held.is_established
        write_config(
            tmp_path,
            node=f"port: {free_port()}\naccept_unknown_peers: false\n",
            peers=PACS + SCANNER,
        )
        pending = apply_files(config_dir).pending
        assert [change.key for change in pending] == ["port"]
        assert wait_until_taken(store, "listener", 2) == ""
        assert held.send_c_echo().Status == 0
        with associated(port, VERIFICATION, calling="STRANGER") as refused:
            assert refused.is_rejected
        with associated(port, VERIFICATION, calling="SCANNER") as accepted:
            assert accepted.send_c_echo().Status == 0

        write_config(tmp_path, node="accept_unknown_peers: false\nprot: 1\n")
        with pytest.raises(SetupFault):
            apply_files(config_dir)
        write_config(tmp_path, node=node)
        apply_files(config_dir)
        assert wait_until_taken(store, "listener", 3) == ""
        assert held.send_c_echo().Status == 0
        with associated(port, VERIFICATION, calling="STRANGER") as accepted:
            assert accepted.is_established
    assert listener.poll() is None


def test_rules_change_between_two_studies(tmp_path, start):
    quick = "assemble: {quiet_time_s: 0}\njobs: {poll_interval_s: 0.1}\n"
    config_dir = write_config(tmp_path, node=quick)
    store = version_store(tmp_path / "data")
    apply_files(config_dir, is_start=True)
    parts = Parts(settings=load_settings(config_dir))
    start("dispatcher", config_dir, store)

    def rule_of(study: str) -> str:
        wait_until(lambda: parts.ledger.list(study=study), START_S)
        (job,) = parts.ledger.list(study=study)
        return f"{job.rule} -> {', '.join(job.destinations)}"

    first = receive(parts, write_small_study(tmp_path / "first"))
    assert rule_of(first) == "mr -> pacs"
    write_config(
        tmp_path,
        node=quick,
        peers=PACS + SCANNER,
        rules=RULE.replace("name: mr", "name: changed").replace("[pacs]", "[scanner]"),
    )
    apply_files(config_dir)
    assert wait_until_taken(store, "dispatcher", 2) == ""
    second = receive(parts, write_small_study(tmp_path / "second"))
    assert rule_of(second) == "changed -> scanner"
    parts.engine.dispose()
