"""``onconode config apply``, ``history``, ``rollback`` and ``schema``, without a running node."""

import json

import pytest
from factories_config import PACS, write_config

from node.cli import main
from node.cli.exit_codes import ExitCode
from node.config.versions import read_files

NEW_PACS = PACS + "  - {name: new, ae_title: NEW, host: 127.0.0.1, port: 4243}\n"


@pytest.fixture
def config_dir(tmp_path):
    return write_config(tmp_path)


@pytest.fixture
def config(config_dir, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(config_dir), "config", *arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_apply_tells_changes_and_what_waits_for_a_restart(config, tmp_path):
    code, out, _ = config("apply")
    assert code == ExitCode.OK
    assert "version 1" in out
    assert "no node runs on" in out
    assert "nothing changed" in config("apply")[1]
    write_config(tmp_path, node="port: 104\n", peers=NEW_PACS)
    code, out, _ = config("apply")
    assert code == ExitCode.OK
    assert "port: 11112 -> 104" in out
    assert "peer new: none -> there" in out


def test_faulty_files_are_refused_with_file_and_line(config, tmp_path):
    config("apply")
    write_config(tmp_path, node="prot: 104\n")
    code, _, err = config("apply")
    assert code == ExitCode.SETUP_FAULT
    assert "node.yaml:3" in err
    assert [each["number"] for each in json.loads(config("history", "--json")[1])] == [1]


def test_history_and_rollback(config, config_dir, tmp_path):
    assert "no configuration was applied yet" in config("history")[1]
    config("apply")
    before = read_files(config_dir)
    write_config(tmp_path, node="# postgresql://node:hunter2@db/x\n", peers=NEW_PACS)
    config("apply")
    code, out, _ = config("history", "1")
    assert code == ExitCode.OK
    assert "-  - {name: new" in out
    assert "hunter2" not in out
    told = json.loads(config("history", "--json")[1])
    assert [(each["number"], each["in_effect"]) for each in told] == [(2, True), (1, False)]
    code, out, _ = config("rollback")
    assert code == ExitCode.OK
    assert "peer new: there -> none" in out
    assert read_files(config_dir) == before
    assert "the files are those of version 1" in config("history", "1")[1]
    assert "rollback to 1" in config("history")[1]
    code, _, err = config("rollback", "7")
    assert code == ExitCode.USAGE
    assert "no version 7" in err


def test_rollback_works_when_the_files_are_ruined(config, config_dir, tmp_path):
    config("apply")
    good = read_files(config_dir)
    (config_dir / "node.yaml").write_text("a: [\n")
    code, _, err = config("rollback")
    assert code == ExitCode.SETUP_FAULT
    assert "--data-dir" in err
    assert config("rollback", "--data-dir", str(tmp_path / "data"))[0] == ExitCode.OK
    assert read_files(config_dir) == good


def test_schema_is_written(config, tmp_path):
    code, out, _ = config("schema", "--out", str(tmp_path / "s"))
    assert code == ExitCode.OK
    assert len(out.splitlines()) == 3
    assert len(list((tmp_path / "s").iterdir())) == 3


def test_replay_without_a_database_makes_none(config, tmp_path):
    code, out, _ = config("replay")
    assert code == ExitCode.OK
    assert "0 studies" in out
    assert not (tmp_path / "data").exists()
