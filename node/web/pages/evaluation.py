"""How the bundles fare with the readers, and whether their input is still what they know."""

from http import HTTPStatus

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from node.evaluation.feedback_figures import count_months, readings_of
from node.evaluation.reader_agreement import (
    MINIMUM_READINGS,
    compare_classes,
    compare_probabilities,
    count_by_month,
)
from node.jobs.job import Job
from node.storage.feedback import FeedbackStore
from node.web.drift_by_source import MINIMUM_LESIONS, compare_sources
from node.web.faults import PageFault
from node.web.image_drift import (
    MINIMUM_STUDIES,
    REFERENCE_STUDIES,
    compare_images,
    statistic_words,
)
from node.web.languages import texts_of
from node.web.navigation import Entry, mark
from node.web.plots import place_months, place_reliability
from node.web.rendering import render
from node.web.services import Services, services_of
from node.web.study_view import open_projection

router = APIRouter()
ENTRY = Entry(path="/evaluation", title=mark("Evaluation"))

WIDTH, HEIGHT, SIDE = 560.0, 160.0, 240.0
MAXIMUM_JOBS = 2000
LATEST_JOBS = 100
SEED = 20261122
"""Of the bootstrap: the same readings give the same intervals."""


@router.get("/evaluation")
def show_evaluation(request: Request, bundle: str = "") -> Response:
    """Show the figures of one bundle."""
    services = services_of(request)
    entries = services.models.list()
    names = list(dict.fromkeys(entry.partition("/")[0] for entry in entries))
    if bundle and bundle not in names:
        raise PageFault(HTTPStatus.NOT_FOUND)
    chosen = bundle or _latest_used(services, names)
    said = [
        each
        for each in FeedbackStore(services.engine).list()
        if each.opinion.bundle.partition("/")[0] == chosen
    ]
    readings = readings_of(said)
    calibration = compare_probabilities(readings, rng=np.random.default_rng(SEED))
    versions = [entry for entry in entries if entry.partition("/")[0] == chosen]
    projection = open_projection(services.models.root / versions[-1]) if versions else None
    jobs = _jobs(services, chosen)
    drifts = compare_sources(jobs, projection) if projection else ()
    months = count_by_month(readings)
    return render(
        request,
        "evaluation.html",
        names=names,
        chosen=chosen,
        version=versions[-1].partition("/")[2] if versions else "",
        months=count_months(said),
        dots=place_months(months, width=WIDTH, height=HEIGHT),
        chart=(WIDTH, HEIGHT),
        kappa=compare_classes(readings),
        calibration=calibration,
        reliability=place_reliability(calibration.bins, side=SIDE) if calibration else (),
        side=SIDE,
        readings=readings,
        minimum_readings=MINIMUM_READINGS,
        has_reference=projection is not None,
        reference=len(projection.labels) if projection else 0,
        features=len(projection.names) if projection else 0,
        drifts=drifts,
        minimum_lesions=MINIMUM_LESIONS,
        images=compare_images(jobs),
        reference_studies=REFERENCE_STUDIES,
        minimum_studies=MINIMUM_STUDIES,
        statistic_words=statistic_words(texts_of(request)),
    )


def _jobs(services: Services, bundle: str) -> list[Job]:
    jobs = services.ledger.list(limit=MAXIMUM_JOBS)
    return [job for job in jobs if job.bundle.partition("/")[0] == bundle]


def _latest_used(services: Services, names: list[str]) -> str:
    """The bundle of the latest job that had one; the first bundle where there is none."""
    jobs = services.ledger.list(limit=LATEST_JOBS)  # a study that no rule wants has no bundle
    used = [job.bundle.partition("/")[0] for job in jobs]
    return next((name for name in [*used, *names] if name in names), "")
