"""``onconode backup`` and ``onconode restore`` as a person sees them."""

from pathlib import Path

import pytest

from node.cli import main
from node.cli.exit_codes import ExitCode
from node.jobs.ledger import Ledger
from node.jobs.supervisor import hold_lock
from node.storage.database import open_database, sqlite_url


@pytest.fixture
def site(tmp_path: Path) -> Path:
    home = tmp_path / "site"
    (home / "conf").mkdir(parents=True)
    (home / "conf/node.yaml").write_text("ae_title: TESTNODE\nmetrics: {port: 9464}\n")
    (home / "models/brain/0.1.0").mkdir(parents=True)
    (home / "models/brain/0.1.0/bundle.yaml").write_text("")
    data = home / "data"
    data.mkdir()
    engine = open_database(sqlite_url(data))
    Ledger(engine, lease_s=60).add_job(
        study_instance_uid="1.2.3",
        series_instance_uids=("1.2.3.4",),
        bundle="brain",
        rule="r",
        destinations=("pacs",),
        calling_ae_title="MODALITY",
        content_digest="d" * 64,
    )
    engine.dispose()
    return home


@pytest.fixture
def onconode(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("ONCONODE_DATA_DIR", "ONCONODE_MODELS_DIR", "ONCONODE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(home: Path, *arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(home / "conf"), *(str(each) for each in arguments)])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_backup_into_a_folder_then_check_then_restore_elsewhere(site, onconode, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    code, out, _ = onconode(site, "backup", folder)
    assert code == ExitCode.OK
    (archive,) = folder.iterdir()
    assert archive.name.startswith("onconode-TESTNODE-")
    assert str(archive) in out
    assert "without open work" in out

    code, out, _ = onconode(site, "restore", "--check", archive)
    assert code == ExitCode.OK
    assert "can be restored" in out

    new = tmp_path / "new"
    code, out, err = onconode(new, "restore", archive)
    assert code == ExitCode.OK, err
    assert "send again 1.2.3" in out
    assert (new / "conf/node.yaml").read_text() == (site / "conf/node.yaml").read_text()
    code, out, _ = onconode(new, "jobs", "list")
    assert code == ExitCode.OK
    assert "no jobs" in out


def test_a_place_that_is_taken_is_told_with_the_way_out(site, onconode, tmp_path):
    archive = tmp_path / "b.tar"
    assert onconode(site, "backup", archive)[0] == ExitCode.OK
    code, _, err = onconode(site, "restore", archive)
    assert code == ExitCode.SETUP_FAULT
    assert "in-the-way" in err
    assert "--force" in err
    code, out, err = onconode(site, "restore", archive, "--force")
    assert code == ExitCode.OK, err
    assert "moved aside" in out
    code, _, err = onconode(site, "backup", archive)
    assert code == ExitCode.SETUP_FAULT
    assert "backup-exists" in err


def test_a_running_node_is_not_restored_under(site, onconode, tmp_path):
    archive = tmp_path / "b.tar"
    assert onconode(site, "backup", archive)[0] == ExitCode.OK
    (site / "data/run").mkdir()
    with hold_lock(site / "data/run/supervisor.lock"):
        code, _, err = onconode(site, "restore", archive, "--force")
    assert code == ExitCode.SETUP_FAULT
    assert "node-runs" in err


def test_a_damaged_backup_is_rejected_input(site, onconode, tmp_path):
    archive = tmp_path / "b.tar"
    assert onconode(site, "backup", archive)[0] == ExitCode.OK
    data = bytearray(archive.read_bytes())
    data[2000] ^= 1
    archive.write_bytes(data)
    for arguments in (["--check"], ["--force"]):
        code, _, err = onconode(site, "restore", archive, *arguments)
        assert code == ExitCode.INPUT_REJECTED
        assert "damaged-backup" in err
        assert "Traceback" not in err


def test_without_database_is_told(site, onconode, tmp_path):
    code, _, err = onconode(site, "backup", tmp_path / "b.tar", "--no-database", "--no-models")
    assert code == ExitCode.OK
    assert "pg_dump" in err


def test_serve_does_not_start_on_half_a_restore(site, onconode):
    (site / "data/restore-unfinished").touch()
    code, _, err = onconode(site, "serve")
    assert code == ExitCode.SETUP_FAULT
    assert "unfinished-restore" in err
