"""One file that holds many, each with its SHA-256: the format of a backup.

A plain tar whose last two members are ``manifest.json``, which lists every other member, and
``manifest.json.sha256``, which guards the list. What was cut off or altered anywhere is noticed.
Nothing is compressed: weights and images hardly shrink, and no bomb can hide in it.
"""

import hashlib
import json
import os
import re
import secrets
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from node.domain.errors import InputRejected, Problem
from node.durable import synchronise_if_possible

FORMAT_VERSION = 1
KIND = "onconode-backup"
MANIFEST, MANIFEST_DIGEST = "manifest.json", "manifest.json.sha256"
LARGEST_MANIFEST_BYTES = 256 << 20
LONGEST_NAME = 1024
CHUNK_BYTES = 1 << 20
MODE = 0o755
"""What may be left of a file's mode: nothing runs with the rights of another user."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file in an archive.

    Parameters
    ----------
    size_bytes : int
    sha256 : str
        Hexadecimal.
    mode : int
        Permission bits.
    """

    size_bytes: int
    sha256: str
    mode: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an archive says of itself.

    Parameters
    ----------
    software_version : str
        Of the program that wrote it.
    facts : mapping of str to str
        Whatever the writer wants to tell the reader.
    members : mapping of str to Member
        By name, ``/`` between folders.
    """

    software_version: str
    facts: Mapping[str, str]
    members: Mapping[str, Member]

    def below(self, folder: str) -> dict[str, Member]:
        """Return the members of a folder, by their names within it."""
        start = f"{folder}/"
        return {
            name.removeprefix(start): member
            for name, member in self.members.items()
            if name.startswith(start)
        }


class ArchiveWriter:
    """Adds files to an archive; made by ``writing_archive``."""

    def __init__(self, tar: tarfile.TarFile, *, written_at_s: int) -> None:
        self._tar = tar
        self._written_at_s = written_at_s
        self.members: dict[str, Member] = {}

    def add_file(self, path: Path, name: str, *, size_bytes: int | None = None) -> None:
        """Add a file, or its first bytes; FileNotFoundError if it is gone.

        Raises
        ------
        OSError
            It cannot be read, or shrank while it was.
        """
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            size_bytes = status.st_size if size_bytes is None else size_bytes
            self._add(name, file, size_bytes=size_bytes, mode=status.st_mode & MODE)

    def add_bytes(self, data: bytes, name: str) -> None:
        """Add a file of these bytes."""
        self._add(name, BytesIO(data), size_bytes=len(data), mode=0o600)

    def finish(self, *, software_version: str, facts: Mapping[str, str]) -> Manifest:
        """Write the manifest; nothing can be added after."""
        manifest = Manifest(
            software_version=software_version, facts=dict(facts), members=dict(self.members)
        )
        text = json.dumps({"kind": KIND, "format_version": FORMAT_VERSION, **asdict(manifest)})
        data = text.encode()
        self.add_bytes(data, MANIFEST)
        self.add_bytes(f"{hashlib.sha256(data).hexdigest()}\n".encode(), MANIFEST_DIGEST)
        return manifest

    def _add(self, name: str, file: IO[bytes], *, size_bytes: int, mode: int) -> None:
        if name in self.members or not is_safe_name(name):
            raise ValueError(f"{name!r} cannot be the name of one more member")
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = size_bytes, mode, self._written_at_s
        reader = _HashingReader(file)
        self._tar.addfile(entry, reader)
        self.members[name] = Member(size_bytes=size_bytes, sha256=reader.hexdigest(), mode=mode)


class _HashingReader:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def writing_archive(place: Path, *, written_at_s: int) -> Iterator[ArchiveWriter]:
    """Write an archive; it gets its name when it is whole and on the disk.

    Parameters
    ----------
    place : Path
        New file; for its owner only, since it may hold secrets and patient data.
    written_at_s : int
        Time stamp of the members, seconds since 1970.
    """
    part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield ArchiveWriter(tar, written_at_s=written_at_s)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
        synchronise_if_possible(place.parent)
    finally:
        part.unlink(missing_ok=True)


def read_manifest(place: Path) -> Manifest:
    """Read a whole archive, compare every member with the manifest, and return that.

    Raises
    ------
    InputRejected
        It is no such archive, of a newer format, cut off, altered, or holds what no backup does.
    """
    seen: dict[str, tuple[int, str]] = {}
    texts: dict[str, bytes] = {}
    for name, file, size_bytes in _members_of(place):
        if name in seen:
            raise _damaged(place, f"two members {name!r}")
        digest = hashlib.sha256()
        kept = BytesIO() if name in (MANIFEST, MANIFEST_DIGEST) else None
        if kept is not None and size_bytes > LARGEST_MANIFEST_BYTES:
            raise _damaged(place, f"a manifest of {size_bytes} bytes")
        for chunk in _chunks_of(place, file):
            digest.update(chunk)
            if kept is not None:
                kept.write(chunk)
        seen[name] = size_bytes, digest.hexdigest()
        if kept is not None:
            texts[name] = kept.getvalue()
    if MANIFEST not in texts or MANIFEST_DIGEST not in texts:
        raise _damaged(place, "no manifest at its end: it is cut off, or no backup")
    if texts[MANIFEST_DIGEST].strip().decode("ascii", "replace") != seen[MANIFEST][1]:
        raise _damaged(place, "a manifest that is not the one that was written")
    manifest = _parse(place, texts[MANIFEST])
    _compare(place, manifest, seen)
    return manifest


def extract(
    place: Path, manifest: Manifest, *, folder: str, into: Path, names: frozenset[str] | None = None
) -> None:
    """Write the members of a folder, each as ``into``/its name within the folder.

    Parameters
    ----------
    place : Path
    manifest : Manifest
        From ``read_manifest`` of the same archive.
    folder : str
        First part of the members' names.
    into : Path
        Made if missing; files in it are never overwritten.
    names : frozenset of str, optional
        Only these, named within the folder.

    Raises
    ------
    InputRejected
        A member is not what the manifest says: the archive was changed since.
    """
    wanted = {
        f"{folder}/{name}": (into / name, member)
        for name, member in manifest.below(folder).items()
        if names is None or name in names
    }
    for name, file, _ in _members_of(place):
        if name not in wanted:
            continue
        path, member = wanted.pop(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256()
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as target:
            for chunk in _chunks_of(place, file):
                digest.update(chunk)
                target.write(chunk)
            os.fchmod(target.fileno(), member.mode & MODE)
            target.flush()
            os.fsync(target.fileno())
        if digest.hexdigest() != member.sha256:
            raise _damaged(place, f"other bytes in {name!r} than a moment ago")
    if wanted:
        raise _damaged(place, f"no {min(wanted)!r} any more")


def is_safe_name(name: str) -> bool:
    """Tell whether a member's name stays within the folder that it is written to."""
    parts = name.split("/")
    return (
        0 < len(name) <= LONGEST_NAME
        and name.isprintable()
        and "\\" not in name
        and all(part not in ("", ".", "..") for part in parts)
    )


