"""One node, one archive and one place for Orthanc for all acceptance tests.

A worker takes ten seconds and more to load TensorFlow, so the node is shared. A test that leaves
it stopped does no harm: the next one starts it again.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import fault_table
import pytest
from fault_table import Row
from free_ports import free_port
from running_node import QUICK, RunningNode, find_models_dir

from node.config.settings import Peer
from node.emulate.archive import Archive

ORTHANC_SENDERS = ("ORTHANC", "STORESCU")
"""Studies from these go to Orthanc, all others to the archive."""


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The models directory, see ``find_models_dir``."""
    return find_models_dir()


@pytest.fixture
def fault_rows(record_property: Callable[[str, object], None]) -> Iterator[list[Row]]:
    """Rows for the table of the fault matrix, which is printed at the end of the run."""
    rows: list[Row] = []
    yield rows
    for row in rows:
        record_property(fault_table.PROPERTY, asdict(row))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive that counts what it gets."""
    with Archive(tmp_path_factory.mktemp("archive"), port=free_port()) as running:
        yield running


@pytest.fixture(scope="session")
def _shared(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path, archive: Archive
) -> Iterator[RunningNode]:
    node = RunningNode(
        tmp_path_factory.mktemp("node"),
        models_dir=models_dir,
        peers=[
            Peer(name="archive", ae_title=archive.ae_title, port=archive.port),
            Peer(name="orthanc", ae_title="ORTHANC", port=free_port()),
        ],
        rules=[
            {
                "name": "for-orthanc",
                "match": {"modality": ["MR"], "calling_ae": list(ORTHANC_SENDERS)},
                "bundle": "brain-t1ce",
                "destinations": ["orthanc"],
            },
            {
                "name": "for-archive",
                "match": {"modality": ["MR"]},
                "bundle": "brain-t1ce",
                "destinations": ["archive"],
            },
        ],
        # so that it has every process that a node can have
        node=QUICK
        | {"metrics": {"port": free_port()}, "web": {"enabled": True, "port": free_port()}},
    )
    try:
        yield node
    finally:
        node.close()


@pytest.fixture
def node(_shared: RunningNode) -> RunningNode:
    """The node, with all its processes up and its worker warm."""
    if not _shared.is_running:
        _shared.start()
    _shared.wait_until_whole()
    return _shared
