"""Files of the node are for its user only, whoever runs the command that makes them."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.bootstrap.parts import Parts
from node.config.settings import NodeSettings, Settings
from node.config.versions import VersionStore, write_back
from node.durable import write_durably
from node.storage.spool import Spool
from node.telemetry.audit.chain import AuditChain

NODE_USER = (12345, 12346)
AT = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder of the node's user."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, *NODE_USER)
    return folder


def owners(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.lstat().st_uid, path.lstat().st_gid)
        for path in [folder, *folder.rglob("*")]
    }


def test_audit_trail_in_each_of_its_files(data_dir: Path) -> None:
    chain = AuditChain(data_dir / "audit", maximum_file_bytes=1)
    for i in range(2):
        chain.append(f'<AuditMessage n="{i}"/>', at=AT)
    found = owners(data_dir / "audit")
    assert set(found) == {".", "audit-000001.jsonl", "audit-000002.jsonl", "head.json", "lock"}
    assert set(found.values()) == {NODE_USER}


def test_versions_of_the_configuration(data_dir: Path) -> None:
    store = VersionStore(data_dir / "configuration")
    config_dir = data_dir.parent / "conf"
    config_dir.mkdir()
    os.chown(config_dir, 0, NODE_USER[1])
    with store.changing():
        version = store.keep(config_dir, {"node.yaml": b"", "peers.yaml": b"new"}, reason="apply")
        store.put_in_effect(version)
    found = owners(store.folder)
    assert {".", "lock", "state.json", "0001", "0001/node.yaml"} <= set(found)
    assert set(found.values()) == {NODE_USER}
    (config_dir / "peers.yaml").write_bytes(b"old")
    os.chown(config_dir / "peers.yaml", 77, 78)
    write_back(version, config_dir)
    assert (config_dir / "peers.yaml").read_bytes() == b"new"
    assert owners(config_dir) == {  # a file keeps its owner, a new one has that of the folder
        ".": (0, NODE_USER[1]), "node.yaml": (0, NODE_USER[1]), "peers.yaml": (77, 78),
    }  # fmt: skip


def test_objects_and_results(data_dir: Path) -> None:
    spool = Spool(data_dir)
    incoming = spool.begin()
    incoming.write(b"x")
    place = spool.object_path(
        study_instance_uid="1.1", series_instance_uid="1.2", sop_instance_uid="1.3"
    )
    spool.keep(incoming, place)
    results = spool.results_dir("job")
    (results / "seg.dcm").write_bytes(b"y")
    spool.make_durable(results)
    found = owners(data_dir)
    assert {"objects/1.1/1.2/1.3.dcm", "results/job/seg.dcm"} <= set(found)
    assert set(found.values()) == {NODE_USER}


def test_a_file_is_given_before_it_gets_its_name(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    replace = Path.replace

    def look(path: Path, target: Path) -> Path:
        seen.append((path.stat().st_uid, path.stat().st_gid))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", look)
    write_durably(data_dir / "state.json", b"{}", mode=0o600)
    assert seen == [NODE_USER]


def test_the_data_directory_and_its_database_are_for_their_owner_only(tmp_path: Path) -> None:
    """Whatever the umask of whoever starts the node by hand."""
    before = os.umask(0o022)
    try:
        parts = Parts(settings=Settings(node=NodeSettings(data_dir=tmp_path / "a" / "data")))
        parts.engine.dispose()
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*")}
    assert modes[tmp_path / "a/data/onconode.db"] == 0o600
    assert {path: mode for path, mode in modes.items() if mode & 0o077} == {}


def test_a_database_that_root_makes_first_is_the_nodes_users(data_dir: Path) -> None:
    parts = Parts(settings=Settings(node=NodeSettings(data_dir=data_dir)))
    with parts.engine.connect():
        assert "onconode.db-wal" in owners(data_dir)
        assert set(owners(data_dir).values()) == {NODE_USER}
    parts.engine.dispose()
