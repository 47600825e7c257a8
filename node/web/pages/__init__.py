"""The pages, each a router of its own."""

from collections.abc import Sequence

from fastapi import APIRouter

from node.web.navigation import Entry
from node.web.pages import (
    entrance,
    evaluation,
    jobs,
    logs,
    models,
    overview,
    query,
    studies,
    study,
    upload,
)

PAGES: Sequence[tuple[APIRouter, Entry | None]] = (
    (entrance.router, None),
    (overview.router, overview.ENTRY),
    (studies.router, studies.ENTRY),
    (study.router, None),
    (query.router, query.ENTRY),
    (upload.router, upload.ENTRY),
    (jobs.router, jobs.ENTRY),
    (models.router, models.ENTRY),
    (evaluation.router, evaluation.ENTRY),
    (logs.associations, logs.ASSOCIATIONS),
    (logs.quarantine, logs.QUARANTINE),
    (logs.audit, logs.AUDIT),
)
"""Router of each page, and where the navigation leads to it, in its order."""
