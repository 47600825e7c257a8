"""``onconode audit``: what it prints, and the codes it ends with."""

import json
import shutil
from pathlib import Path

import pytest

from node.bootstrap.auditing import note_audit_anchor
from node.bootstrap.parts import Parts
from node.cli.app import main
from node.cli.exit_codes import ExitCode
from node.config.load import load_settings
from node.config.settings import AuditSettings
from node.telemetry.audit import codes, events
from node.telemetry.audit.chain import list_files
from node.telemetry.audit.trail import AuditTrail

NODE = events.Node(ae_title="ONCONODE", process="listener")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "200")
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "node.yaml").write_text(f"data_dir: {tmp_path / 'data'}\n")
    return directory


def write_trail(config: Path) -> Path:
    trail = AuditTrail(config.parent / "data", node=NODE, settings=AuditSettings())
    trail.record(events.application_activity(NODE, started=True, by="jane"))
    alert = events.security_alert(
        NODE, kind=codes.NODE_AUTHENTICATION, description="called AE title", subject="STRANGER"
    )
    trail.record(alert)
    study = events.StudyShare(study_instance_uid="1.2.3", instances={"1.2": 4}, patient_id="P")
    trail.record(events.instances_accessed(NODE, study=study))
    return trail.folder


def run(capsys, config: Path, *words: str) -> tuple[int, str, str]:
    try:
        main(["--config", str(config), "audit", *words])
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_sound_trail_gives_an_anchor_that_holds_later(config, capsys):
    folder = write_trail(config)
    code, text, _ = run(capsys, config, "verify")
    assert code == 0
    assert "3 records in 1 files, unbroken" in text
    anchor = text.split("anchor: ")[1].strip()
    write_trail(config)
    assert run(capsys, config, "verify", "--anchor", anchor)[0] == 0

    path = list_files(folder)[0]
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))  # whoever can do that can write head.json too
    last = json.loads(lines[1])
    (folder / "head.json").write_text(json.dumps({k: last[k] for k in ("number", "sha256")}))
    assert run(capsys, config, "verify")[0] == 0
    code, _, complaint = run(capsys, config, "verify", "--anchor", anchor)
    assert code == ExitCode.SETUP_FAULT
    assert "ends at 2" in complaint


def test_a_changed_byte_is_told_with_its_place(config, capsys):
    path = list_files(write_trail(config))[0]
    path.write_bytes(path.read_bytes().replace(b"STRANGER", b"FRIEND_1"))
    code, _, complaint = run(capsys, config, "verify")
    assert code == ExitCode.SETUP_FAULT
    assert f"{path.name}:2" in complaint


def test_an_anchor_that_is_none_is_a_wrong_command_line(config, capsys):
    write_trail(config)
    assert run(capsys, config, "verify", "--anchor", "3")[0] == ExitCode.USAGE


def test_no_trail_yet(config, capsys):
    assert run(capsys, config, "verify")[0] == 0
    assert run(capsys, config, "verify", "--anchor", "1:" + "0" * 64)[0] == ExitCode.SETUP_FAULT
    assert run(capsys, config, "show") == (0, "no records\n", "")


def test_a_trail_that_was_removed_as_a_whole_is_known_to_the_database(config, capsys):
    folder = write_trail(config)
    parts = Parts(settings=load_settings(config, environment={}))
    note_audit_anchor(parts)
    parts.engine.dispose()
    assert run(capsys, config, "verify")[0] == 0
    shutil.rmtree(folder)
    code, _, complaint = run(capsys, config, "verify")
    assert code == ExitCode.SETUP_FAULT
    assert "the database: knows record 3, the trail ends at 0" in complaint


def test_show_filters_and_is_itself_recorded(config, capsys):
    write_trail(config)
    _, text, _ = run(capsys, config, "show")
    assert "Application Activity: Application Start" in text
    assert "STRANGER" in text
    assert "(4 objects)" in text
    _, text, _ = run(capsys, config, "show", "--json", "--event", "110113")
    (record,) = map(json.loads, text.splitlines())
    assert record["number"] == 2
    _, text, _ = run(capsys, config, "show", "--json", "--study", "1.2.3")
    (record,) = map(json.loads, text.splitlines())
    assert record["number"] == 3
    assert run(capsys, config, "show", "--study", "1.2.9")[1] == "no such records\n"
    _, text, _ = run(capsys, config, "show", "--json", "--event", "110101")
    assert len(text.splitlines()) == 4, "every look before this one"
    assert run(capsys, config, "verify")[0] == 0
