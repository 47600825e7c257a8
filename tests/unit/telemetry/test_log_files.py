"""Log files: bounded in size and number, one of its own for each process, without patients."""

import json
import logging
import stat
import warnings

import pytest
import structlog
from pydicom.dataset import Dataset

from node.config.settings import LogSettings
from node.telemetry import log as log_module
from node.telemetry.log import configure_logging


@pytest.fixture(autouse=True)
def _restore_logging(monkeypatch):
    monkeypatch.setattr(log_module, "MEGABYTE", 2000)  # a log's megabyte, for small tests
    root = logging.getLogger()
    handlers, level, show = root.handlers[:], root.level, warnings.showwarning
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], warnings.showwarning = handlers, show
    root.setLevel(level)
    structlog.reset_defaults()


def write(folder, count, *, process="listener", **settings):
    configure_logging(LogSettings(file_mb=1, **settings), process=process, folder=folder)
    logger = structlog.get_logger("node.receive.scp")
    for i in range(count):
        logger.info("instance.stored", number=i, text="x" * 40)


def test_files_are_bounded_in_size_and_number_and_lose_only_the_oldest(tmp_path, capsys):
    write(tmp_path, 100, files=3)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [
        "listener.log", "listener.log.1", "listener.log.2", "listener.log.3",
    ]  # fmt: skip
    assert all(file.stat().st_size <= 2000 for file in files)
    order = [files[3], files[2], files[1], files[0]]
    numbers = [
        json.loads(line)["number"] for file in order for line in file.read_text().splitlines()
    ]
    assert numbers == list(range(numbers[0], 100))
    assert len(capsys.readouterr().err.splitlines()) == 100  # standard error has all


def test_each_process_has_its_own_file_and_a_restart_goes_on_in_it(tmp_path):
    write(tmp_path, 2, process="worker-1")
    write(tmp_path, 2, process="worker-2")
    write(tmp_path, 1, process="worker-1")
    assert len((tmp_path / "worker-1.log").read_text().splitlines()) == 3
    assert len((tmp_path / "worker-2.log").read_text().splitlines()) == 2


def test_none_are_written_where_none_are_wanted(tmp_path):
    write(tmp_path / "log", 2, files=0)
    assert not (tmp_path / "log").exists()


def test_files_are_private_and_hold_no_patient(tmp_path):
    folder = tmp_path / "log"
    write(folder, 60)
    dataset = Dataset()
    dataset.PatientName = "Doe^Jane"
    structlog.get_logger("node.x").warning("bad.idea", PatientName="Doe^Jane", dataset=dataset)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "Doe" not in file.read_text()


def test_text_form_has_no_colours_in_a_file(tmp_path):
    write(tmp_path, 2, json_lines=False)
    assert "\x1b" not in (tmp_path / "listener.log").read_text()
