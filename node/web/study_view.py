"""Everything that the page of a study tells, gathered from ledger, spool and bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from node.classify.projection import PROJECTION_FILE, Projection
from node.dicom.patient import StudyIdentity
from node.domain.feedback import Feedback
from node.domain.report import EvidenceKind
from node.jobs.job import Delivery, Job
from node.jobs.state import FINISHED, IllegalTransition, JobEvent, JobState, advance
from node.registry.store import ModelStore
from node.storage.feedback import FeedbackStore
from node.storage.study_list import StudyLine, find_study
from node.web.identities import Identities
from node.web.imaging.stack import find_result_file
from node.web.plots import Plane, place_on_plane
from node.web.services import Services
from node.web.timeline import Bar, lay_out, trace_steps

CLASSES = ("Malignant", "Benign")
"""What a reader may say instead of the node's assessment, in the words of ``result.json``."""


@dataclass(frozen=True, kw_only=True)
class LesionView:
    """A lesion as the page shows it.

    Parameters
    ----------
    told : mapping
        Its entry in ``result.json``.
    change : mapping or None
        Its entry in ``changes`` of the comparison.
    prior_number : int or None
        Of the same lesion in the earlier examination, where that is here still.
    strongest : float
        Largest absolute logit of its contributions; 0 without any.
    feedback : tuple of Feedback
        What people say of it now.
    """

    told: Mapping[str, Any]
    change: Mapping[str, Any] | None
    prior_number: int | None
    strongest: float
    feedback: tuple[Feedback, ...]


@dataclass(frozen=True, kw_only=True)
class Planes:
    """The case among the training lesions of its bundle."""

    pca: Plane
    tsne: Plane
    explained: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """A study with one of its jobs.

    Parameters
    ----------
    study_instance_uid : str
    line : StudyLine or None
        None once its files are purged.
    identity : StudyIdentity
    jobs : tuple of Job
        The latest first.
    job : Job or None
        The one that is shown.
    bars : tuple of Bar
    deliveries : tuple of Delivery
    lesions : tuple of LesionView
    planes : Planes or None
    prior : Job or None
        The job on the earlier examination, where that is here still.
    has_segmentation : bool
        Its file is here.
    """

    study_instance_uid: str
    line: StudyLine | None
    identity: StudyIdentity
    jobs: tuple[Job, ...]
    job: Job | None
    bars: tuple[Bar, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    lesions: tuple[LesionView, ...] = ()
    planes: Planes | None = None
    prior: Job | None = None
    has_segmentation: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether something is still to happen without a person."""
        return self.job is not None and self.job.state not in FINISHED

    def may(self, event: str) -> bool:
        """Tell whether a person may have something done to the job that is shown."""
        if self.job is None or not self.job.series_instance_uids:
            return False
        if event == JobEvent.RESEND:
            return self.job.state is JobState.DELIVERED and bool(self.deliveries)
        try:
            advance(self.job.state, JobEvent(event))
        except IllegalTransition:
            return False
        return True


def view_study(
    study_instance_uid: str, *, services: Services, identities: Identities, job_id: str = ""
) -> StudyView | None:
    """Gather what is known of a study; None where nothing is.

    Parameters
    ----------
    study_instance_uid : str
    services : Services
    identities : Identities
    job_id : str
        Of the job that is shown; the latest one with a result, where it is empty or unknown.
    """
    line = find_study(services.engine, study_instance_uid)
    jobs = tuple(services.ledger.list(study=study_instance_uid))
    if line is None and not jobs:
        return None
    job = _choose(jobs, job_id)
    identity = identities.of(line) if line is not None else StudyIdentity()
    if job is None:
        return StudyView(
            study_instance_uid=study_instance_uid, line=line, identity=identity, jobs=(), job=None
        )
    said = FeedbackStore(services.engine).list(job=job.job_id)
    prior = _find_prior(job.result, services)
    return StudyView(
        study_instance_uid=study_instance_uid,
        line=line,
        identity=identity,
        jobs=jobs,
        job=job,
        bars=_bars(services, job, line),
        deliveries=tuple(services.ledger.deliveries(job.job_id)),
        lesions=_lesions(job.result, said, prior),
        planes=_place_lesions(job.result, services.models),
        prior=prior,
        has_segmentation=find_result_file(job, EvidenceKind.SEG, services.spool) is not None,
    )


def _choose(jobs: Sequence[Job], job_id: str) -> Job | None:
    named = [job for job in jobs if job.job_id == job_id]
    finished = [job for job in jobs if job.result]
    return next(iter([*named, *finished, *jobs]), None)


def _bars(services: Services, job: Job, line: StudyLine | None) -> tuple[Bar, ...]:
    events = services.ledger.events(job.job_id)
    first = last = None
    if line is not None and events and line.first_received_at <= events[0].at:
        first, last = line.first_received_at, min(line.last_received_at, events[0].at)
    steps = trace_steps(events, first_received_at=first, last_received_at=last, now=services.now())
    return lay_out(steps)


def _lesions(
    result: Mapping[str, Any], said: Sequence[Feedback], prior: Job | None
) -> tuple[LesionView, ...]:
    comparison = result.get("comparison") or {}
    changes = {each["lesion"]: each for each in comparison.get("changes", ())}
    earlier = prior.result.get("lesions", ()) if prior else ()
    numbers = {lesion["tracking_uid"]: lesion["number"] for lesion in earlier}
    return tuple(
        LesionView(
            told=lesion,
            change=changes.get(lesion["number"]),
            prior_number=numbers.get(
                changes.get(lesion["number"], {}).get("prior_tracking_uid", "")
            ),
            strongest=max((abs(c["logit"]) for c in lesion.get("contributions", ())), default=0.0),
            feedback=tuple(
                each for each in said if each.opinion.tracking_uid == lesion["tracking_uid"]
            ),
        )
        for lesion in result.get("lesions", ())
    )


def _place_lesions(result: Mapping[str, Any], models: ModelStore) -> Planes | None:
    placed = {
        str(lesion["number"]): lesion["position"]
        for lesion in result.get("lesions", ())
        if "position" in lesion
    }
    bundle = result.get("bundle") or {}
    if not placed or "/" in f"{bundle.get('name', '')}{bundle.get('version', '')}":
        return None
    projection = open_projection(models.root / bundle["name"] / bundle["version"])
    if projection is None:
        return None

    def plane(points: Any, kind: str) -> Plane:
        marks = {number: place[kind] for number, place in placed.items()}
        return place_on_plane(points, projection.labels, marks)

    first, second = projection.explained
    return Planes(
        pca=plane(projection.pca, "pca"),
        tsne=plane(projection.tsne, "tsne"),
        explained=(float(first), float(second)),
    )


@lru_cache(maxsize=8)
def open_projection(folder: Path) -> Projection | None:
    """Return the training lesions of a bundle, None where it keeps none."""
    path = folder / PROJECTION_FILE
    return Projection.load(path) if path.is_file() else None


def _find_prior(result: Mapping[str, Any], services: Services) -> Job | None:
    comparison = result.get("comparison")
    if not comparison:
        return None
    prior = comparison["prior"]
    for job in services.ledger.list(study=prior["study_instance_uid"]):
        made = {item.get("sop_instance_uid") for item in job.result.get("evidence", ())}
        if prior["sr_sop_instance_uid"] in made:
            return job
    return None


def find_job(services: Services, study_instance_uid: str, job_id: str) -> Job:
    """Return a job of a study; KeyError where there is no such."""
    job = services.ledger.get(job_id)
    if job.study_instance_uid != study_instance_uid:
        raise KeyError(job_id)
    return job
