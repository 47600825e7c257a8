"""The history of a job in the reader's language."""

from typing import get_args

import pytest
from factories_ledger import add_job
from web_client import browser_of

from node.domain.role import Role
from node.jobs.rows import Note
from node.jobs.state import JobEvent
from node.language import words_of
from node.pipeline import STAGES
from node.web.words import event_words

EVENTS = {*JobEvent, *get_args(Note)}
"""Whatever can be written: the type of ``node.jobs.rows.note``."""


def test_every_event_has_words_in_every_language():
    english, chinese = (event_words(words_of(language)) for language in ("en", "zh"))
    assert set(english) == set(chinese) == EVENTS
    assert len(set(chinese.values())) == len(EVENTS)
    assert [event for event in EVENTS if chinese[event].isascii()] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_tells_events_and_stages_in_words(services, parts, language):
    job = add_job(parts, "1.2.3", "queued")
    assert parts.ledger.claim("w/1").job_id == job.job_id
    stages = ["load", *(name for name, _ in STAGES)]
    for stage in stages:
        assert parts.ledger.enter_stage(job.job_id, "w/1", stage)
    parts.ledger.postpone(job.job_id, "w/1", error="the disk is full")
    browser = browser_of(services, Role.VIEWER)
    text = browser.get(f"/jobs/{job.job_id}", headers={"Accept-Language": language}).text
    told = event_words(words_of(language))
    for event in (JobEvent.ADD, JobEvent.CLAIM, "stage", JobEvent.POSTPONE):
        assert f"<td>{told[event]}" in text
    for raw in ("add", "claim", "postpone", "stage"):
        assert f"<td>{raw}<" not in text
        assert f"<td>{raw} <" not in text
    if language == "zh":
        assert [stage for stage in stages if f">{stage}<" in text] == []
    assert "the disk is full" in text
