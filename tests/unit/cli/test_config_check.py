"""``onconode config check``: faults stop, warnings and notes do not."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node.cli import main
from node.cli.exit_codes import ExitCode
from node.jobs.ledger import Ledger
from node.storage.database import open_database, sqlite_url

PEERS = """\
peers:
  - {name: pacs, ae_title: ARCHIVE, host: 127.0.0.1, port: 4242}
"""
ROUTING = """\
rules:
  - {name: brain, match: {modality: [MR]}, bundle: brain-t1ce, destinations: [pacs]}
  - {name: chest, match: {modality: [CT]}, bundle: brain-t1ce, destinations: [pacs]}
"""


@pytest.fixture
def config_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "node.yaml").write_text("ae_title: TESTNODE\n")
    (directory / "peers.yaml").write_text(PEERS)
    (directory / "routing.yaml").write_text(ROUTING)
    version = tmp_path / "models" / "brain-t1ce" / "1.0.0"
    version.mkdir(parents=True)
    (version / "bundle.yaml").write_text("")
    return directory


@pytest.fixture
def check(config_dir, capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(config_dir), "config", "check", *arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def add_job(config_dir: Path, *, rule: str, days_ago: float) -> None:
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    data_dir = config_dir.parent / "data"
    data_dir.mkdir(exist_ok=True)
    engine = open_database(sqlite_url(data_dir))
    Ledger(engine, lease_s=60, now=lambda: moment).add_job(
        study_instance_uid=f"1.2.{len(rule)}",
        series_instance_uids=("1.2.3.4",),
        bundle="brain-t1ce",
        rule=rule,
        destinations=("pacs",),
        calling_ae_title="MODALITY",
        content_digest=rule,
    )
    engine.dispose()


def test_a_rule_that_cannot_win_is_a_warning_with_its_line(check, config_dir):
    (config_dir / "routing.yaml").write_text(
        ROUTING + "  - {name: late, match: {modality: [MR], body_part: [HEAD]}, "
        "bundle: brain-t1ce, destinations: [pacs]}\n"
    )
    code, out, err = check()
    assert code == ExitCode.OK
    assert "no faults" in out
    assert "unreachable-rule" in err
    assert "routing.yaml:4" in err
    assert "brain before it" in err
    assert check("--strict")[0] == ExitCode.SETUP_FAULT
    assert check("--strict", "--days", "0")[0] == ExitCode.SETUP_FAULT


def test_without_warnings_strict_is_content(check):
    assert check("--strict")[0] == ExitCode.OK


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ("{name: other, ae_title: ARCHIVE, host: 10.0.0.9, port: 104}", "shared-ae-title"),
        ("{name: other, ae_title: SECOND, host: localhost, port: 4242}", "shared-address"),
        ("{name: other, ae_title: TESTNODE, host: 10.0.0.9, port: 104}", "own-ae-title"),
    ],
)
def test_clashes_of_peers_are_warnings(check, config_dir, entry, code):
    (config_dir / "peers.yaml").write_text(f"{PEERS}  - {entry}\n")
    ended, _, err = check()
    assert ended == ExitCode.OK
    assert code in err
    assert "peers.yaml:3" in err
    assert err.count("remedy") == 1


@pytest.mark.parametrize(
    ("keys", "warned"),
    [
        ("permissions: [echo, store]", True),
        ("permissions: [echo, store], commitment: require", True),
        ("permissions: [echo, store], commitment: 'off'", False),
        ("permissions: [echo, store], dicomweb: {url: 'http://a/dicom-web'}", False),
        ("permissions: [commit]", False),
        ("permissions: []", False),
    ],
)
def test_an_archive_that_may_not_answer_is_a_warning(check, config_dir, keys, warned):
    (config_dir / "peers.yaml").write_text(PEERS.replace("port: 4242", f"port: 4242, {keys}"))
    ended, _, err = check()
    assert ended == ExitCode.OK
    assert ("answer-not-permitted" in err) is warned
    assert ("peers.yaml:2" in err) is warned


def test_rules_that_matched_nothing_are_noted_from_the_ledger(check, config_dir):
    add_job(config_dir, rule="brain", days_ago=1)
    add_job(config_dir, rule="chest", days_ago=8)
    assert "matched nothing" not in check()[1]
    code, out, _ = check("--days", "5", "--strict")
    assert code == ExitCode.OK
    assert "note: rule chest matched nothing in the last 5 days (other rules: 1 jobs)" in out
    assert "rule brain" not in out


def test_without_a_ledger_nothing_is_made(check, config_dir):
    code, out, _ = check()
    assert code == ExitCode.OK
    assert "there is no database yet" in out
    assert not (config_dir.parent / "data").exists()


def test_json_tells_all_three_kinds(check, config_dir):
    add_job(config_dir, rule="brain", days_ago=1)
    (config_dir / "peers.yaml").write_text(
        PEERS + "  - {name: b, ae_title: ARCHIVE, host: h, port: 1}\n"
    )
    told = json.loads(check("--json")[1])
    assert told["faults"] == []
    assert [warning["code"] for warning in told["warnings"]] == ["shared-ae-title"]
    assert len(told["notes"]) == 1
    (config_dir / "node.yaml").write_text("prot: 1\nport: many\n")
    code, out, _ = check("--json")
    assert code == ExitCode.SETUP_FAULT
    assert {fault["code"] for fault in json.loads(out)["faults"]} == {"unknown-key", "wrong-type"}
