"""Folders for files in passing: gone at the end, also where the process was killed."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from node.storage.scratch import FOLDER, remove_abandoned, scratch_folder

HOLDER = """
import sys
from pathlib import Path
from node.storage.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), "upload") as folder:
    (folder / "body").write_bytes(b"of a patient")
    print(folder, flush=True)
    sys.stdin.read()
"""


def names(data_dir: Path) -> list[str]:
    return sorted(path.name for path in (data_dir / FOLDER).iterdir())


def test_it_is_private_and_gone_at_the_end(tmp_path):
    with scratch_folder(tmp_path, "fetch") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_bytes(b"x")
        assert folder.parent == tmp_path / FOLDER
        assert folder.name.startswith("fetch-")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == []


def test_it_is_gone_after_a_fault(tmp_path):
    with pytest.raises(KeyError), scratch_folder(tmp_path, "fetch"):
        raise KeyError
    assert names(tmp_path) == []


def test_what_is_held_stays_and_what_a_killed_process_left_goes(tmp_path):
    arguments = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with (
        scratch_folder(tmp_path, "fetch") as own,
        subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder,
    ):
        assert holder.stdout is not None
        other = Path(holder.stdout.readline().strip())
        assert remove_abandoned(tmp_path) == []
        assert (other / "body").is_file()
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
        assert remove_abandoned(tmp_path) == [other.name]
        assert names(tmp_path) == [own.name, f"{own.name}.lock"]
        assert remove_abandoned(tmp_path) == []
    assert names(tmp_path) == []


def test_what_a_thread_makes_again_after_the_end_goes(tmp_path):
    with scratch_folder(tmp_path, "priors") as folder:
        pass
    (folder / "1.2").mkdir(parents=True)
    (folder / "1.2" / "late.dcm").write_bytes(b"of a patient")
    assert remove_abandoned(tmp_path) == [folder.name]
    assert names(tmp_path) == []


def test_where_there_is_none_nothing_is_removed(tmp_path):
    assert remove_abandoned(tmp_path) == []


def test_a_clean_up_beside_takes_none_from_under_its_owner(tmp_path):
    stop = threading.Event()

    def clean_up() -> None:
        while not stop.is_set():
            remove_abandoned(tmp_path)

    cleaner = threading.Thread(target=clean_up)
    cleaner.start()
    try:
        for _ in range(200):
            with scratch_folder(tmp_path, "upload") as folder:
                (folder / "body").write_bytes(b"x")
                assert (folder / "body").read_bytes() == b"x"
    finally:
        stop.set()
        cleaner.join(30)
    assert names(tmp_path) == []
