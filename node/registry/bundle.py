"""A bundle on disk: manifest, files, digest."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from node.domain.errors import Problem, SetupFault
from node.domain.report import ModelIdentity
from node.domain.uid import derive_uid
from node.registry.manifest import Manifest, read_manifest

MANIFEST = "bundle.yaml"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A trained bundle whose files were checked against its manifest.

    Parameters
    ----------
    path : Path
        Folder ``models/<name>/<version>``.
    manifest : Manifest
    digest : str
        SHA-256 of the manifest, which holds the SHA-256 of every other file.
    """

    path: Path
    manifest: Manifest
    digest: str

    @property
    def identity(self) -> ModelIdentity:
        """Which model speaks, for reports."""
        m = self.manifest
        return ModelIdentity(
            name=m.name,
            version=m.version,
            digest=self.digest,
            device_uid=_device_uid(self.digest),
            manufacturer=m.manufacturer,
            anatomic_region=m.anatomic_region.code(),
            finding_type=m.finding_type.code(),
            segmenter_name=m.segmenter_name,
            classifier_name=m.classifier_name if m.classifier else "",
            limitations=m.limitations,
        )


def load_bundle(path: Path) -> Bundle:
    """Read a bundle and check every file against the manifest.

    Raises
    ------
    SetupFault
        If a file is missing, changed or not named in the manifest; all are listed.
    """
    manifest_path = path / MANIFEST
    manifest = read_manifest(manifest_path)
    problems = check_files(path, manifest)
    if problems:
        raise SetupFault("\n".join(str(problem) for problem in problems))
    digest = _digest(manifest_path)
    return Bundle(path=path, manifest=manifest, digest=digest)


def check_files(path: Path, manifest: Manifest) -> list[Problem]:
    """List the files of a bundle that are missing, changed or unknown."""
    problems = []
    for name, expected in manifest.files.items():
        found = hash_file(path / name) if (path / name).is_file() else "no such file"
        if found != expected:
            problems.append(
                Problem(
                    code="bundle-file",
                    found=found,
                    expected=f"SHA-256 {expected}",
                    remedy="restore the bundle from its release; never edit one in place",
                    tag=f"{manifest.name}/{manifest.version}/{name}",
                )
            )
    present = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()} - {MANIFEST}
    problems += [
        Problem(
            code="bundle-file-unknown",
            found="a file that the manifest does not name",
            expected="only files of the manifest",
            remedy="move it away, or package the bundle again",
            tag=f"{manifest.name}/{manifest.version}/{name}",
        )
        for name in sorted(present - set(manifest.files))
    ]
    return problems


def hash_file(path: Path) -> str:
    """SHA-256 of a file as hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def device_uid_of(manifest_path: Path) -> str:
    """Device UID that results of the bundle of a manifest carry."""
    return _device_uid(_digest(manifest_path))


def _digest(manifest_path: Path) -> str:
    return hashlib.sha256(manifest_path.read_bytes()).hexdigest()


def _device_uid(digest: str) -> str:
    return derive_uid("device", digest)
