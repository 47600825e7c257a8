"""An archive that is asked by QIDO-RS and WADO-RS.

References
----------
PS3.18 sections 10.4 (Retrieve) and 10.6 (Search).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from node.config.settings import DeliverSettings, Peer
from node.deliver.web_client import WebRefused, open_client, web_failures
from node.query.c_find import MAXIMUM_MATCHES
from node.query.c_get import MAXIMUM_FETCHED
from node.query.found import (
    Fetched,
    InstanceFound,
    QueryRefused,
    SeriesFound,
    StudyFound,
    StudyKeys,
    Wanted,
)
from node.storage.spool import is_uid

ANY_SYNTAX = (("application/dicom", "*"),)
NOT_FOUND = 404
MAXIMUM_PAGES = 1000
"""Of one answer; an archive may give as few matches a page as it likes."""
MORE = "299"
"""Begins the header Warning of a page that the archive has cut (PS3.18 table 10.6.3-2)."""
SEARCHES = MappingProxyType(
    {
        "StudyInstanceUID": "search_for_studies",
        "SeriesInstanceUID": "search_for_series",
        "SOPInstanceUID": "search_for_instances",
    }
)
"""What tells matches apart -> method of the client."""


@dataclass(frozen=True, kw_only=True)
class WebArchive:
    """A peer with DICOMweb.

    Parameters
    ----------
    peer : Peer
    settings : DeliverSettings
    """

    peer: Peer
    settings: DeliverSettings

    def find_studies(self, keys: StudyKeys) -> tuple[StudyFound, ...]:
        """Return the studies that match; see ``Archive``."""
        wanted = {
            "StudyInstanceUID": keys.study_instance_uid,
            "PatientID": keys.patient_id,
            "AccessionNumber": keys.accession_number,
            "StudyDate": keys.study_date,
            "ModalitiesInStudy": keys.modality,
        }
        filters = {keyword: value for keyword, value in wanted.items() if value}
        answers = self._search("StudyInstanceUID", search_filters=filters)
        return tuple(
            StudyFound(
                study_instance_uid=_text(answer, "StudyInstanceUID"),
                study_date=_text(answer, "StudyDate"),
                modalities=tuple(map(str, _values(answer, "ModalitiesInStudy"))),
                series_count=_number(answer, "NumberOfStudyRelatedSeries"),
                instance_count=_number(answer, "NumberOfStudyRelatedInstances"),
            )
            for answer in answers
        )

    def find_series(self, study_instance_uid: str) -> tuple[SeriesFound, ...]:
        """Return the series of a study; see ``Archive``."""
        answers = self._search("SeriesInstanceUID", study_instance_uid=study_instance_uid)
        return tuple(
            SeriesFound(
                study_instance_uid=study_instance_uid,
                series_instance_uid=_text(answer, "SeriesInstanceUID"),
                modality=_text(answer, "Modality"),
                series_number=_number(answer, "SeriesNumber"),
                description=_text(answer, "SeriesDescription"),
                instance_count=_number(answer, "NumberOfSeriesRelatedInstances"),
            )
            for answer in answers
        )

    def find_instances(
        self, study_instance_uid: str, series_instance_uid: str
    ) -> tuple[InstanceFound, ...]:
        """Return the objects of a series; see ``Archive``."""
        answers = self._search(
            "SOPInstanceUID",
            study_instance_uid=study_instance_uid,
            series_instance_uid=series_instance_uid,
        )
        return tuple(
            InstanceFound(
                series_instance_uid=series_instance_uid,
                sop_instance_uid=_text(answer, "SOPInstanceUID"),
                sop_class_uid=_text(answer, "SOPClassUID"),
            )
            for answer in answers
        )

    def get(self, wanted: Wanted, folder: Path) -> Fetched:
        """Fetch objects into a folder by WADO-RS; see ``Archive``."""
        folder.mkdir(parents=True, exist_ok=True)
        client = open_client(self.peer, self.settings)
        paths: list[Path] = []
        failed = 0
        for asked in wanted.sop_instance_uids or ("",):
            try:
                with web_failures(self.peer, "WADO-RS"):
                    for dataset in _retrieve(client, wanted, asked):
                        if len(paths) + failed >= MAXIMUM_FETCHED:
                            raise ValueError(f"more than {MAXIMUM_FETCHED} objects")
                        uid = str(dataset.SOPInstanceUID)
                        if not is_uid(uid):
                            failed += 1
                            continue
                        path = folder / f"{uid}.dcm"
                        dataset.save_as(path, enforce_file_format=True)
                        paths.append(path)
            except WebRefused as reason:
                if reason.status != NOT_FOUND:
                    raise QueryRefused(str(reason)) from None
                failed += bool(asked)  # the others may be there
        return Fetched(completed=len(paths), failed=failed, paths=tuple(paths))

    def _search(self, key: str, **arguments: Any) -> list[dict[str, Any]]:
        """Return the matches of all pages, each once.

        The archive chooses how long a page is: some refuse a ``limit`` above their own. The last
        page is empty, or has nothing new where the archive knows no ``offset``.
        """
        warnings: list[str] = []
        client = open_client(
            self.peer,
            self.settings,
            on_answer=lambda answer: warnings.append(answer.headers.get("Warning", "")),
        )
        matches: dict[str, dict[str, Any]] = {}
        offset, is_cut = 0, False
        for _ in range(MAXIMUM_PAGES):
            try:
                with web_failures(self.peer, "QIDO-RS"):
                    page = getattr(client, SEARCHES[key])(**arguments, offset=offset or None)
                    found = {_text(match, key): match for match in page}
            except WebRefused as reason:
                # some archives say so when nothing matches; others know no offset, and cut nothing
                if reason.status == NOT_FOUND or (offset and not is_cut):
                    return list(matches.values())
                raise QueryRefused(str(reason)) from None
            if found.keys() <= matches.keys():
                return list(matches.values())
            matches |= found
            offset += len(page)
            is_cut = warnings[-1].startswith(MORE)
            if len(matches) > MAXIMUM_MATCHES:
                raise QueryRefused(
                    f"{self.peer.name}: more than {MAXIMUM_MATCHES} matches; ask for less"
                )
        raise QueryRefused(f"{self.peer.name}: more than {MAXIMUM_PAGES} pages; ask for less")


def _retrieve(client: DICOMwebClient, wanted: Wanted, sop_instance_uid: str) -> Iterator[Dataset]:
    """Yield one object, or all of a series or study where none is named."""
    study, series = wanted.study_instance_uid, wanted.series_instance_uid
    if sop_instance_uid:
        yield client.retrieve_instance(study, series, sop_instance_uid, media_types=ANY_SYNTAX)
    elif series:
        yield from client.iter_series(study, series, media_types=ANY_SYNTAX)
    else:
        yield from client.iter_study(study, media_types=ANY_SYNTAX)


def _values(answer: dict[str, Any], keyword: str) -> list[Any]:
    """Return the values of an attribute in DICOM JSON (PS3.18 annex F)."""
    element = answer.get(f"{tag_for_keyword(keyword):08X}") if isinstance(answer, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return [value for value in values if value is not None] if isinstance(values, list) else []


def _text(answer: dict[str, Any], keyword: str) -> str:
    values = _values(answer, keyword)
    return str(values[0]).strip() if values else ""


def _number(answer: dict[str, Any], keyword: str) -> int | None:
    try:
        return int(_text(answer, keyword))
    except ValueError:
        return None
