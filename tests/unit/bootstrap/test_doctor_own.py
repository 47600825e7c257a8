"""The doctor's lines about the node itself, each made to fail."""

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from factories_receive import listener_settings, running_listener
from free_ports import free_port
from sqlalchemy import text
from typer.testing import CliRunner

from node.bootstrap.doctor.clocks import judge_skew
from node.bootstrap.doctor.own import (
    check_disk,
    check_folders,
    check_models,
    check_port,
    open_ledger,
    tell_faults,
)
from node.bootstrap.doctor.round_trip import choose_sender
from node.bootstrap.doctor.sheet import Mark
from node.bootstrap.doctor.titles import check_callers, check_titles
from node.bootstrap.parts import Parts
from node.cli.app import app
from node.config.load import load_settings
from node.config.settings import NodeSettings, Peer, RoutingRule, SeriesMatch, Settings
from node.domain.errors import SetupFault
from node.jobs.supervisor import hold_lock
from node.storage.associations import AssociationRecord, AssociationResult, AssociationStore
from node.storage.database import open_database, sqlite_url
from node.storage.migrate import known_schemas, newest_schema

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FREE = {"minimum_free_disk_mb": 0}


def parts_in(folder: Path, **node: object) -> Parts:
    return Parts(settings=Settings(node=NodeSettings(data_dir=folder / "data", **node)))


@pytest.mark.parametrize(
    ("seconds", "mark", "words"),
    [
        (0, Mark.PASS, "the same"),
        (20, Mark.PASS, "20 s ahead"),
        (90, Mark.WARN, "90 s ahead"),
        (-90, Mark.WARN, "89 s behind"),  # the header cuts the last second off
        (-4000, Mark.FAIL, "behind"),
    ],
)
def test_clock_skew(seconds: float, mark: Mark, words: str) -> None:
    theirs = NOON + timedelta(seconds=seconds)
    line = judge_skew("pacs", "Date", theirs=theirs, before=NOON, after=NOON)
    assert line.mark is mark
    assert words in line.found


def test_a_slow_answer_is_no_skew() -> None:
    line = judge_skew("p", "Date", theirs=NOON, before=NOON - timedelta(60), after=NOON)
    assert line.mark is Mark.PASS


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in the place of the folder")
    (line,) = check_folders(NodeSettings(data_dir=tmp_path / "data"))
    assert line.mark is Mark.FAIL
    (tmp_path / "other").mkdir()
    (line,) = check_folders(NodeSettings(data_dir=tmp_path / "other"))
    assert line.mark is Mark.PASS
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize(
    ("soft_mb", "hard_mb", "mark"),
    [(0, 0, Mark.PASS), (10**9, 0, Mark.FAIL), (0, 10**9, Mark.FAIL)],
)
def test_disk_marks(tmp_path: Path, soft_mb: int, hard_mb: int, mark: Mark) -> None:
    (tmp_path / "data").mkdir()
    receive = NodeSettings().receive.model_copy(update={"minimum_free_disk_mb": hard_mb})
    disk = NodeSettings().disk.model_copy(update={"soft_free_mb": soft_mb})
    assert check_disk(parts_in(tmp_path, receive=receive, disk=disk)).mark is mark


def test_database_older_newer_broken_and_missing(tmp_path: Path) -> None:
    settings = Settings(node=NodeSettings(data_dir=tmp_path))
    engine, line = open_ledger(settings)
    assert (engine, line.mark) == (None, Mark.SKIP)
    assert not (tmp_path / "onconode.db").exists()
    made = open_database(sqlite_url(tmp_path))
    older = sorted(known_schemas() - {newest_schema()})[0]
    for schema, mark in ((newest_schema(), Mark.PASS), (older, Mark.WARN), ("9999", Mark.FAIL)):
        with made.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :n"), {"n": schema})
        engine, line = open_ledger(settings)
        assert engine is not None
        engine.dispose()
        assert (line.mark, schema in line.found) == (mark, True)
    made.dispose()
    (tmp_path / "onconode.db").write_bytes(b"no database at all, but long enough" * 100)
    engine, line = open_ledger(settings)
    assert (engine, line.mark) == (None, Mark.FAIL)


def test_bundles_that_rules_name(tmp_path: Path) -> None:
    rule = RoutingRule(
        name="r", match=SeriesMatch(modality=("MR",)), bundle="gone", destinations=("pacs",)
    )
    settings = Settings(node=NodeSettings(models_dir=tmp_path), routing=(rule, rule))
    (line,) = check_models(Parts(settings=settings), golden=False)
    assert line.mark is Mark.FAIL
    assert "gone" in line.found


def test_port_free_then_taken_by_a_stranger(tmp_path: Path) -> None:
    parts = parts_in(tmp_path, port=free_port())
    assert check_port(parts).mark is Mark.PASS
    with socket.create_server(("127.0.0.1", parts.settings.node.port)) as server:
        server.listen()
        line = check_port(
            Parts(settings=parts.settings)
        )  # it takes the connection and says nothing
    assert line.mark is Mark.FAIL
    assert "does not answer" in line.found


