"""The latest earlier result that the present one can be compared with."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import structlog

from node.assemble.earlier_masks import read_lesion_points
from node.assemble.earlier_report import EarlierReport, read_earlier_report
from node.assemble.headers import read_series
from node.assemble.validate import check_series
from node.bootstrap.priors.places import Place, Sought
from node.dicom.patient import StudyIdentity, read_identity
from node.domain.errors import InputRejected, OncoNodeError, TryLater
from node.domain.prior import EarlierSizes, PriorExam, PriorLesion, PriorResult
from node.domain.study import InstanceRef, Series

log = structlog.get_logger()

_NOWHERE = np.empty((0, 3))


@dataclass(frozen=True, kw_only=True)
class FoundPrior:
    """What a search came to.

    Parameters
    ----------
    prior : PriorResult or None
    remarks : tuple of str
        Why there is none, or what was left out; in sentences.
    """

    prior: PriorResult | None = None
    remarks: tuple[str, ...] = ()


def find_prior(
    sought: Sought,
    places: Sequence[Place],
    device_uids: Collection[str] = (),
    *,
    rejected: Callable[[Sequence[str]], Collection[str]] = lambda _uids: (),
) -> FoundPrior:
    """Look for the latest earlier result of the same patient by the same task.

    Parameters
    ----------
    sought : Sought
    places : sequence of Place
        Asked in this order; of a report that is in several the first counts.
    device_uids : collection of str
        Of the models of this node.
    rejected : callable
        SOP Instance UIDs -> those that a rejection note took back: they are no prior.
    """
    if not sought.identity.patient_id:
        return FoundPrior(remarks=("earlier examinations were not looked for: no Patient ID",))
    if sought.study_date is None:
        return FoundPrior(remarks=("earlier examinations were not looked for: no study date",))
    remarks: dict[str, None] = {}
    known: dict[str, tuple[EarlierReport, Place]] = {}
    for place in places:
        for report in _read_reports(sought, place, device_uids, remarks):
            fault = judge_report(report, sought)
            objects = [
                each.sop_instance_uid for each in (report.document, report.segmentation) if each
            ]
            if not fault and _is_earlier(report, sought) and rejected(objects):
                fault = "an earlier result was left out: it was rejected"
            if fault:
                remarks[fault] = None
            elif _is_earlier(report, sought):
                known.setdefault(report.document.sop_instance_uid, (report, place))
        remarks.update(dict.fromkeys(place.remarks))
    replaced = {uid for report, _ in known.values() for uid in report.replaces}
    candidates = sorted(
        (pair for uid, pair in known.items() if uid not in replaced),
        key=lambda pair: _rank(pair[0], sought),
        reverse=True,
    )
    for report, place in candidates:
        try:
            prior = _complete(report, place, sought)
        except OtherPatient as other:
            remarks[str(other)] = None
            continue
        reports = [each for each, _ in candidates]
        prior = replace(
            prior,
            history=_history(report, reports),
            tracking_ids=frozenset(name for each in reports for name in each.tracking_ids),
        )
        return FoundPrior(prior=prior, remarks=tuple(remarks))
    return FoundPrior(remarks=tuple(remarks))


class OtherPatient(Exception):
    """The images say that they are of somebody else; ``find_prior`` goes on to the next report."""


def judge_report(report: EarlierReport, sought: Sought) -> str:
    """Return why a report cannot be used, in words; empty if it can, or is of no concern."""
    if report.document.study_instance_uid == sought.study_instance_uid:
        return ""
    who = tell_other_patient(report.identity, sought.identity)
    if who:
        return f"an earlier result was left out: {who}"
    if report.bundle != sought.bundle:
        return f"an earlier result was left out: it is of another task ({report.bundle})"
    return ""


def tell_other_patient(one: StudyIdentity, other: StudyIdentity) -> str:
    """Say by what two studies are of different patients; empty if nothing speaks for it.

    Names do not count: they are spelled in many ways. What one of them does not tell, neither.
    """
    if one.patient_id != other.patient_id:
        return "it is of another patient (Patient ID)"
    for told, first, second in (
        ("issuer of the Patient ID", one.issuer, other.issuer),
        ("birth date", one.birth_date, other.birth_date),
        ("sex", one.sex, other.sex),
    ):
        if first and second and first != second:
            return f"the Patient ID is the same, but not the {told}"
    return ""


def _read_reports(
    sought: Sought, place: Place, device_uids: Collection[str], remarks: dict[str, None]
) -> Iterator[EarlierReport]:
    try:
        for path in place.reports(sought):
            report = read_earlier_report(path, device_uids)
            if report is not None:
                yield report
    except (OncoNodeError, OSError) as error:
        log.warning("priors.not_searched", origin=place.origin, error=type(error).__name__)
        told = str(error) if isinstance(error, OncoNodeError) else type(error).__name__
        remarks[f"{place.origin} was not searched for earlier examinations: {told}"] = None


def _is_earlier(report: EarlierReport, sought: Sought) -> bool:
    return (
        report.study_date is not None
        and sought.study_date is not None
        and report.study_date < sought.study_date
    )


def _rank(report: EarlierReport, sought: Sought) -> tuple[str, bool, str]:
    """Order: the latest, then that of the same model; then by name, so that it is always one."""
    day = report.study_date.isoformat() if report.study_date else ""
    return day, report.digest == sought.digest, report.document.sop_instance_uid


def _history(report: EarlierReport, others: Sequence[EarlierReport]) -> tuple[EarlierSizes, ...]:
    """Sizes in still earlier examinations, oldest first; of a study its best report."""
    best: dict[str, EarlierReport] = {}
    for other in others:
        if other.study_date and report.study_date and other.study_date < report.study_date:
            best.setdefault(other.document.study_instance_uid, other)
    sizes = [
        EarlierSizes(
            study_date=other.study_date,
            long_axes_mm={each.tracking_uid: each.long_axis_mm for each in other.lesions},
            vanished=other.vanished,
            unseen=frozenset(each.tracking_uid for each in other.unseen),
            predecessors={
                each.tracking_uid: each.predecessors for each in (*other.lesions, *other.unseen)
            },
        )
        for other in best.values()
        if other.study_date
    ]
    return tuple(sorted(sizes, key=lambda each: each.study_date or date.min))


def _complete(report: EarlierReport, place: Place, sought: Sought) -> PriorResult:
    """Fetch segmentation and images of the chosen report; what is missing is a remark."""
    remarks: list[str] = []
    points = {}
    try:
        path = place.segmentation(report) if report.segmentation else None
        points = read_lesion_points(path) if path else {}
    except (OncoNodeError, OSError) as error:
        remarks.append(_tell("the earlier segmentation was not read", error))
    all_shown = all(lesion.tracking_uid in points for lesion in report.lesions)
    if not all_shown:
        remarks.append("the earlier segmentation is not at hand")
    series = None
    if all_shown:
        try:
            series = _read_images(report, place.images(report), sought)
        except (OncoNodeError, OSError) as error:
            remarks.append(_tell("the earlier images were not read", error))
    if report.digest != sought.digest:
        remarks.append(
            f"the earlier result is of version {report.version} of the model, this one of "
            f"{sought.version}: a part of the change may come from that"
        )
    assert report.study_date is not None
    assert sought.study_date is not None
    return PriorResult(
        exam=PriorExam(
            study_instance_uid=report.document.study_instance_uid,
            series_instance_uid=report.series_instance_uid,
            study_date=report.study_date,
            report=report.document,
            segmentation=report.segmentation,
            bundle=report.bundle,
            version=report.version,
            digest=report.digest,
            origin=place.origin,
        ),
        interval_days=(sought.study_date - report.study_date).days,
        lesions=tuple(
            PriorLesion(
                tracking_id=lesion.tracking_id,
                tracking_uid=lesion.tracking_uid,
                volume_ml=lesion.volume_ml,
                long_axis_mm=lesion.long_axis_mm,
                points_lps_mm=points.get(lesion.tracking_uid, _NOWHERE),
                segment_number=lesion.segment_number,
                predecessors=lesion.predecessors,
            )
            for lesion in report.lesions
        ),
        series=series,
        vanished=report.vanished,
        unseen=tuple(
            PriorLesion(
                tracking_id=lesion.tracking_id,
                tracking_uid=lesion.tracking_uid,
                volume_ml=lesion.volume_ml,
                long_axis_mm=lesion.long_axis_mm,
                points_lps_mm=np.array([lesion.place_lps_mm]),
                segment_number=lesion.segment_number,
                predecessors=lesion.predecessors,
                segmentation=lesion.segmentation,
                series_instance_uid=lesion.series_instance_uid,
            )
            for lesion in report.unseen
        ),
        remarks=tuple(remarks),
    )


def _tell(what: str, error: Exception) -> str:
    if isinstance(error, InputRejected):
        return f"{what}: {error.problems[0].found}"
    return f"{what}: {error if isinstance(error, OncoNodeError) else type(error).__name__}"


def _read_images(
    report: EarlierReport, instances: Sequence[InstanceRef | Path], sought: Sought
) -> Series:
    """Check the images as any series, and that they are of the patient."""
    if not instances:
        raise TryLater("they are not at hand")
    first = instances[0]
    path = first if isinstance(first, Path) else first.path
    who = tell_other_patient(read_identity(path), sought.identity)
    if who:
        raise OtherPatient(f"an earlier result was left out: {who}")
    study = read_series(instances)
    by_uid = {series.series_instance_uid: series for series in study.series}
    series = by_uid.get(report.series_instance_uid)
    if series is None:
        raise TryLater("they are not at hand")
    return check_series(series, minimum_slices=1, let_gaps_pass=True)
