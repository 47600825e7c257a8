"""Archives that are uploaded: a list of members that is too long is not read."""

import errno
import io
import zipfile
from pathlib import Path

import pytest

from node.web.uploading import TooMuch, UploadLimits, unpack

LIMITS = UploadLimits(
    maximum_object_bytes=1000, least_free_bytes=0, free_bytes=lambda: 1, maximum_members=20
)


def write_archive(folder: Path, members: int, *, comment: bytes = b"") -> Path:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(members):
            member = zipfile.ZipInfo(f"{number}")
            member.comment = comment
            archive.writestr(member, b"x")
    body = folder / "body"
    body.write_bytes(content.getvalue())
    return body


def test_as_many_members_as_are_allowed(tmp_path: Path) -> None:
    assert len(unpack(write_archive(tmp_path, 20), LIMITS)) == 20


@pytest.mark.parametrize(("members", "comment"), [(400, b""), (19, b"c" * 60_000)])
def test_a_long_list_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: int, comment: bytes
) -> None:
    body = write_archive(tmp_path, members, comment=comment)
    monkeypatch.delattr(zipfile.ZipFile, "_RealGetContents")  # it reads the list
    with pytest.raises(TooMuch, match="an archive of more than 20 files"):
        unpack(body, LIMITS)


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_deflate_is_unpacked(tmp_path: Path, way: int) -> None:
    body = tmp_path / "body"
    with zipfile.ZipFile(body, "w", way) as archive:
        archive.writestr("a", b"x" * 100)
    with pytest.raises(TooMuch, match="another way than deflate"):
        unpack(body, LIMITS)


def test_a_list_that_begins_before_the_file_is_damage(tmp_path: Path) -> None:
    body = write_archive(tmp_path, 1)
    content = bytearray(body.read_bytes())
    content[-6:-2] = b"\xff\xff\xff\x0f"  # offset of the list
    body.write_bytes(content)
    with pytest.raises(TooMuch, match="a damaged archive"):
        unpack(body, LIMITS)


def test_a_full_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("node.web.uploading._copy", refuse)
    with pytest.raises(OSError, match="full"):
        unpack(write_archive(tmp_path, 1), LIMITS)


def test_a_few_members_too_many_are_counted(tmp_path: Path) -> None:
    with pytest.raises(TooMuch, match="an archive of more than 20 files"):
        unpack(write_archive(tmp_path, 21), LIMITS)
