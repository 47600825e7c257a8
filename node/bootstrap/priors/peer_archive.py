"""Earlier examinations in an archive, asked by C-FIND or QIDO-RS.

Reports are fetched first, for they are small; segmentation and images only of the one that was
chosen.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.assemble.earlier_report import EarlierReport, parse_date
from node.bootstrap.priors.places import Sought
from node.domain.errors import TryLater
from node.domain.study import InstanceRef
from node.query.found import Archive, SeriesFound, StudyFound, StudyKeys, Wanted

FIRST_DAY = "19000101"

FetchFiles = Callable[[Wanted], Sequence[Path]]
"""Brings objects here, and tells where they are."""


@dataclass(kw_only=True, eq=False)
class PeerArchive:
    """One archive.

    Parameters
    ----------
    name : str
        Of the peer.
    archive : Archive
    fetch : callable
    sr_series_number : int
        That results of this node have: where an archive has such series, others are not fetched.
    maximum_studies : int
        The latest so many of the patient are looked into.
    until_s : float
        Moment of the monotonic clock after which nothing more is asked.
    """

    name: str
    archive: Archive
    fetch: FetchFiles
    sr_series_number: int
    maximum_studies: int
    until_s: float
    remarks: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """Say in words where it is."""
        return self.name

    def reports(self, sought: Sought) -> Iterator[Path]:
        """Fetch the structured reports of the patient's earlier studies, latest study first."""
        without: list[StudyFound] = []
        for study in self._studies(sought):
            self._check_time()
            reports = [
                series
                for series in self.archive.find_series(study.study_instance_uid)
                if series.modality == "SR"
            ]
            if not reports and sought.modality in study.modalities:
                without.append(study)
            for series in _likely(reports, self.sr_series_number):
                self._check_time()
                yield from self.fetch(
                    Wanted(
                        study_instance_uid=study.study_instance_uid,
                        series_instance_uid=series.series_instance_uid,
                    )
                )
        if without:
            days = ", ".join(study.study_date or "unknown date" for study in without)
            self.remarks.append(
                f"{self.name} holds earlier {sought.modality} studies without a result of this "
                f"node ({days}): process them to compare with them"
            )

    def segmentation(self, report: EarlierReport) -> Path | None:
        """Fetch the SEG of a report."""
        seg = report.segmentation
        if seg is None:
            return None
        self._check_time()
        wanted = Wanted(
            study_instance_uid=seg.study_instance_uid,
            series_instance_uid=seg.series_instance_uid,
            sop_instance_uids=(seg.sop_instance_uid,),
        )
        return next(iter(self.fetch(wanted)), None)

    def images(self, report: EarlierReport) -> Sequence[InstanceRef | Path]:
        """Fetch the images that a report speaks of."""
        self._check_time()
        return self.fetch(
            Wanted(
                study_instance_uid=report.document.study_instance_uid,
                series_instance_uid=report.series_instance_uid,
            )
        )

    def _studies(self, sought: Sought) -> list[StudyFound]:
        assert sought.study_date is not None
        last = sought.study_date.strftime("%Y%m%d")
        found = self.archive.find_studies(
            StudyKeys(patient_id=sought.identity.patient_id, study_date=f"{FIRST_DAY}-{last}")
        )
        # an archive that does not match dates must not tell us of later ones
        earlier = [
            study
            for study in found
            if study.study_instance_uid != sought.study_instance_uid
            and (day := parse_date(study.study_date)) is not None
            and day < sought.study_date
        ]
        latest = sorted(earlier, key=lambda study: study.study_date, reverse=True)
        return latest[: self.maximum_studies]

    def _check_time(self) -> None:
        if time.monotonic() > self.until_s:
            raise TryLater("it took longer than priors.timeout_s")


def _likely(reports: Sequence[SeriesFound], series_number: int) -> Iterable[SeriesFound]:
    """Those with the series number that results have, where there are any; else all."""
    own = [series for series in reports if series.series_number == series_number]
    return own or reports
