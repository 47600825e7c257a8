"""Studies as the list shows them, and the search for one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from sqlalchemy import Engine

from node.dicom.patient import StudyIdentity
from node.jobs.job import Job
from node.jobs.ledger import Ledger
from node.storage.study_list import StudyLine, list_studies
from node.web.identities import Identities

PAGE = 50
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)
"""Beyond them clocks cannot be compared; a form may name any."""
MAXIMUM_SEARCHED = 5_000
"""Studies of which a search by patient or accession number reads a header."""


@dataclass(frozen=True, kw_only=True)
class StudySearch:
    """What is looked for; empty keys match all. Texts match any part, in any case.

    Parameters
    ----------
    patient, accession, uid : str
        Patient ID or name, Accession Number, Study Instance UID.
    since, until : date, optional
        Days of receipt in the time zone of the node, both included.
    state : str
        Of a job.
    """

    patient: str = ""
    accession: str = ""
    uid: str = ""
    since: date | None = None
    until: date | None = None
    state: str = ""

    @property
    def asks_headers(self) -> bool:
        """Whether the files have to be looked into."""
        return bool(self.patient or self.accession)


@dataclass(frozen=True, kw_only=True)
class StudyEntry:
    """A study of the list, with whom it is about and what became of it."""

    line: StudyLine
    identity: StudyIdentity
    jobs: tuple[Job, ...]


@dataclass(frozen=True, kw_only=True)
class StudyPage:
    """A page of the list.

    Parameters
    ----------
    entries : tuple of StudyEntry
    next_offset : int or None
        Where the following page begins; None at the end.
    searched : int
        Studies whose headers were read for it.
    """

    entries: tuple[StudyEntry, ...]
    next_offset: int | None
    searched: int


def find_studies(
    search: StudySearch, *, engine: Engine, ledger: Ledger, identities: Identities, offset: int = 0
) -> StudyPage:
    """Return a page of the studies that match, the latest received first.

    ``offset`` counts studies of the database, so that a search by patient goes on where it ended.
    """
    found: list[StudyEntry] = []
    place = searched = 0
    limit = MAXIMUM_SEARCHED if search.asks_headers else PAGE + 1
    for line in islice(_walk(search, engine, offset), limit):
        if len(found) == PAGE:
            return StudyPage(entries=tuple(found), next_offset=offset + place, searched=searched)
        place += 1
        searched += 1
        identity = identities.of(line)
        if _matches(search, identity):
            jobs = tuple(ledger.list(study=line.study_instance_uid, limit=5))
            found.append(StudyEntry(line=line, identity=identity, jobs=jobs))
    more = offset + place if place == MAXIMUM_SEARCHED else None
    return StudyPage(entries=tuple(found), next_offset=more, searched=searched)


def _walk(search: StudySearch, engine: Engine, offset: int) -> Iterator[StudyLine]:
    while True:
        lines = list_studies(
            engine,
            uid=search.uid.strip(),
            since=_begin(search.since),
            before=_begin(search.until, days=1),
            job_state=search.state,
            limit=PAGE + 1,
            offset=offset,
        )
        yield from lines
        offset += len(lines)
        if len(lines) <= PAGE:
            return


def _begin(day: date | None, *, days: int = 0) -> datetime | None:
    if day is None:
        return None
    day = min(max(day, FIRST_DAY), LAST_DAY) + timedelta(days=days)
    return datetime.combine(day, time()).astimezone(UTC)  # from that of the node


def _matches(search: StudySearch, identity: StudyIdentity) -> bool:
    patient = f"{identity.patient_id}\n{identity.patient_name.replace('^', ' ')}".casefold()
    return (
        search.patient.strip().casefold() in patient
        and search.accession.strip().casefold() in identity.accession_number.casefold()
    )
