"""A folder of files -> its studies."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import structlog

from node.assemble.headers import Header, group_headers, read_header
from node.domain.errors import InputRejected, Problem
from node.domain.study import Study

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class FolderContents:
    """What a folder holds.

    Parameters
    ----------
    studies : tuple of Study
        Ordered by Study Instance UID.
    problems : tuple of Problem
        Files that were left out, and why.
    """

    studies: tuple[Study, ...]
    problems: tuple[Problem, ...]


def scan_folder(directory: Path) -> FolderContents:
    """Read the headers of every file below a folder.

    Files that are not DICOM are listed as problems. Of two files with one SOP Instance UID the
    first by path counts; the other is a problem only if its content differs.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.
    """
    if not directory.is_dir():
        raise NotADirectoryError(f"no folder {directory}")
    kept: dict[str, Header] = {}
    problems: list[Problem] = []
    for path in sorted(directory.rglob("*")):
        if path.name == "DICOMDIR" or not path.is_file():
            continue
        try:
            header = read_header(path)
        except InputRejected as rejected:
            problems.extend(rejected.problems)
            continue
        first = kept.setdefault(header.instance.sop_instance_uid, header)
        if first.instance.sha256 != header.instance.sha256:
            problems.append(_conflict(header))
    by_study: dict[str, list[Header]] = defaultdict(list)
    for header in kept.values():
        by_study[header.study_instance_uid].append(header)
    log.info("folder.scanned", instances=len(kept), studies=len(by_study), refused=len(problems))
    studies = tuple(group_headers(by_study[uid]) for uid in sorted(by_study))
    return FolderContents(studies=studies, problems=tuple(problems))


def read_folder(directory: Path) -> tuple[Study, ...]:
    """Studies of a folder; ``scan_folder`` also tells which files were left out.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.
    """
    return scan_folder(directory).studies


def _conflict(header: Header) -> Problem:
    return Problem(
        code="conflicting-instance",
        uid=header.instance.sop_instance_uid,
        found=f"{header.instance.path.name} with other content under a UID already read",
        expected="one content for one SOP Instance UID",
        remedy="keep the right one of the two files",
    )