def test_port_of_a_running_node_and_of_another_one(tmp_path: Path) -> None:
    with running_listener(tmp_path / "node", settings=listener_settings()) as running:
        parts = parts_in(tmp_path, port=running.port)
        other = check_port(parts)
        parts.run_dir.mkdir(parents=True)
        with hold_lock(parts.run_dir / "supervisor.lock"):
            own = check_port(parts)
    assert other.mark is Mark.FAIL
    assert "no node runs on this data_dir" in other.found
    assert own.mark is Mark.PASS
    with hold_lock(parts.run_dir / "supervisor.lock"):
        silent = check_port(parts)
    assert silent.mark is Mark.FAIL


def write_config(folder: Path, *titles: str, **node: object) -> Path:
    config = folder / "conf"
    config.mkdir()
    values = {"port": free_port(), "data_dir": str(folder / "data"), "receive": FREE, **node}
    peers = [
        {"name": f"p{n}", "ae_title": title, "port": free_port(), "host": f"127.0.0.{n + 1}"}
        for n, title in enumerate(titles)
    ]
    (config / "node.yaml").write_text(yaml.safe_dump(values))
    (config / "peers.yaml").write_text(yaml.safe_dump({"peers": peers}))
    return config


def record(calling: str, address: str) -> AssociationRecord:
    return AssociationRecord(
        token=f"{calling}{address}",
        listener="test",
        started_at=NOON,
        address=address,
        port=11112,
        calling_ae_title=calling,
        result=AssociationResult.RELEASED,
    )


def test_ae_titles_that_clash_in_the_files_and_on_the_line(tmp_path: Path) -> None:
    config = write_config(tmp_path, "ONCONODE", "PACS", "PACS")
    settings = load_settings(config, environment={})
    engine = open_database(sqlite_url(tmp_path))
    store = AssociationStore(engine)
    store.record_all([record("ONCONODE", "127.0.0.1"), record("PACS", "127.0.0.1")])
    lines = list(check_titles(settings, config, engine))
    assert [line.mark for line in lines] == [Mark.WARN, Mark.WARN]
    assert check_callers(settings.peers[1], engine) is None
    store.record_all([record("ONCONODE", "192.0.2.7"), record("PACS", "192.0.2.8")])
    lines = list(check_titles(settings, config, engine))
    assert lines[-1].mark is Mark.FAIL
    assert "192.0.2.7" in lines[-1].found
    clash = check_callers(settings.peers[1], engine)
    assert clash is not None
    assert "192.0.2.8" in clash.found
    engine.dispose()


def test_who_sends_the_phantom() -> None:
    strict = NodeSettings(accept_unknown_peers=False)
    elsewhere = Peer(name="a", ae_title="A", allowed_addresses=("192.0.2.0/24",))
    asks = Peer(name="b", ae_title="B", permissions=("echo",))
    may = Peer(name="c", ae_title="C")
    assert choose_sender(NodeSettings(), ()) == "ONCODOCTOR"
    assert choose_sender(strict, (elsewhere, asks, may)) == "C"
    with pytest.raises(SetupFault, match="--from"):
        choose_sender(strict, (elsewhere, asks))


def test_faults_of_the_configuration_are_lines(tmp_path: Path) -> None:
    config = write_config(tmp_path, prot=1)
    with pytest.raises(SetupFault) as raised:
        load_settings(config, environment={})
    lines = list(tell_faults(raised.value.problems, raised.value.summary))
    assert [line.mark for line in lines] == [Mark.FAIL]
    assert "node.yaml" in lines[0].tried


def run_doctor(config: Path, *arguments: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    result = CliRunner().invoke(app, ["--config", str(config), "doctor", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_exit_codes_and_json(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    good = write_config(tmp_path / "a")
    code, told = run_doctor(good, "--quick")
    assert code == 0
    assert {line["about"] for line in told["lines"]} == {"node"}
    (tmp_path / "b").mkdir()
    dead = write_config(tmp_path / "b", "PACS")
    code, told = run_doctor(dead, "--quick", "p0")
    assert code == 4
    assert {line["about"] for line in told["lines"]} == {"p0"}
    (tmp_path / "c").mkdir()
    faulty = write_config(tmp_path / "c", prot=1)
    code, told = run_doctor(faulty)
    assert code == 5
    assert told["lines"][0]["check"] == "configuration"
    code, told = run_doctor(good, "--quick", "--phantom")
    assert code == 6
    assert [line["mark"] for line in told["lines"] if line["about"] == "phantom"] == ["fail"]


def test_the_sheet_for_people(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    result = CliRunner().invoke(app, ["--config", str(config), "doctor", "--quick"])
    assert result.exit_code == 0
    assert "0 fail" in result.stdout
