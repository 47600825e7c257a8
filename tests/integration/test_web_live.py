"""A user in Chromium watches a study go through a real node, and sends on what was given up."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from free_ports import free_port
from playwright.sync_api import Browser, Page, expect
from running_node import QUICK, SELDOM_S, START_S, RunningNode, find_models_dir
from small_study import write_small_study
from web_browser import PATIENCE_MS, PICTURES, chromium, logged_in

from node.config.settings import Peer
from node.domain.role import Role
from node.emulate.archive import Archive
from node.storage.accounts import AccountStore
from node.telemetry.audit.verify import read_records
from node.web.overview import STAGES

LIVE_MS = 400_000
"""For the start of the worker, too, on a busy machine."""
STEPS = len(STAGES) + 5
"""Before the stages two, and behind them three."""

# Remembers every step that was ever busy, as long as this very page stays open.
WATCH_STEPS = """() => {
  window.busy = new Set();
  const look = () => document.querySelectorAll(".flow .busy").forEach(
    step => window.busy.add(step.dataset.step));
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
  look();
}"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archive_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, archive_port: int) -> Iterator[RunningNode]:
    running = RunningNode(
        tmp_path_factory.mktemp("web") / "node",
        models_dir=find_models_dir(),
        peers=[Peer(name="archive", ae_title="ARCHIVE", port=archive_port)],
        rules=[
            {
                "name": "brain",
                "match": {"modality": ["MR"]},
                "bundle": "brain-t1ce",
                "destinations": ["archive"],
            }
        ],
        node={
            **QUICK,
            "deliver": {**QUICK["deliver"], "maximum_attempts": 1},
            "web": {"enabled": True, "port": free_port()},
        },
    )
    try:
        running.start()
        running.wait_for(lambda: takes_calls(running), "the page", START_S, look_s=SELDOM_S)
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@contextmanager
def window(node: RunningNode, browser: Browser, role: Role) -> Iterator[Page]:
    """A window in which a user of a role is logged in."""
    accounts = AccountStore(node.parts.engine)
    with logged_in(browser, address(node), accounts, role) as page:
        yield page


def takes_calls(node: RunningNode) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", node.settings.node.web.port)) == 0


def address(node: RunningNode) -> str:
    return f"http://127.0.0.1:{node.settings.node.web.port}"


def test_a_study_is_watched_and_what_was_given_up_is_sent_again(
    node: RunningNode, browser: Browser, archive_port: int, tmp_path: Path
) -> None:
    with window(node, browser, Role.OPERATOR) as page:
        expect(page.locator(".flow li")).to_have_count(STEPS)
        expect(page.get_by_text("No study is being analysed.")).to_be_visible()
        page.evaluate(WATCH_STEPS)
        study = write_small_study(tmp_path / "study")
        uid = study.study_instance_uid
        node.send(study.paths)
        expect(page.locator(".flow .busy").first).to_be_visible(timeout=LIVE_MS)
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / "overview-running.png", full_page=True)
        failed = page.locator("#alarm-jobs-failed")  # nobody listens at the archive's port
        expect(failed).to_have_text("1 job failed and waits for a person.", timeout=LIVE_MS)
        busy = set(page.evaluate("[...window.busy]"))
        assert "arriving" in busy, busy
        assert busy & set(STAGES), busy

        failed.click()
        row = page.locator("tr", has_text=uid)
        expect(row).to_contain_text("failed")
        page.screenshot(path=PICTURES / "jobs.png", full_page=True)
        with Archive(tmp_path / "archive", port=archive_port) as archive:
            row.get_by_role("button", name="Retry").focus()
            page.keyboard.press("Enter")
            expect(row.get_by_role("button", name="Retry")).to_have_count(0)
            assert node.wait_for_end(uid).state == "delivered"
            assert len(archive.kept) == 2  # SEG and SR
        row.get_by_role("link").first.click()
        expect(page.get_by_role("heading", name="Job")).to_contain_text("delivered")
    records = [each["xml"] for each in read_records(node.settings.node.data_dir / "audit")]
    assert any("retry of job" in each and 'UserID="operator"' in each for each in records)


def test_a_page_that_is_open_leads_to_the_login_when_its_session_has_ended(
    node: RunningNode, browser: Browser
) -> None:
    with window(node, browser, Role.VIEWER) as page:
        AccountStore(node.parts.engine).end_all(Role.VIEWER.value)
        page.wait_for_url("**/login?next=/", timeout=PATIENCE_MS)


def test_every_page_opens_for_a_viewer_without_a_complaint_and_without_a_button(
    node: RunningNode, browser: Browser
) -> None:
    with window(node, browser, Role.VIEWER) as page:
        paths = [link.get_attribute("href") for link in page.locator("header nav a").all()]
        assert "/jobs" in paths
        assert "/audit" not in paths
        for path in paths:
            answer = page.goto(str(path))
            assert answer is not None
            assert answer.status == 200, path
            expect(page.locator("h1").first).to_be_visible()
            expect(page.get_by_role("button", name="Retry")).to_have_count(0)


def test_the_skip_link_and_the_focus_are_there_for_the_keyboard(
    node: RunningNode, browser: Browser
) -> None:
    with window(node, browser, Role.VIEWER) as page:
        page.goto("/jobs")
        page.keyboard.press("Tab")
        skip = page.locator(".skip")
        expect(skip).to_be_focused()
        assert skip.evaluate("link => parseFloat(getComputedStyle(link).outlineWidth)") >= 2
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()


def test_the_page_holds_no_tensorflow(node: RunningNode) -> None:
    maps = Path(f"/proc/{node.pid('web')}/maps").read_text()
    assert "tensorflow" not in maps
    memory_mb = psutil.Process(node.pid("web")).memory_info().rss / 2**20
    assert memory_mb < 600
