"""Put files where others may be: what differs is moved aside, nothing is deleted."""

import filecmp
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from node.storage.archive import synchronise_folder


@dataclass(frozen=True, kw_only=True)
class _Step:
    source: Path
    target: Path
    name: str


class Placing:
    """A plan of moves, so that one can ask what is in the way before anything is done.

    Parameters
    ----------
    aside : Path
        Folder for what is in the way; made when first needed.
    """

    def __init__(self, aside: Path) -> None:
        self.aside = aside
        self._steps: list[_Step] = []

    def plan(self, source: Path, target: Path, name: str) -> None:
        """Plan to put every file below a folder to the same place below another.

        Parameters
        ----------
        source, target : Path
        name : str
            Folder within ``aside`` for what is in the way.
        """
        for path in sorted(each for each in source.rglob("*") if each.is_file()):
            inner = path.relative_to(source)
            self._steps.append(
                _Step(source=path, target=target / inner, name=str(Path(name, inner)))
            )

    def in_the_way(self) -> list[Path]:
        """Return what differs from what would take its place."""
        return [step.target for step in self._steps if _differs(step)]

    def carry_out(self) -> None:
        """Do all of it; a file that is there already, with the same bytes, stays."""
        for step in self._steps:
            if not step.target.exists():
                self.put(step.source, step.target)
            elif _differs(step):
                self._set_aside(step.target, self.aside / step.name)
                self.put(step.source, step.target)

    def move_aside(self, path: Path, name: str) -> None:
        """Move a file aside if there is one."""
        if path.exists():
            self._set_aside(path, self.aside / name / path.name)

    def put(self, source: Path, target: Path) -> None:
        """Give a finished file its place; on another filesystem, by a copy that is renamed."""
        make_parents(target)
        give_like(source, target.parent)
        try:
            source.replace(target)
        except OSError:  # another filesystem
            fresh = target.with_name(f".{target.name}.fresh")
            shutil.copyfile(source, fresh)
            shutil.copymode(source, fresh)
            give_like(fresh, target.parent)
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
            fresh.replace(target)
        synchronise_folder(target.parent)

    @staticmethod
    def _set_aside(path: Path, place: Path) -> None:
        make_parents(place)
        shutil.move(path, place)
        give_like(place, place.parent)


def give_like(path: Path, folder: Path) -> None:
    """Give a file that root made to the owner of a folder: the node's user must reach it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _differs(step: _Step) -> bool:
    if not step.target.exists():
        return False
    return not step.target.is_file() or not filecmp.cmp(step.source, step.target, shallow=False)


def write_through(path: Path, text: str) -> None:
    """Write a small file that is there after a loss of power, too."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    synchronise_folder(path.parent)


def make_parents(path: Path) -> None:
    """Make the folders that a file needs, for their owner only."""
    missing = []
    folder = path.parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700)
        give_like(each, each.parent)
