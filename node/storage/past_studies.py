"""What routing asks of the studies that were assembled, kept longer than their files.

One row for each study, of a few kilobytes: the headers that rules look at, series by series.
Nothing of the patient is kept besides UIDs and what the series are called.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, exists, select

from node.domain.study import InstanceRef, Series, Study
from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import PastStudyRow, StudyRow

LEFT_OUT = frozenset({"BurnedInAnnotation", "DeviceUID", "StudyDescription"})
"""Attributes that no rule looks at."""

BATCH = 200


@dataclass(frozen=True, kw_only=True)
class PastStudy:
    """A study as rules see it, without its files.

    Parameters
    ----------
    study : Study
        Its instances are as many as there were, and have no path.
    assembled_at : datetime
    """

    study: Study
    assembled_at: datetime


class PastStudies:
    """The kept headers of a node.

    Parameters
    ----------
    engine : Engine
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def keep(self, study: Study) -> None:
        """Keep the headers of a study in the place of what was kept of it before."""
        row = PastStudyRow(
            study_instance_uid=study.study_instance_uid,
            calling_ae_title=study.calling_ae_title,
            assembled_at=self._now(),
            series=[_summarize(series) for series in study.series],
        )
        with writing(self._engine) as session:
            session.merge(row)

    def since(self, moment: datetime) -> Iterator[PastStudy]:
        """Yield the studies that were assembled since a moment, oldest first."""
        query = select(PastStudyRow).where(PastStudyRow.assembled_at >= moment)
        ordered = query.order_by(PastStudyRow.assembled_at, PastStudyRow.study_instance_uid)
        with reading(self._engine) as session:
            for row in session.scalars(ordered.execution_options(yield_per=BATCH)):
                yield PastStudy(study=_study_of(row), assembled_at=row.assembled_at)

    def not_kept(self, *, since: datetime) -> list[str]:
        """Return UIDs of assembled studies whose headers are only in their files."""
        is_kept = exists().where(PastStudyRow.study_instance_uid == StudyRow.study_instance_uid)
        query = (
            select(StudyRow.study_instance_uid)
            .where(
                ~is_kept, StudyRow.assembled_digest.is_not(None), StudyRow.last_received_at >= since
            )
            .order_by(StudyRow.last_received_at)
        )
        with reading(self._engine) as session:
            return list(session.scalars(query))

    def forget_before(self, moment: datetime) -> None:
        """Remove what was assembled before a moment."""
        with writing(self._engine) as session:
            session.execute(delete(PastStudyRow).where(PastStudyRow.assembled_at < moment))


def _summarize(series: Series) -> dict[str, Any]:
    kept = {key: text for key, text in series.attributes.items() if key not in LEFT_OUT}
    return {
        "uid": series.series_instance_uid,
        "modality": series.modality,
        "sop_class_uid": series.instances[0].sop_class_uid,
        "instances": len(series.instances),
        "places": series.places,
        "attributes": kept,
    }


def _study_of(row: PastStudyRow) -> Study:
    return Study(
        study_instance_uid=row.study_instance_uid,
        series=tuple(_series_of(row.study_instance_uid, summary) for summary in row.series),
        calling_ae_title=row.calling_ae_title,
    )


def _series_of(study_instance_uid: str, summary: Mapping[str, Any]) -> Series:
    instance = InstanceRef(
        sop_instance_uid="",
        sop_class_uid=summary["sop_class_uid"],
        transfer_syntax_uid="",
        path=Path(),
        sha256="",
    )
    return Series(
        series_instance_uid=summary["uid"],
        study_instance_uid=study_instance_uid,
        modality=summary["modality"],
        instances=(instance,) * summary["instances"],
        attributes=summary["attributes"],
        places=summary["places"],
    )
