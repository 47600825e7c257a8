"""An archive that is asked by C-FIND, C-MOVE and C-GET.

References
----------
PS3.4 section C.6.2.1 (keys of the study root information model).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.multival import MultiValue

from node.config.settings import DeliverSettings, Peer
from node.dicom.damage import DAMAGED
from node.dicom.text import as_text
from node.query.c_find import find
from node.query.c_get import get
from node.query.c_move import move
from node.query.found import Fetched, InstanceFound, SeriesFound, StudyFound, StudyKeys, Wanted

OBJECTS_AT_A_TIME = 100
"""UIDs of one C-GET or C-MOVE: in explicit VR a list has at most 64 KiB (PS3.5 7.1.2), and beyond
that pydicom writes it as UN, which not every archive reads."""


@dataclass(frozen=True, kw_only=True)
class DimseArchive:
    """A peer that offers Query/Retrieve, study root.

    Parameters
    ----------
    peer : Peer
    calling_ae_title : str
    settings : DeliverSettings
    """

    peer: Peer
    calling_ae_title: str
    settings: DeliverSettings

    def find_studies(self, keys: StudyKeys) -> tuple[StudyFound, ...]:
        """Return the studies that match; see ``Archive``."""
        identifier = _identifier(
            "STUDY",
            StudyInstanceUID=keys.study_instance_uid,
            PatientID=keys.patient_id,
            AccessionNumber=keys.accession_number,
            StudyDate=keys.study_date,
            ModalitiesInStudy=keys.modality,
            NumberOfStudyRelatedSeries=None,
            NumberOfStudyRelatedInstances=None,
        )
        return tuple(
            StudyFound(
                study_instance_uid=_text(match, "StudyInstanceUID"),
                study_date=_text(match, "StudyDate"),
                modalities=_texts(match, "ModalitiesInStudy"),
                series_count=_number(match, "NumberOfStudyRelatedSeries"),
                instance_count=_number(match, "NumberOfStudyRelatedInstances"),
            )
            for match in self._find(identifier)
            if not keys.study_instance_uid
            or _text(match, "StudyInstanceUID") == keys.study_instance_uid
        )

    def find_series(self, study_instance_uid: str) -> tuple[SeriesFound, ...]:
        """Return the series of a study; see ``Archive``."""
        identifier = _identifier(
            "SERIES",
            StudyInstanceUID=study_instance_uid,
            SeriesInstanceUID="",
            Modality="",
            SeriesNumber=None,
            SeriesDescription="",
            NumberOfSeriesRelatedInstances=None,
        )
        return tuple(
            SeriesFound(
                study_instance_uid=study_instance_uid,
                series_instance_uid=_text(match, "SeriesInstanceUID"),
                modality=_text(match, "Modality"),
                series_number=_number(match, "SeriesNumber"),
                description=_text(match, "SeriesDescription"),
                instance_count=_number(match, "NumberOfSeriesRelatedInstances"),
            )
            for match in self._find(identifier)
            # an archive that ignores a key must not tell us of other studies
            if _text(match, "StudyInstanceUID") in ("", study_instance_uid)
        )

    def find_instances(
        self, study_instance_uid: str, series_instance_uid: str
    ) -> tuple[InstanceFound, ...]:
        """Return the objects of a series; see ``Archive``."""
        identifier = _identifier(
            "IMAGE",
            StudyInstanceUID=study_instance_uid,
            SeriesInstanceUID=series_instance_uid,
            SOPInstanceUID="",
            SOPClassUID="",
        )
        return tuple(
            InstanceFound(
                series_instance_uid=series_instance_uid,
                sop_instance_uid=_text(match, "SOPInstanceUID"),
                sop_class_uid=_text(match, "SOPClassUID"),
            )
            for match in self._find(identifier)
            if _text(match, "SeriesInstanceUID") in ("", series_instance_uid)
        )

    def get(self, wanted: Wanted, folder: Path) -> Fetched:
        """Fetch objects into a folder by C-GET; see ``Archive``."""
        arrived: dict[Path, None] = {}  # an archive may send an object with more than one batch
        failed = 0
        for identifier in _identifiers_of(wanted):
            fetched = get(
                self.peer,
                identifier,
                folder,
                calling_ae_title=self.calling_ae_title,
                settings=self.settings,
            )
            arrived.update(dict.fromkeys(fetched.paths))
            failed += fetched.failed
        return Fetched(completed=len(arrived), failed=failed, paths=tuple(arrived))

    def move(self, wanted: Wanted, *, destination_ae_title: str) -> Fetched:
        """Have objects sent to an AE title by C-MOVE; see ``c_move.move``."""
        told = [
            move(
                self.peer,
                identifier,
                destination_ae_title=destination_ae_title,
                calling_ae_title=self.calling_ae_title,
                settings=self.settings,
            )
            for identifier in _identifiers_of(wanted)
        ]
        return Fetched(
            completed=sum(each.completed for each in told), failed=sum(each.failed for each in told)
        )

    def _find(self, identifier: Dataset) -> list[Dataset]:
        return find(
            self.peer,
            identifier,
            calling_ae_title=self.calling_ae_title,
            settings=self.settings,
        )


def _identifier(level: str, **keys: Any) -> Dataset:
    identifier = Dataset()
    if any(isinstance(value, str) and not value.isascii() for value in keys.values()):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _identifiers_of(wanted: Wanted) -> Iterator[Dataset]:
    """Yield what is asked for; many objects in batches, each a question of its own."""
    uids = wanted.sop_instance_uids
    for start in range(0, len(uids), OBJECTS_AT_A_TIME):
        yield _identifier(
            "IMAGE",
            StudyInstanceUID=wanted.study_instance_uid,
            SeriesInstanceUID=wanted.series_instance_uid,
            SOPInstanceUID=list(uids[start : start + OBJECTS_AT_A_TIME]),
        )
    if uids:
        return
    if wanted.series_instance_uid:
        yield _identifier(
            "SERIES",
            StudyInstanceUID=wanted.study_instance_uid,
            SeriesInstanceUID=wanted.series_instance_uid,
        )
    else:
        yield _identifier("STUDY", StudyInstanceUID=wanted.study_instance_uid)


def _value(match: Dataset, keyword: str) -> Any:
    """Return what an archive tells; what cannot be read is as if it were not told.

    None of the keys is a sequence. An archive that sends one tells nothing: pydicom reads what it
    holds only when it is asked for that, and may fail there.
    """
    try:
        value = match.get(keyword)
    except DAMAGED:
        return None
    return None if isinstance(value, Sequence) else value


def _text(match: Dataset, keyword: str) -> str:
    return as_text(_value(match, keyword)).strip()


def _texts(match: Dataset, keyword: str) -> tuple[str, ...]:
    value = _value(match, keyword)
    if value is None or value == "":
        return ()
    many = isinstance(value, (list, MultiValue))
    return tuple(str(each) for each in (value if many else [value]))


def _number(match: Dataset, keyword: str) -> int | None:
    """Return a count; None where the archive sends none, or no number."""
    try:
        return int(str(_value(match, keyword)))
    except ValueError:
        return None