def _members_of(place: Path) -> Iterator[tuple[str, IO[bytes], int]]:
    """Yield name, content and size of every member, each of which is a plain file."""
    try:
        with tarfile.open(place, mode="r:") as tar:
            for entry in tar:
                plain = entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not entry.issparse()
                if not plain or not is_safe_name(entry.name):
                    what = "a name that leads elsewhere" if plain else "a member that is no file"
                    raise _damaged(place, f"{what}: {entry.name!r}")
                content = tar.extractfile(entry)
                assert content is not None, "a plain file has content"
                yield entry.name, content, entry.size
                tar.members = []  # type: ignore[attr-defined]  # or it remembers every one
    except (tarfile.TarError, EOFError, ValueError, UnicodeError) as error:
        raise _damaged(place, f"no readable tar: {error}") from error


def _chunks_of(place: Path, content: IO[bytes]) -> Iterator[bytes]:
    try:
        while chunk := content.read(CHUNK_BYTES):
            yield chunk
    except tarfile.TarError as error:
        raise _damaged(place, f"no readable tar: {error}") from error


def _parse(place: Path, text: bytes) -> Manifest:
    try:
        value: Any = json.loads(text)
        if not isinstance(value, dict) or value.get("kind") != KIND:
            raise _damaged(place, "a manifest of something else")
        version = value["format_version"]
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise InputRejected(
                [
                    Problem(
                        code="newer-backup",
                        tag=str(place),
                        found=f"backup format {version} of onconode {value['software_version']}",
                        expected=f"format {FORMAT_VERSION} or older",
                        remedy="restore it with the version of onconode that wrote it, or a newer",
                    )
                ]
            )
        return Manifest(
            software_version=str(value["software_version"]),
            facts={str(key): str(fact) for key, fact in value["facts"].items()},
            members={name: Member(**member) for name, member in value["members"].items()},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(place, "a manifest that cannot be read") from error


def _compare(place: Path, manifest: Manifest, seen: Mapping[str, tuple[int, str]]) -> None:
    listed = {name: (member.size_bytes, member.sha256) for name, member in manifest.members.items()}
    held = {name: one for name, one in seen.items() if name not in (MANIFEST, MANIFEST_DIGEST)}
    faults = [f"no {name!r}" for name in sorted(listed.keys() - held.keys())]
    faults += [f"{name!r}, which it does not list" for name in sorted(held.keys() - listed.keys())]
    faults += [
        f"other bytes in {name!r} than were written"
        for name in sorted(listed.keys() & held.keys())
        if listed[name] != held[name]
    ]
    faults += [
        f"a wrong entry for {name!r}"
        for name, member in manifest.members.items()
        if not _SHA256.fullmatch(member.sha256) or not isinstance(member.mode, int)
    ]
    if faults:
        raise InputRejected(
            problem for fault in faults for problem in _damaged(place, fault).problems
        )


def _damaged(place: Path, found: str) -> InputRejected:
    return InputRejected(
        [
            Problem(
                code="damaged-backup",
                tag=str(place),
                found=found,
                expected="a backup as onconode backup wrote it",
                remedy="take another backup, or fetch this one again from where it was kept",
            )
        ]
    )
