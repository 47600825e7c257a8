"""Whom the studies of the node are about, read off their files when somebody looks.

The database holds nothing of patients, so that what is shown here lives exactly as long as the
files do. What was read is remembered in this process; the number of studies is bounded.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from node.dicom.patient import StudyIdentity, read_identity
from node.storage.study_list import StudyLine

MAXIMUM_REMEMBERED = 20_000


class Identities:
    """Identity of a study by its UID and receipt; safe to be used by several threads.

    Parameters
    ----------
    read : callable
        Takes the path of an object.
    maximum : int
        Studies that are remembered.
    """

    def __init__(
        self,
        read: Callable[[Path], StudyIdentity] = read_identity,
        *,
        maximum: int = MAXIMUM_REMEMBERED,
    ) -> None:
        self._read = read
        self._maximum = maximum
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, datetime], StudyIdentity] = OrderedDict()

    def of(self, line: StudyLine) -> StudyIdentity:
        """Return whom a study is about; all empty once its files are purged."""
        # a study that was purged and came again may have been given to another patient
        key = line.study_instance_uid, line.first_received_at
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            return known
        found = self._read(line.sample)
        if found == StudyIdentity():
            return found  # it may be readable in a moment
        with self._lock:
            self._known[key] = found
            while len(self._known) > self._maximum:
                self._known.popitem(last=False)
        return found


def show_name(name: str) -> str:
    """Return a name of a person (VR PN) as people write it: ``Doe, Jane``.

    Of several writings of one name all that differ are told, first the alphabetic one.
    """
    groups = []
    for group in name.split("="):
        family, *others = [part.strip() for part in group.split("^")]
        given = " ".join(filter(None, others[:2]))
        groups.append(", ".join(filter(None, (family, given))))
    return " / ".join(dict.fromkeys(filter(None, groups)))


def show_date(text: str) -> str:
    """Return a date (VR DA) as ``2026-11-22``; what is no date as it is."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return text
