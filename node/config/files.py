"""Which files a configuration directory holds, and their outer shape."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from node.config.document import Document
from node.config.environment import CONFIG_VARIABLE
from node.domain.errors import Problem, SetupFault

FILES = NODE_FILE, PEERS_FILE, ROUTING_FILE = "node.yaml", "peers.yaml", "routing.yaml"


def find_config_dir(
    config_dir: Path | None = None, *, environment: Mapping[str, str] | None = None
) -> Path:
    """Return the directory of the yaml files.

    The first of: the argument, ``ONCONODE_CONFIG``, ``dicom_conf`` beside the package (a clone),
    ``dicom_conf`` in the working directory.
    """
    environment = os.environ if environment is None else environment
    if config_dir is not None:
        return config_dir
    if environment.get(CONFIG_VARIABLE):
        return Path(environment[CONFIG_VARIABLE])
    beside = Path(__file__).resolve().parents[2] / "dicom_conf"
    return beside if beside.is_dir() else Path("dicom_conf")


def check_files(directory: Path) -> list[Problem]:
    """Return a Problem for each file that is missing or that nothing reads.

    Raises
    ------
    SetupFault
        If there is no such directory.
    """
    if not directory.is_dir():
        raise SetupFault(
            f"no configuration directory {directory}",
            [
                Problem(
                    code="no-config-dir",
                    tag=str(directory),
                    found="no such directory",
                    expected=f"a directory with {NODE_FILE}, {PEERS_FILE} and {ROUTING_FILE}",
                    remedy=f"give --config DIR or set {CONFIG_VARIABLE}",
                )
            ],
        )
    problems = [
        Problem(
            code="unknown-file",
            tag=str(path),
            found=path.name,
            expected="only " + ", ".join(FILES),
            remedy="rename it to one of these, or move it away",
        )
        for path in sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
        if path.name not in FILES
    ]
    if not (directory / NODE_FILE).is_file():
        problems.append(
            Problem(
                code="missing-file",
                tag=str(directory / NODE_FILE),
                found="no such file",
                expected="the settings of this node (an empty file means all defaults)",
                remedy="create it, or give another --config",
            )
        )
    return problems


def check_list(document: Document, key: str) -> Iterator[Problem]:
    """Check that the document is one list of mappings under ``key`` and nothing else."""
    if not isinstance(document.value, dict):
        yield _wrong_shape(document.place(), "no keys", key)
        return
    for name in document.value:
        if name != key:
            yield _wrong_shape(document.place((name,)), f"the key {name!r}", key)
    entries = document.value.get(key)
    if entries is not None and not isinstance(entries, list):
        yield _wrong_shape(document.place((key,)), f"{key!r} without a list", key)
        return
    for i, entry in enumerate(entries or []):
        if not isinstance(entry, dict):
            yield _wrong_shape(document.place((key, i)), "an entry without keys", key)


def _wrong_shape(place: str, found: str, key: str) -> Problem:
    return Problem(
        code="wrong-type",
        tag=place,
        found=found,
        expected=f"'{key}:' at the left margin and a list of '- name: ...' entries below it",
        remedy="see the commented files in dicom_conf/",
    )
