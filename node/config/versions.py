"""Every configuration that was applied, kept as a copy of its files.

::

    <data_dir>/configuration/
        0001/  node.yaml peers.yaml routing.yaml version.json
        0002/  ...
        state.json     which version is in effect, and which one the node started with

A version is complete before it gets its name, and never changes after that.
"""

import fcntl
import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from node.config.files import FILES
from node.domain.errors import SetupFault
from node.durable import (
    PRIVATE_FOLDER,
    give_like,
    make_private_folder,
    synchronise_folder,
    write_durably,
)

_ABOUT = "version.json"
_STATE = "state.json"
_WRITING_BACK = "writing_back"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One kept configuration.

    Parameters
    ----------
    number : int
        From 1, in the order of their keeping.
    at : datetime
        When it was kept; aware, UTC.
    digest : str
        SHA-256 over names and content of the files.
    reason : str
        ``start``, ``apply``, ``rollback to N``, or why else it was kept.
    config_dir : Path
        Where the files stood; relative paths in them start at its parent.
    folder : Path
        Where the copies are.
    """

    number: int
    at: datetime
    digest: str
    reason: str
    config_dir: Path
    folder: Path


def read_files(config_dir: Path) -> dict[str, bytes]:
    """Return the content of the configuration files that there are."""
    return {
        name: (config_dir / name).read_bytes() for name in FILES if (config_dir / name).is_file()
    }


def digest_files(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and content."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return total.hexdigest()


class VersionStore:
    """The kept configurations of one node.

    Parameters
    ----------
    folder : Path
        Made with the first version; readable for its owner only.
    now : callable
        Clock; aware UTC.
    """

    def __init__(
        self, folder: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.folder = folder
        self._now = now

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other processes from applying at the same time."""
        make_private_folder(self.folder)
        with (self.folder / "lock").open("a") as lock:
            give_like(lock.fileno(), self.folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def list(self) -> list[Version]:
        """Return every version, oldest first."""
        if not self.folder.is_dir():
            return []
        numbers = sorted(int(each.name) for each in self.folder.iterdir() if each.name.isdecimal())
        return [self.get(number) for number in numbers]

    def get(self, number: int) -> Version:
        """Return a version.

        Raises
        ------
        KeyError
            There is none of that number.
        SetupFault
            It is damaged.
        """
        folder = self.folder / f"{number:04}"
        if not folder.is_dir():
            raise KeyError(number)
        try:
            about = json.loads((folder / _ABOUT).read_text("utf-8"))
            return Version(
                number=number,
                at=datetime.fromisoformat(about["at"]),
                digest=about["digest"],
                reason=about["reason"],
                config_dir=Path(about["config_dir"]),
                folder=folder,
            )
        except (OSError, ValueError, KeyError, TypeError) as fault:
            raise SetupFault(f"the kept configuration {folder} is damaged") from fault

    @property
    def current(self) -> Version | None:
        """What is in effect; None before anything was applied."""
        return self._named("current")

    @property
    def current_number(self) -> int | None:
        """Number of that version; cheap enough to be asked again and again."""
        return self._state().get("current")

    @property
    def started(self) -> Version | None:
        """What the node started with; None before its first start."""
        return self._named("started")

    def keep(self, config_dir: Path, files: Mapping[str, bytes], *, reason: str) -> Version:
        """Keep files as a new version; inside ``changing``."""
        number = max((version.number for version in self.list()), default=0) + 1
        fresh = self.folder / f".{secrets.token_hex(8)}"
        fresh.mkdir(mode=PRIVATE_FOLDER)
        about = {
            "at": self._now().isoformat(),
            "digest": digest_files(files),
            "reason": reason,
            "config_dir": str(config_dir.resolve()),
        }
        content = {**files, _ABOUT: json.dumps(about, indent=1, ensure_ascii=False).encode()}
        for name, data in content.items():
            write_durably(fresh / name, data, like=self.folder)
        give_like(fresh, self.folder)
        synchronise_folder(fresh)
        fresh.rename(self.folder / f"{number:04}")
        synchronise_folder(self.folder)
        return self.get(number)

    @property
    def half_written_back(self) -> int | None:
        """Number of the version whose files a crash may have left half in place."""
        return self._state().get(_WRITING_BACK)

    def begin_to_write_back(self, version: Version) -> None:
        """Note that files are about to be replaced one by one; ``put_in_effect`` ends it."""
        self._write_state(self._state() | {_WRITING_BACK: version.number})

    def put_in_effect(self, version: Version, *, is_start: bool = False) -> None:
        """Let a version be the current one, and at a start the one that the node started with."""
        state = self._state() | {"current": version.number}
        if is_start:
            state["started"] = version.number
        state.pop(_WRITING_BACK, None)
        self._write_state(state)

    def _write_state(self, state: Mapping[str, int]) -> None:
        write_durably(self.folder / _STATE, json.dumps(state).encode())

    def discard_unfinished(self) -> None:
        """Remove versions that a crash left half written; inside ``changing``."""
        for path in self.folder.glob(".*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _state(self) -> dict[str, int]:
        try:
            state = json.loads((self.folder / _STATE).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as fault:
            raise SetupFault(f"{self.folder / _STATE} is damaged: remove it") from fault
        return {key: number for key, number in state.items() if isinstance(number, int)}

    def _named(self, key: str) -> Version | None:
        number = self._state().get(key)
        return None if number is None else self.get(number)


def write_back(version: Version, config_dir: Path) -> None:
    """Put the files of a version in the place of those in a directory; others are removed."""
    files = read_files(version.folder)
    for name in FILES:
        place = config_dir / name
        if name not in files:
            place.unlink(missing_ok=True)
            continue
        like = place if place.exists() else config_dir
        mode = place.stat().st_mode & 0o777 if like is place else 0o640
        write_durably(place, files[name], mode=mode, like=like)
