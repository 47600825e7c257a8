"""The bundles of a models folder: ``<models>/<task>/<version>/bundle.yaml``."""

from pathlib import Path

from node.domain.errors import Problem, SetupFault
from node.registry.bundle import MANIFEST, Bundle, device_uid_of, load_bundle
from node.registry.manifest import Manifest, read_manifest


class ModelStore:
    """Find bundles by name.

    Parameters
    ----------
    root : Path
        The models folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def list(self) -> list[str]:
        """Return every ``task/version``, newest version of a task last."""
        found = [p.parent for p in self.root.glob(f"*/*/{MANIFEST}")]
        found.sort(key=lambda p: (p.parent.name, _version_key(p.name)))
        return [f"{p.parent.name}/{p.name}" for p in found]

    def get(self, name: str) -> Bundle:
        """Load ``task`` (its newest version) or ``task/version``, checked.

        Raises
        ------
        SetupFault
            If there is no such bundle, or its files are not what its manifest says.
        """
        return load_bundle(self._find(name))

    def manifest(self, name: str) -> Manifest:
        """Read only the manifest of ``task`` or ``task/version``, without its files.

        Raises
        ------
        SetupFault
            If there is no such bundle, or its manifest cannot be read.
        """
        return read_manifest(self._find(name) / MANIFEST)

    def device_uids(self) -> frozenset[str]:
        """Return the Device UIDs under which the bundles that are here sign their results."""
        return frozenset(device_uid_of(self.root / name / MANIFEST) for name in self.list())

    def _find(self, name: str) -> Path:
        matching = [entry for entry in self.list() if name in (entry, entry.split("/")[0])]
        if not matching:
            raise SetupFault(
                str(
                    Problem(
                        code="bundle-unknown",
                        found=f"no bundle {name!r}",
                        expected=f"one of {', '.join(self.list()) or 'none: the folder is empty'}",
                        remedy="name a bundle that `onconode models list` shows",
                        tag=self.root.name,
                    )
                )
            )
        return self.root / matching[-1]


def _version_key(version: str) -> tuple[tuple[int, int | str], ...]:
    """Order versions by number: 0.10.0 comes after 0.9.1."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in version.split("."))
