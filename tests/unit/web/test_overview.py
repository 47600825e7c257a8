"""What the overview makes of a node: alarms, steps, peers, and when it is worth telling."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from factories_ledger import add_job, add_object
from web_client import browser_of, web_parts, web_services

from node.domain.role import Role
from node.language import words_of
from node.storage.usage import DiskMarks, DiskRoom
from node.web.alarms import Condition, Level, alarm_text, list_alarms
from node.web.overview import look_at_node, look_seldom
from node.web.watch import Watch

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
CALM = Condition(
    failed_jobs=0,
    rejected=0,
    quarantined=0,
    failed_deliveries={},
    failing_peers={},
    processes={"listener": True},
    missing_bundles=(),
    disk="good",
    certificates={"tls.certificate": NOW + timedelta(days=31)},
    clock_fault="",
    warn_days=30,
    now=NOW,
)


def test_a_node_that_is_well_has_no_alarm() -> None:
    assert list_alarms(CALM) == ()


@pytest.mark.parametrize(
    ("change", "kind", "level", "count"),
    [
        ({"failed_jobs": 2}, "jobs-failed", Level.BAD, 2),
        ({"rejected": 1}, "studies-rejected", Level.WARN, 1),
        ({"quarantined": 3}, "objects-refused", Level.WARN, 3),
        ({"failed_deliveries": {"pacs": 4}}, "deliveries-failed", Level.BAD, 4),
        ({"failing_peers": {"pacs": "refused"}}, "peer-failing", Level.WARN, 0),
        ({"processes": {"listener": False}}, "process-down", Level.BAD, 0),
        ({"missing_bundles": ("lung",)}, "bundle-missing", Level.BAD, 0),
        ({"disk": "soft"}, "disk-soft", Level.WARN, 0),
        ({"disk": "hard"}, "disk-hard", Level.BAD, 0),
        ({"clock_fault": "not synchronised"}, "clock", Level.WARN, 0),
        ({"certificates": {"c": NOW + timedelta(days=20)}}, "certificate-ends", Level.WARN, 20),
        ({"certificates": {"c": NOW + timedelta(days=3)}}, "certificate-ends", Level.BAD, 3),
        ({"certificates": {"c": NOW - timedelta(days=3)}}, "certificate-ended", Level.BAD, 0),
    ],
)
def test_each_fault_is_one_alarm_with_words_in_every_language(change, kind, level, count) -> None:
    (alarm,) = list_alarms(replace(CALM, **change))
    assert (alarm.kind, alarm.level, alarm.count) == (kind, level, count)
    english, chinese = (alarm_text(alarm, words_of(language)) for language in ("en", "zh"))
    assert english != chinese
    for text in (english, chinese):
        assert "%(" not in text
        assert alarm.about in text
        if count:
            assert str(count) in text


def test_urgent_alarms_stand_first_and_a_peer_is_told_once() -> None:
    found = list_alarms(
        replace(
            CALM,
            clock_fault="x",
            failed_deliveries={"pacs": 1},
            failing_peers={"pacs": "refused", "ris": "gone"},
        )
    )
    assert [alarm.level for alarm in found] == [Level.BAD, Level.WARN, Level.WARN]
    assert [alarm.about for alarm in found if alarm.kind == "peer-failing"] == ["ris"]


def test_the_fingerprint_changes_with_what_happens_and_not_with_time(tmp_path) -> None:
    parts = web_parts(tmp_path)
    services = web_services(parts)
    seldom = look_seldom(services)

    def look():
        return look_at_node(services, seldom)

    first = look()
    assert first.fingerprint == look().fingerprint
    add_object(parts, "1.2.3")
    arrived = look()
    assert arrived.fingerprint != first.fingerprint
    assert {step.name: step.count for step in arrived.steps}["arriving"] == 1
    later = replace(services, now=lambda: NOW + timedelta(days=10_000))
    assert look_at_node(later, seldom).steps[0].oldest_s > arrived.steps[0].oldest_s


@pytest.mark.parametrize(("free", "state"), [(10_000, "good"), (2_999, "soft"), (999, "hard")])
def test_the_disk_is_told_by_its_marks(tmp_path, free: int, state: str) -> None:
    marks = DiskMarks(soft_bytes=3_000, hard_bytes=1_000)
    services = replace(
        web_services(web_parts(tmp_path)), disk=lambda: DiskRoom(marks, lambda: free)
    )
    assert look_at_node(services, look_seldom(services)).disk.state == state


def test_many_watchers_cost_one_look(tmp_path) -> None:
    asked = []
    services = web_services(web_parts(tmp_path))
    counting = replace(services, processes=lambda: asked.append(1) or {})
    watch = Watch(counting)
    assert watch.look() is watch.look()
    assert len(asked) == 1


def test_the_page_shows_it_and_says_what_is_to_be_done(tmp_path) -> None:
    parts = web_parts(tmp_path, environment="production")
    job = add_job(parts, "1.2.3", "running")
    services = web_services(parts)
    page = browser_of(services, Role.VIEWER).get("/").text
    assert 'data-step="load" class="busy"><span class="count">1</span>' in page
    assert f'href="/jobs/{job.job_id}"' in page
    assert '<html lang="en" class="production">' in page
    assert "PRODUCTION" in page
    assert "Model b is named by a rule and not there." in page
    assert "Process listener does not run." in page


def test_the_page_tells_test_from_production(tmp_path) -> None:
    page = browser_of(web_services(web_parts(tmp_path)), Role.VIEWER).get("/").text
    assert '<html lang="en" class="test">' in page
    assert ">TEST<" in page
    assert "PRODUCTION" not in page
