"""The audit trail: whatever is done to its files afterwards is found."""

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from node.config.settings import AuditSettings
from node.telemetry.audit import events, trail
from node.telemetry.audit.chain import AuditChain, Head, list_files
from node.telemetry.audit.trail import AuditTrail
from node.telemetry.audit.verify import read_records, verify_trail

AT = datetime(2025, 3, 1, 12, tzinfo=UTC)
NODE = events.Node(ae_title="ONCONODE", process="test")


def write(folder, count=6, *, maximum_file_bytes=1 << 20):
    chain = AuditChain(folder, maximum_file_bytes=maximum_file_bytes)
    return [chain.append(f'<AuditMessage n="{i}"/>', at=AT) for i in range(1, count + 1)]


def only_file(folder):
    (path,) = list_files(folder)
    return path


def test_sound_trail_has_no_fault_and_tells_its_head(tmp_path):
    heads = write(tmp_path)
    found = verify_trail(tmp_path)
    assert (found.faults, found.notes, found.records, found.head) == ((), (), 6, heads[-1])
    assert [record["number"] for record in read_records(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_no_trail_yet_is_no_fault(tmp_path):
    assert verify_trail(tmp_path / "audit").faults == ()


def test_every_changed_byte_is_found(tmp_path):
    write(tmp_path, 3)
    path = only_file(tmp_path)
    sound = path.read_bytes()
    for i in range(len(sound) - 1):  # the last line end carries nothing
        path.write_bytes(sound[:i] + bytes([sound[i] ^ 0x01]) + sound[i + 1 :])
        assert verify_trail(tmp_path).faults, f"byte {i}"


@pytest.mark.parametrize("number", range(6))
def test_every_removed_or_doubled_line_is_found(tmp_path, number):
    write(tmp_path)
    path = only_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
    assert verify_trail(tmp_path).faults
    path.write_bytes(b"".join(lines[: number + 1] + lines[number:]))
    assert verify_trail(tmp_path).faults


def test_two_lines_that_changed_places_are_found(tmp_path):
    write(tmp_path)
    path = only_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2], lines[3] = lines[3], lines[2]
    path.write_bytes(b"".join(lines))
    assert verify_trail(tmp_path).faults


def test_chain_goes_on_across_files_and_a_missing_file_is_found(tmp_path):
    write(tmp_path, 9, maximum_file_bytes=400)
    files = list_files(tmp_path)
    assert len(files) > 3
    assert verify_trail(tmp_path).faults == ()
    for missing in files:
        content = missing.read_bytes()
        missing.unlink()
        assert verify_trail(tmp_path).faults, missing.name
        missing.write_bytes(content)
    files[0].unlink()
    assert verify_trail(tmp_path, is_beginning_archived=True).faults == ()


def test_end_that_was_cut_off_contradicts_head(tmp_path):
    write(tmp_path)
    path = only_file(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(6):
        path.write_bytes(b"".join(lines[:kept]))
        assert any("head.json" in fault for fault in verify_trail(tmp_path).faults)
    path.write_bytes(b"".join(lines)[:-20])
    assert verify_trail(tmp_path).faults


def test_trail_written_anew_is_found_by_an_anchor_noted_elsewhere(tmp_path):
    noted = write(tmp_path / "a")[3]
    write(tmp_path / "b", 3)
    write(tmp_path / "c", 5)
    other = AuditChain(tmp_path / "d", maximum_file_bytes=1 << 20)
    for _ in range(6):
        other.append("<AuditMessage/>", at=AT)
    anchor = [("paper", noted)]
    assert verify_trail(tmp_path / "a", anchors=anchor).faults == ()
    assert verify_trail(tmp_path / "b", anchors=anchor).faults  # shorter
    assert verify_trail(tmp_path / "c", anchors=anchor).faults == ()  # the same beginning
    assert verify_trail(tmp_path / "d").faults == ()  # only the anchor tells
    assert verify_trail(tmp_path / "d", anchors=anchor).faults


@pytest.mark.parametrize("cut", [2, 30, 120])
def test_record_cut_short_by_a_crash_is_told_of_and_the_chain_goes_on(tmp_path, cut):
    write(tmp_path, 2)
    path, head = only_file(tmp_path), tmp_path / "head.json"
    before, size = head.read_bytes(), path.stat().st_size
    write_one = AuditChain(tmp_path, maximum_file_bytes=1 << 20)
    write_one.append("<AuditMessage/>", at=AT)
    os.truncate(path, path.stat().st_size - cut)
    head.write_bytes(before)  # a crash between the two writes leaves the earlier head
    found = verify_trail(tmp_path)
    assert found.faults == ()
    assert len(found.notes) == 1
    assert AuditChain(tmp_path, maximum_file_bytes=1).append("<AuditMessage/>", at=AT).number == 3
    found = verify_trail(tmp_path)
    assert (found.faults, found.records, len(found.notes)) == ((), 3, 1)
    content = path.read_bytes()
    path.write_bytes(content[:size] + content[content.index(b"\n", size) + 1 :])
    assert verify_trail(tmp_path).faults, "the torn line was removed"


def test_record_that_lacks_only_its_line_end_is_sound(tmp_path):
    write(tmp_path, 2)
    path = only_file(tmp_path)
    os.truncate(path, path.stat().st_size - 1)
    assert verify_trail(tmp_path).faults == ()
    assert AuditChain(tmp_path, maximum_file_bytes=1 << 20).append("<M/>", at=AT).number == 3
    assert verify_trail(tmp_path).faults == ()


def test_several_processes_write_one_chain(tmp_path):
    code = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from node.telemetry.audit.chain import AuditChain\n"
        "chain = AuditChain(Path(sys.argv[1]), maximum_file_bytes=3000)\n"
        'for i in range(15): chain.append(f\'<M who="{sys.argv[2]}" i="{i}"/>\', '
        "at=datetime.now(UTC))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(i)]) for i in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    found = verify_trail(tmp_path)
    assert (found.faults, found.records) == ((), 45)
    assert found.files > 1
    assert len({record["xml"] for record in read_records(tmp_path)}) == 45


def test_files_are_for_the_owner_only(tmp_path):
    folder = tmp_path / "audit"
    write(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


class FullDisk:
    """Stands in for a chain whose disk is full for a while."""

    def __init__(self, chain):
        self.chain, self.is_full = chain, True

    def append(self, xml, *, at):
        if self.is_full:
            raise OSError(28, "No space left on device")
        return self.chain.append(xml, at=at)


def test_what_cannot_be_written_waits_and_what_is_lost_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(trail, "MAXIMUM_PENDING", 3)
    audit = AuditTrail(tmp_path, node=NODE, settings=AuditSettings())
    disk = audit._chain = FullDisk(audit._chain)
    for _ in range(5):
        audit.record(events.application_activity(NODE, started=True))
    assert not list_files(audit.folder)
    disk.is_full = False
    audit.record(events.application_activity(NODE, started=False))
    records = [record["xml"] for record in read_records(audit.folder)]
    assert len(records) == 4
    assert "110133" in records[0]  # Audit Recording Stopped: three were lost
    assert "110121" in records[-1]
    assert verify_trail(audit.folder).faults == ()


def test_switched_off_writes_nothing(tmp_path):
    audit = AuditTrail(tmp_path, node=NODE, settings=AuditSettings(enabled=False))
    audit.record(events.application_activity(NODE, started=True))
    assert not audit.folder.exists()


def test_head_says_what_the_last_record_is(tmp_path):
    last = write(tmp_path)[-1]
    told = json.loads((tmp_path / "head.json").read_text())
    assert Head(**told) == last
    (tmp_path / "head.json").unlink()
    assert verify_trail(tmp_path).faults
