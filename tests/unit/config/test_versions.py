"""Kept configurations, what differs between two, and what a running node takes up."""

from pathlib import Path

import pytest

from node.config.changes import LIVE, is_live, list_changes, take_live
from node.config.load import load_settings
from node.config.running import load_running
from node.config.settings import NodeSettings, Peer, RoutingRule, SeriesMatch, Settings
from node.config.versions import VersionStore, digest_files, read_files, write_back
from node.domain.errors import SetupFault

PEERS = "peers:\n  - {name: pacs, ae_title: ARCHIVE}\n"
ROUTING = (
    "rules:\n  - {name: mr, match: {modality: [MR]}, bundle: brain-t1ce, destinations: [pacs]}\n"
)


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "conf"
    directory.mkdir()
    write(directory, node="port: 106\ndata_dir: d\n", peers=PEERS, routing=ROUTING)
    bundle = tmp_path / "models" / "brain-t1ce" / "1"
    bundle.mkdir(parents=True)
    (bundle / "bundle.yaml").touch()
    return directory


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)


def keep(store: VersionStore, config_dir: Path, reason: str = "apply", **state: bool):
    with store.changing():
        version = store.keep(config_dir, read_files(config_dir), reason=reason)
        store.put_in_effect(version, **state)
    return version


def test_versions_are_complete_copies_in_private_folders(tmp_path, config_dir):
    store = VersionStore(tmp_path / "data" / "configuration")
    assert (store.list(), store.current, store.started) == ([], None, None)
    first = keep(store, config_dir, "start", is_start=True)
    write(config_dir, node="port: 105\n")
    second = keep(store, config_dir)
    assert [version.number for version in store.list()] == [1, 2]
    assert (store.current, store.started) == (second, first)
    assert read_files(first.folder)["node.yaml"] == b"port: 106\ndata_dir: d\n"
    assert first.digest == digest_files(read_files(first.folder)) != second.digest
    assert store.folder.stat().st_mode & 0o777 == 0o700
    for path in [*first.folder.iterdir(), store.folder / "state.json"]:
        assert path.stat().st_mode & 0o077 == 0


def test_a_damaged_version_is_told_and_an_unfinished_one_is_none(tmp_path, config_dir):
    store = VersionStore(tmp_path / "c")
    version = keep(store, config_dir)
    (store.folder / ".half").mkdir()
    assert [each.number for each in store.list()] == [1]
    store.discard_unfinished()
    assert not (store.folder / ".half").exists()
    (version.folder / "version.json").write_text("{}")
    with pytest.raises(SetupFault, match="damaged"):
        store.get(1)
    with pytest.raises(KeyError):
        store.get(2)


def test_write_back_gives_the_same_bytes_and_modes_and_removes_what_was_not_there(
    tmp_path, config_dir
):
    store = VersionStore(tmp_path / "c")
    (config_dir / "peers.yaml").unlink()
    (config_dir / "node.yaml").chmod(0o604)
    before = read_files(config_dir)
    version = keep(store, config_dir)
    write(config_dir, node="port: 1\n", peers=PEERS, routing="# comment\n")
    write_back(version, config_dir)
    assert read_files(config_dir) == before
    assert not (config_dir / "peers.yaml").exists()
    assert (config_dir / "node.yaml").stat().st_mode & 0o777 == 0o604


def test_paths_of_a_version_start_where_its_files_stood(tmp_path, config_dir):
    version = keep(VersionStore(tmp_path / "elsewhere" / "c"), config_dir)
    settings = load_settings(version.folder, home=version.config_dir, environment={})
    assert settings == load_settings(config_dir, environment={})
    assert settings.node.data_dir == tmp_path / "d"


def test_a_running_node_takes_up_peers_rules_and_live_keys_only(tmp_path, config_dir):
    store = VersionStore(tmp_path / "c")
    with pytest.raises(SetupFault, match="no configuration"):
        load_running(store, environment={})
    keep(store, config_dir, is_start=True)
    write(
        config_dir,
        node="port: 200\ndata_dir: other\naccept_unknown_peers: false\n"
        "deliver: {dimse_timeout_s: 7, maximum_attempts: 3}\nassemble: {quiet_time_s: 1}\n",
        peers=PEERS + "  - {name: new, ae_title: NEW}\n",
        routing=ROUTING.replace("[pacs]", "[new]"),
    )
    version = keep(store, config_dir)
    running = load_running(store, environment={})
    node = running.settings.node
    assert running.version == version
    assert (node.port, node.data_dir, node.deliver.maximum_attempts) == (106, tmp_path / "d", 500)
    assert not node.accept_unknown_peers
    assert (node.deliver.dimse_timeout_s, node.assemble.quiet_time_s) == (7, 1)
    assert [peer.name for peer in running.settings.peers] == ["pacs", "new"]
    assert running.settings.routing[0].destinations == ("new",)


def test_every_live_key_exists():
    for key in LIVE:
        model = NodeSettings
        for part in key.split("."):
            model = model.model_fields[part].annotation
    assert is_live(("assemble", "quiet_time_s"))
    assert not is_live(("deliver", "maximum_attempts"))
    assert not is_live(("port",))


def rule(name: str, **more) -> RoutingRule:
    return RoutingRule(
        **{
            "name": name,
            "match": SeriesMatch(modality=("MR",)),
            "bundle": "b",
            "destinations": ("pacs",),
        }
        | more
    )


def test_changes_are_named_by_key_peer_and_rule():
    before = Settings(
        node=NodeSettings(port=104, database_url="postgresql://a:secret1@h/d"),
        peers=(Peer(name="pacs", ae_title="A"), Peer(name="gone", ae_title="B")),
        routing=(rule("one"), rule("two")),
    )
    after = Settings(
        node=NodeSettings(
            port=105, accept_unknown_peers=False, database_url="postgresql://a:secret2@h/d"
        ),
        peers=(Peer(name="pacs", ae_title="A", port=11112), Peer(name="new", ae_title="C")),
        routing=(rule("two", bundle="c"), rule("one")),
    )
    changes = list_changes(before, after)
    assert [(each.key, each.before, each.after, each.needs_restart) for each in changes] == [
        ("port", "104", "105", True),
        ("database_url", "not shown", "not shown", True),
        ("accept_unknown_peers", "True", "False", False),
        ("peer pacs: port", "104", "11112", False),
        ("peer gone", "there", "none", False),
        ("peer new", "none", "there", False),
        ("rule two: bundle", "b", "c", False),
        ("order of the rules", "one, two", "two, one", False),
    ]
    assert list_changes(after, after) == []
    merged = take_live(before.node, after)
    assert {each.key for each in list_changes(before, merged)} == {
        each.key for each in changes if not each.needs_restart
    }
