"""The page of a node in real Chromium, as a user sees it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from tools import require_tool
from web_client import PASSWORD, hash_once

from node.domain.role import Role
from node.storage.accounts import AccountStore
from node.web.app import create_app
from node.web.services import Services

PATIENCE_MS = 120_000
"""A test machine may have other work to do."""
CHROMIUM_OPTIONS = (
    "--no-sandbox",  # root in a container has none
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PICTURES = Path(__file__).resolve().parents[1] / "build" / "page-pictures"
"""Ignored by git."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = require_tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(program), args=list(CHROMIUM_OPTIONS)
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(services: Services) -> Iterator[str]:
    """Serve the page from a thread of this process; yields its address."""
    configuration = uvicorn.Config(
        create_app(services), host="127.0.0.1", port=0, log_config=None, access_log=False
    )
    server = uvicorn.Server(configuration)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the page did not come up"
        thread.join(0.02)
    (socket,) = server.servers[0].sockets
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@contextmanager
def logged_in(
    browser: Browser,
    address: str,
    accounts: AccountStore,
    role: Role,
    tolerated: tuple[str, ...] = (),
    **context: Any,
) -> Iterator[Page]:
    """A window in which a user of a role is logged in.

    Faults of its scripts fail the test, but for those that the test itself provokes.
    """
    if accounts.find_user(role.value) is None:
        accounts.add_user(role.value, role, hash_once(role.value))
    options = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"} | context
    window = browser.new_context(base_url=address, **options)
    page = window.new_page()
    page.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    try:
        page.goto("/login")
        page.get_by_label("Name").fill(role.value)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/")
        yield page
        unexpected = [fault for fault in faults if fault not in tolerated]
        assert unexpected == [], unexpected
    finally:
        window.close()


def keep_picture(page: Page, name: str, **more: Any) -> None:
    """Keep a screenshot for eyes."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", **more)
