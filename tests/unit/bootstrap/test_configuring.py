"""Changed files take effect only without faults; what was there can be taken back."""

from pathlib import Path

import pytest
from factories_config import PACS, RULE, write_config

from node.bootstrap.configuring import (
    apply_files,
    find_version_store,
    refuse_half_written,
    roll_back,
    version_store,
)
from node.bootstrap.following import ConfigFollower, read_taken
from node.config.settings import Settings
from node.config.versions import read_files
from node.domain.errors import SetupFault

NEW_PACS = PACS + "  - {name: new, ae_title: NEW, host: 127.0.0.1, port: 4243}\n"


def test_a_change_takes_effect_and_is_told(tmp_path):
    config_dir = write_config(tmp_path)
    first = apply_files(config_dir, reason="start", is_start=True)
    assert (first.version.number, first.is_new, first.changes, first.pending) == (1, True, (), ())
    assert not apply_files(config_dir).is_new
    write_config(tmp_path, node="port: 104\n", peers=NEW_PACS)
    second = apply_files(config_dir)
    assert [change.key for change in second.changes] == ["port", "peer new"]
    assert [change.key for change in second.pending] == ["port"]
    assert version_store(tmp_path / "data").current == second.version
    third = apply_files(config_dir, reason="start", is_start=True)  # the restart
    assert (third.version.number, third.pending) == (2, ())


def test_a_rollback_that_was_interrupted_is_told_at_the_next_start(tmp_path, monkeypatch):
    config_dir = write_config(tmp_path)
    first = apply_files(config_dir).version
    write_config(tmp_path, node="port: 104\n", peers=NEW_PACS)
    apply_files(config_dir)
    store = version_store(tmp_path / "data")
    replace = Path.replace

    def lose_power(path: Path, target: Path) -> Path:
        if Path(target) == config_dir / "peers.yaml":
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", lose_power)
    with pytest.raises(KeyboardInterrupt):
        roll_back(config_dir, store)
    monkeypatch.undo()
    assert read_files(config_dir) not in [read_files(each.folder) for each in store.list()]
    with pytest.raises(SetupFault) as fault:
        refuse_half_written(store, config_dir)
    assert "config rollback 1 again" in fault.value.problems[0].remedy
    roll_back(config_dir, store, 1)
    refuse_half_written(store, config_dir)
    assert read_files(config_dir) == read_files(first.folder)


def test_files_of_an_interrupted_rollback_may_be_applied_as_they_are(tmp_path):
    config_dir = write_config(tmp_path)
    store = version_store(tmp_path / "data")
    store.begin_to_write_back(apply_files(config_dir).version)
    write_config(tmp_path, peers=NEW_PACS)
    apply_files(config_dir)
    refuse_half_written(store, config_dir)
    assert len(store.list()) == 2


@pytest.mark.parametrize(
    "bad", [{"node": "prot: 1\n"}, {"rules": RULE.replace("[pacs]", "[nobody]")}]
)
def test_faulty_files_are_refused_and_nothing_changes(tmp_path, bad):
    config_dir = write_config(tmp_path)
    apply_files(config_dir)
    write_config(tmp_path, **bad)
    with pytest.raises(SetupFault, match="1 fault"):
        apply_files(config_dir)
    store = version_store(tmp_path / "data")
    assert [version.number for version in store.list()] == [1]
    assert store.current_number == 1


def test_a_damaged_bundle_is_refused(tmp_path):
    config_dir = write_config(tmp_path)
    bundle = tmp_path / "m" / "brain-t1ce" / "1.0.0"
    bundle.mkdir(parents=True)
    (bundle / "bundle.yaml").write_text("name: brain-t1ce\n")
    node = (config_dir / "node.yaml").read_text().splitlines()
    (config_dir / "node.yaml").write_text(f"{node[0]}\nmodels_dir: m\n")
    with pytest.raises(SetupFault):
        apply_files(config_dir)
    assert version_store(tmp_path / "data").list() == []


def test_rollback_without_a_number_undoes_the_last_change_and_twice_does_it_again(tmp_path):
    config_dir = write_config(tmp_path)
    apply_files(config_dir)
    before = read_files(config_dir)
    write_config(tmp_path, peers=NEW_PACS)
    apply_files(config_dir)
    changed = read_files(config_dir)
    store = version_store(tmp_path / "data")
    back = roll_back(config_dir, store)
    assert read_files(config_dir) == before
    assert (back.version.number, back.version.reason) == (3, "rollback to 1")
    assert [change.key for change in back.changes] == ["peer new"]
    assert roll_back(config_dir, store).version.reason == "rollback to 2"
    assert read_files(config_dir) == changed


def test_files_that_were_never_applied_are_kept_before_they_are_replaced(tmp_path):
    config_dir = write_config(tmp_path)
    apply_files(config_dir)
    good = read_files(config_dir)
    write_config(tmp_path, node="prot: 1\n")
    edited = read_files(config_dir)
    store = version_store(tmp_path / "data")
    back = roll_back(config_dir, store)
    assert read_files(config_dir) == good
    assert (back.version.number, back.is_new) == (1, False)
    kept = store.list()[-1]
    assert (kept.number, kept.reason) == (2, "kept before rollback to 1")
    assert read_files(kept.folder) == edited
    with pytest.raises(SetupFault, match="1 fault"):
        roll_back(config_dir, store, 2)
    assert read_files(config_dir) == good
    with pytest.raises(SetupFault, match="no configuration before"):
        roll_back(config_dir, store)
    with pytest.raises(KeyError):
        roll_back(config_dir, store, 9)


def test_the_versions_are_found_also_when_the_files_have_faults(tmp_path):
    config_dir = write_config(tmp_path)
    expected = tmp_path / "data" / "configuration"
    assert find_version_store(config_dir).folder == expected
    (config_dir / "node.yaml").write_text("prot: 1\n")
    assert find_version_store(config_dir).folder == expected
    (config_dir / "node.yaml").write_text("a: [\n")
    with pytest.raises(SetupFault, match="--data-dir"):
        find_version_store(config_dir)
    assert find_version_store(config_dir, tmp_path / "d").folder == tmp_path / "d/configuration"


def test_a_follower_takes_up_each_version_once_and_tells_what_it_refused(tmp_path: Path):
    config_dir = write_config(tmp_path)
    store = version_store(tmp_path / "data")
    apply_files(config_dir, is_start=True)
    seen: list[Settings] = []

    def take_up(settings: Settings) -> None:
        if len(settings.peers) > 2:
            raise SetupFault("too many")
        seen.append(settings)

    follower = ConfigFollower(store, "tester", 1, take_up)
    assert follower.look() is None
    write_config(tmp_path, node="port: 104\n", peers=NEW_PACS)
    apply_files(config_dir)
    taken = follower.look()
    assert taken is not None
    assert (taken.number, taken.refused) == (2, "")
    assert follower.look() is None
    (settings,) = seen
    assert [peer.name for peer in settings.peers] == ["pacs", "new"]
    assert settings.node.port == 11112  # as the node was started

    write_config(
        tmp_path, peers=NEW_PACS + "  - {name: third, ae_title: T, host: 10.0.0.3, port: 1}\n"
    )
    apply_files(config_dir)
    taken = follower.look()
    assert taken is not None
    assert (taken.number, taken.refused) == (3, "too many")
    assert follower.look() is None

    (store.folder / "state.json").write_text("{")
    assert follower.look() is None
    assert read_taken(store, "tester") is None
