"""The file format of a backup: what was altered, cut off or smuggled in is refused."""

import io
import json
import random
import stat
import tarfile
from pathlib import Path

import pytest

from node.domain.errors import InputRejected
from node.storage import archive as archive_format
from node.storage.archive import (
    FORMAT_VERSION,
    MANIFEST,
    extract,
    is_safe_name,
    read_manifest,
    writing_archive,
)

LONG_UID = "2.25." + "1" * 59
FILES = {
    "config/node.yaml": b"ae_title: NODE\n",
    "models/brain/0.1.0/weights": bytes(range(256)) * 20,
    f"data/objects/{LONG_UID}/{LONG_UID}/{LONG_UID}.dcm": b"\0" * 700,
    "config/empty": b"",
}


def write(place: Path, files: dict[str, bytes] = FILES) -> Path:
    with writing_archive(place, written_at_s=0) as archive:
        for name, data in files.items():
            archive.add_bytes(data, name)
        archive.finish(software_version="1.2.3", facts={"schema": "0001"})
    return place


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def unpack(place: Path, into: Path) -> dict[str, bytes]:
    manifest = read_manifest(place)
    for folder in ("config", "models", "data"):
        extract(place, manifest, folder=folder, into=into / folder)
    return content(into)


def codes_of(place: Path) -> set[str]:
    with pytest.raises(InputRejected) as refused:
        read_manifest(place)
    return {problem.code for problem in refused.value.problems}


def test_what_goes_in_comes_out(tmp_path):
    place = write(tmp_path / "b.tar")
    manifest = read_manifest(place)
    assert manifest.software_version == "1.2.3"
    assert manifest.facts == {"schema": "0001"}
    assert unpack(place, tmp_path / "out") == FILES


def test_an_archive_is_for_its_owner_and_leaves_nothing_beside_it(tmp_path):
    place = write(tmp_path / "b.tar")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [place]


def test_an_interrupted_archive_never_gets_its_name(tmp_path):
    def break_off() -> None:
        with writing_archive(tmp_path / "b.tar", written_at_s=0) as archive:
            archive.add_bytes(b"x", "config/x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert not list(tmp_path.iterdir())


def test_mode_is_kept_without_rights_of_others(tmp_path):
    source = tmp_path / "key.pem"
    source.write_bytes(b"secret")
    source.chmod(0o4640)
    with writing_archive(tmp_path / "b.tar", written_at_s=0) as archive:
        archive.add_file(source, "config/key.pem")
        archive.finish(software_version="1", facts={})
    manifest = read_manifest(tmp_path / "b.tar")
    extract(tmp_path / "b.tar", manifest, folder="config", into=tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out/key.pem").stat().st_mode) == 0o640


def test_the_first_bytes_of_a_file_that_grows(tmp_path):
    log = tmp_path / "audit.jsonl"
    log.write_bytes(b"one\ntwo\n")
    with writing_archive(tmp_path / "b.tar", written_at_s=0) as archive:
        archive.add_file(log, "data/audit.jsonl", size_bytes=4)
        archive.finish(software_version="1", facts={})
    extract(
        tmp_path / "b.tar",
        read_manifest(tmp_path / "b.tar"),
        folder="data",
        into=tmp_path / "out",
    )
    assert (tmp_path / "out/audit.jsonl").read_bytes() == b"one\n"


def test_a_file_that_shrinks_while_it_is_added_is_noticed(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"one\n")

    def add() -> None:
        with writing_archive(tmp_path / "b.tar", written_at_s=0) as archive:
            archive.add_file(log, "data/log", size_bytes=5)

    with pytest.raises(OSError, match="unexpected end"):
        add()
    assert list(tmp_path.iterdir()) == [log]


def test_every_cut_is_noticed(tmp_path):
    whole = write(tmp_path / "b.tar").read_bytes()
    cut = tmp_path / "cut.tar"
    used = len(whole.rstrip(b"\0"))
    for length in [*range(0, used, 512), *range(100, used, 997)]:
        cut.write_bytes(whole[:length])
        assert codes_of(cut) == {"damaged-backup"}, length


def test_every_altered_byte_is_noticed_or_without_effect(tmp_path):
    place, altered = write(tmp_path / "b.tar"), tmp_path / "altered.tar"
    whole, manifest = place.read_bytes(), read_manifest(place)
    generator = random.Random(1)
    refused = 0
    for position in generator.sample(range(len(whole)), 400):
        data = bytearray(whole)
        data[position] ^= 1 << generator.randrange(8)
        altered.write_bytes(data)
        try:
            same = read_manifest(altered) == manifest  # it holds every digest
        except InputRejected:
            refused += 1
        else:
            assert same, position
    assert refused > 100  # most of the rest is padding


def test_every_fault_is_told_at_once(tmp_path):
    place = tmp_path / "b.tar"
    with writing_archive(place, written_at_s=0) as archive:
        for name, data in FILES.items():
            archive.add_bytes(data, name)
        del archive.members["config/empty"]
        one = archive.members["config/node.yaml"]
        archive.members["config/gone"] = one
        archive.members["models/brain/0.1.0/weights"] = one
        archive.finish(software_version="1", facts={})
    with pytest.raises(InputRejected) as refused:
        read_manifest(place)
    assert len(refused.value.problems) == 3


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../outside", "config/../../outside", "config/./x", "config//x"),
        *("config/x\0y", "config/x\ny", "config\\..\\x", "c/" + "x" * 2000, "config/"),
    ],
)
def test_names_that_lead_elsewhere_are_unsafe(name, tmp_path):
    assert not is_safe_name(name)
    with (
        pytest.raises(ValueError, match="cannot be the name"),
        writing_archive(tmp_path / "b.tar", written_at_s=0) as archive,
    ):
        archive.add_bytes(b"", name)


