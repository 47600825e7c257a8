"""What is asked of an archive, what it answers, and how it may fail.

References
----------
PS3.4 section C.6.2 (Study Root Query/Retrieve information model).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from node.domain.errors import SetupFault


class QueryRefused(SetupFault):
    """The archive does not answer such questions, or not to this node: an operator must mend it."""


@dataclass(frozen=True, kw_only=True)
class StudyKeys:
    """Which studies are meant; empty keys match all. ``*`` and ``?`` are wildcards.

    Parameters
    ----------
    study_instance_uid, patient_id, accession_number : str
    study_date : str
        ``YYYYMMDD`` or a range ``YYYYMMDD-YYYYMMDD``.
    modality : str
        Studies with a series of that modality.
    """

    study_instance_uid: str = ""
    patient_id: str = ""
    accession_number: str = ""
    study_date: str = ""
    modality: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyFound:
    """A study in an archive; counts are None where the archive does not tell."""

    study_instance_uid: str
    study_date: str = ""
    modalities: tuple[str, ...] = ()
    series_count: int | None = None
    instance_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class SeriesFound:
    """A series in an archive; the count is None where the archive does not tell."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str = ""
    series_number: int | None = None
    description: str = ""
    instance_count: int | None = None


@dataclass(frozen=True, kw_only=True)
class InstanceFound:
    """An object in an archive."""

    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str = ""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be fetched: a study, or one of its series, or single objects of that series."""

    study_instance_uid: str
    series_instance_uid: str = ""
    sop_instance_uids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.sop_instance_uids and not self.series_instance_uid:
            raise ValueError("single objects are fetched by study, series and object")


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """How a fetch ended.

    Parameters
    ----------
    completed : int
        Objects that arrived.
    failed : int
        Objects that the archive could not send, or that were refused.
    paths : tuple of Path
        Where they are; empty where they went to a listener.
    """

    completed: int
    failed: int = 0
    paths: tuple[Path, ...] = field(default=())


class Archive(Protocol):
    """An archive that can be asked.

    All methods raise ``TryLater`` when it cannot be asked now and ``QueryRefused`` when it does
    not answer such questions.
    """

    def find_studies(self, keys: StudyKeys) -> tuple[StudyFound, ...]:
        """Return the studies that match."""

    def find_series(self, study_instance_uid: str) -> tuple[SeriesFound, ...]:
        """Return the series of a study."""

    def find_instances(
        self, study_instance_uid: str, series_instance_uid: str
    ) -> tuple[InstanceFound, ...]:
        """Return the objects of a series."""

    def get(self, wanted: Wanted, folder: Path) -> Fetched:
        """Fetch objects into a folder, as ``<SOP Instance UID>.dcm``."""


def count_instances(archive: Archive, study_instance_uid: str) -> dict[str, int]:
    """Return Series Instance UID -> number of objects that an archive holds of a study.

    Where it does not tell NumberOfSeriesRelatedInstances, its objects are listed and counted.
    """
    return {
        series.series_instance_uid: (
            len(archive.find_instances(study_instance_uid, series.series_instance_uid))
            if series.instance_count is None
            else series.instance_count
        )
        for series in archive.find_series(study_instance_uid)
    }
