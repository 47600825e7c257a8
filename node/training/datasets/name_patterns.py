"""Which file belongs to which case, by patterns of its path."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_HOLE = re.compile(r"{case}|{patient}|\*")


@dataclass(frozen=True, kw_only=True)
class FileGroup:
    """The files of one case.

    Parameters
    ----------
    case : str
    patient : str
        Empty if no pattern names it.
    files : dict of str to list of str
        Paths by slot, e.g. ``"label"``; several are an ambiguity of the patterns.
    """

    case: str
    patient: str
    files: dict[str, list[str]] = field(default_factory=dict)


def group_files(paths: Iterable[str], patterns: Mapping[str, str]) -> list[FileGroup]:
    """Sort paths into cases.

    Parameters
    ----------
    paths : iterable of str
        Relative, with forward slashes.
    patterns : mapping of str to str
        Pattern of each slot. ``{case}``, ``{patient}`` and ``*`` stand for text within one name. A
        path that several patterns fit belongs to the one with most literal text, so that
        ``{case}.nrrd`` does not also take ``{case}_label.nrrd``.
    """
    ranked = sorted(patterns.items(), key=lambda item: -len(_HOLE.sub("", item[1])))
    compiled = [(slot, _compile(pattern)) for slot, pattern in ranked]
    groups: dict[tuple[str, str], FileGroup] = {}
    for path in sorted(paths):
        for slot, pattern in compiled:
            found = pattern.fullmatch(path)
            if found:
                names = found.groupdict()
                key = names.get("patient") or "", names["case"]
                group = groups.setdefault(key, FileGroup(patient=key[0], case=key[1]))
                group.files.setdefault(slot, []).append(path)
                break
    return [groups[key] for key in sorted(groups)]


def _compile(pattern: str) -> re.Pattern[str]:
    """Turn into a regular expression; a placeholder that comes again must be the same text."""
    parts, last, seen = [], 0, set()
    for hole in _HOLE.finditer(pattern):
        parts.append(re.escape(pattern[last : hole.start()]))
        last = hole.end()
        name = hole.group().strip("{}")
        if name == "*":
            parts.append("[^/]*")
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            seen.add(name)
            parts.append(f"(?P<{name}>[^/]+)")
    return re.compile("".join([*parts, re.escape(pattern[last:])]))