def test_a_manifest_or_a_name_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    name = "config/" + "x" * 50
    place = write(tmp_path / "b.tar", {name: b""})
    manifest = read_manifest(place)
    monkeypatch.setattr(archive_format, "LONGEST_NAME", len(name))
    assert read_manifest(place) == manifest
    monkeypatch.setattr(archive_format, "LONGEST_NAME", len(name) - 1)
    with pytest.raises(InputRejected, match="a name that leads elsewhere"):
        read_manifest(place)
    monkeypatch.undo()
    monkeypatch.setattr(archive_format, "LARGEST_MANIFEST_BYTES", 100)
    with pytest.raises(InputRejected, match="a manifest of"):
        read_manifest(place)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize(
    "smuggled",
    [
        entry("../outside"),
        entry("/outside"),
        entry("config/../../outside"),
        entry("config/link", tarfile.SYMTYPE, "/etc"),
        entry("config/link", tarfile.LNKTYPE, "config/node.yaml"),
        entry("config/pipe", tarfile.FIFOTYPE),
        entry("config/device", tarfile.CHRTYPE),
        entry("config", tarfile.DIRTYPE),
        entry("config/node.yaml"),
    ],
    ids=lambda made: f"{made.type!r}-{made.name}",
)
def test_what_no_backup_holds_is_refused_wherever_it_stands(smuggled, tmp_path):
    place = write(tmp_path / "b.tar")
    with tarfile.open(place, "a") as tar:
        tar.addfile(smuggled)
    assert codes_of(place) == {"damaged-backup"}
    first = tmp_path / "first.tar"
    with tarfile.open(first, "w") as tar, tarfile.open(write(tmp_path / "c.tar")) as whole:
        tar.addfile(smuggled)
        for member in whole:
            tar.addfile(member, whole.extractfile(member))
    assert codes_of(first) == {"damaged-backup"}
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path.parent / "outside").exists()


def test_a_newer_format_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.setattr("node.storage.archive.FORMAT_VERSION", FORMAT_VERSION + 1)
    place = write(tmp_path / "b.tar")
    monkeypatch.undo()
    assert codes_of(place) == {"newer-backup"}


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"kind": "other"}', b'{"kind": "onconode-backup"}', b"\xff"]
)
def test_a_manifest_of_something_else_is_refused(text, tmp_path):
    place = tmp_path / "b.tar"
    with writing_archive(place, written_at_s=0) as archive:
        archive.finish(software_version="1", facts={})
    forged = tmp_path / "forged.tar"
    import hashlib

    with tarfile.open(forged, "w") as tar:
        for name, data in (
            (MANIFEST, text),
            (f"{MANIFEST}.sha256", hashlib.sha256(text).hexdigest().encode()),
        ):
            made = tarfile.TarInfo(name)
            made.size = len(data)
            tar.addfile(made, io.BytesIO(data))
    assert codes_of(forged) == {"damaged-backup"}


def test_something_else_than_a_tar_is_refused(tmp_path):
    place = tmp_path / "b.tar"
    place.write_bytes(json.dumps({"not": "a tar"}).encode() * 100)
    assert codes_of(place) == {"damaged-backup"}


def test_an_archive_that_changes_between_check_and_use_is_refused(tmp_path):
    place = write(tmp_path / "b.tar")
    manifest = read_manifest(place)
    changed = FILES | {"config/node.yaml": b"ae_title: EVIL\n"}
    place.unlink()
    write(place, changed)
    with pytest.raises(InputRejected, match="other bytes"):
        extract(place, manifest, folder="config", into=tmp_path / "out")
