"""An overview that is open when its session ends, whenever that happens, in Chromium."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from web_browser import chromium, logged_in, served
from web_client import web_parts, web_services

from node.domain.role import Role
from node.web.services import Services

SOON_MS = 60_000
"""A stream asks for its session every few seconds; this machine may be busy."""
CUT_SHORT = "event: overview\ndata: a stream that ends as when the node starts anew\n\n"
CUT_OFF = "Event"
"""All that htmx writes to the console of a stream that ended before its time."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    parts = web_parts(tmp_path_factory.mktemp("page"))
    yield web_services(parts)
    parts.engine.dispose()


@pytest.fixture(scope="module")
def address(services: Services) -> Iterator[str]:
    with served(services) as served_at:
        yield served_at


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def page(services: Services, address: str, browser: Browser) -> Iterator[Page]:
    accounts = services.accounts
    with logged_in(browser, address, accounts, Role.VIEWER, tolerated=(CUT_OFF,)) as window:
        yield window


def end_session(services: Services) -> None:
    services.accounts.end_all(Role.VIEWER.value)


def expect_login(page: Page) -> None:
    expect(page.get_by_label("Password")).to_be_visible(timeout=SOON_MS)
    assert urlsplit(page.url).path == "/login"


def end_before_the_stream_opens(page: Page, services: Services) -> None:
    def end_and_go_on(route: Route) -> None:
        end_session(services)
        route.continue_()

    page.route("**/events", end_and_go_on)
    page.goto("/")


def end_while_the_stream_is_open(page: Page, services: Services) -> None:
    with page.expect_response("**/events"):
        page.goto("/")
    end_session(services)


def end_before_the_stream_opens_again(page: Page, services: Services) -> None:
    opened = 0

    def cut_short(route: Route) -> None:
        nonlocal opened
        opened += 1
        if opened == 1:
            route.fulfill(content_type="text/event-stream", body=CUT_SHORT)
        else:
            end_session(services)
            route.continue_()

    page.route("**/events", cut_short)
    page.goto("/")


@pytest.mark.parametrize(
    "end",
    [
        end_before_the_stream_opens,
        end_while_the_stream_is_open,
        end_before_the_stream_opens_again,
    ],
)
def test_the_page_leads_to_the_login(
    page: Page, services: Services, end: Callable[[Page, Services], None]
) -> None:
    end(page, services)
    expect_login(page)


def test_who_logs_in_again_beside_an_open_page_sees_one_overview_in_it(
    page: Page, services: Services
) -> None:
    with page.expect_response("**/events"):
        page.goto("/")
    page.evaluate("document.body.classList.add('old')")
    (cookie,) = page.context.cookies()
    token, _ = services.accounts.begin_session(Role.VIEWER.value, address="192.0.2.1")
    page.context.add_cookies([{**cookie, "value": token}])
    services.accounts.end_session(sha256(cookie["value"].encode()).hexdigest())
    expect(page.locator("body.old")).to_have_count(0, timeout=SOON_MS)
    expect(page.locator(".flow")).to_have_count(1)
