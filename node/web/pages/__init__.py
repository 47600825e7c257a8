"""The pages, each a router of its own."""

from collections.abc import Sequence

from fastapi import APIRouter

from node.web.navigation import Entry
from node.web.pages import entrance, jobs, overview

PAGES: Sequence[tuple[APIRouter, Entry | None]] = (
    (entrance.router, None),
    (overview.router, overview.ENTRY),
    (jobs.router, jobs.ENTRY),
)
"""Router of each page, and where the navigation leads to it, in its order."""
