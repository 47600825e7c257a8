"""Put files where others may be: what differs is moved aside, nothing is deleted."""

import filecmp
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from node.durable import give_like, make_private_folder, synchronise_if_possible


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
        make_private_folder(target.parent)
        give_like(source, target.parent)
        _move(source, target)

    @staticmethod
    def _set_aside(path: Path, place: Path) -> None:
        make_private_folder(place.parent)
        if path.is_dir() or path.is_symlink():
            shutil.move(path, place)
        else:
            _move(path, place)
            give_like(place, place.parent)


def _differs(step: _Step) -> bool:
    if not step.target.exists():
        return False
    return not step.target.is_file() or not filecmp.cmp(step.source, step.target, shallow=False)


def _move(path: Path, place: Path) -> None:
    """Move a file; on another filesystem, by a copy that is on the disk before it gets its name."""
    try:
        path.replace(place)
    except OSError:
        fresh = place.with_name(f".{place.name}.fresh")
        shutil.copyfile(path, fresh)
        shutil.copymode(path, fresh)
        give_like(fresh, place.parent)
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        fresh.replace(place)
        synchronise_if_possible(place.parent)
        path.unlink()
    synchronise_if_possible(place.parent)
