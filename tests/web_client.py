"""The page over a node's own storage, asked as a browser would ask it."""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Scope

from node.bootstrap.parts import Parts
from node.bootstrap.web_serving import open_services
from node.config.settings import NodeSettings, Peer, RoutingRule, SeriesMatch, Settings, WebSettings
from node.domain.role import Role
from node.storage.accounts import AccountStore
from node.storage.clock import utc_now
from node.telemetry.audit.verify import read_records
from node.web.app import create_app
from node.web.passwords import hash_password
from node.web.services import Services

PASSWORD = "a grey seal on ice"
WRONG = "an orange walrus there"


class Clock:
    """Time that goes forward when it is told to."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def pass_by(self, time: timedelta) -> None:
        self._ahead += time


def web_parts(folder: Path, **web: Any) -> Parts:
    """A node's parts over an empty data folder, with a peer and a rule."""
    node = NodeSettings(
        data_dir=folder / "data", models_dir=folder / "models", web=WebSettings(**web)
    )
    peer = Peer(name="pacs", ae_title="ARCHIVE", port=4242)
    rule = RoutingRule(name="r", match=SeriesMatch(), bundle="b", destinations=("pacs",))
    return Parts(settings=Settings(node=node, peers=(peer,), routing=(rule,)))


def web_services(parts: Parts, *, now: Callable[[], datetime] = utc_now) -> Services:
    """What the page is given; its clock, and that of the accounts, can be turned."""
    return replace(open_services(parts), now=now, accounts=AccountStore(parts.engine, now=now))


def add_user(services: Services, name: str, role: Role, **more: bool) -> None:
    services.accounts.add_user(name, role, hash_once(name), **more)


def hash_once(name: str, _known: dict[str, str] = {}) -> str:  # noqa: B006 - argon2 is slow on purpose
    if name not in _known:
        _known[name] = hash_password(PASSWORD, user=name)
    return _known[name]


class Browser(TestClient):
    """A client that keeps cookies, follows no redirect by itself, and can log in."""

    def __init__(self, app: FastAPI, *, scheme: str = "http", address: str = "192.0.2.7") -> None:
        super().__init__(
            app,
            base_url=f"{scheme}://node.example",
            follow_redirects=False,
            raise_server_exceptions=False,
            client=(address, 50000),
        )

    def token_on(self, path: str) -> str:
        """The CSRF token of the forms of a page."""
        return csrf_of(self.get(path).text)

    def try_login(self, name: str, password: str, **more: str) -> httpx.Response:
        token = self.token_on("/login")
        form = {"csrf_token": token, "name": name, "password": password, **more}
        return self.post("/login", data=form)

    def log_in(self, name: str) -> "Browser":
        answer = self.try_login(name, PASSWORD)
        assert answer.status_code == 303, answer.text
        return self

    def act(self, path: str, page: str = "/account", **form: str) -> httpx.Response:
        """Send a form with the token that stands on a page."""
        return self.post(path, data={"csrf_token": self.token_on(page), **form})

    def break_off(
        self, path: str, begun: bytes, headers: dict[str, str], *, hangs: bool = False
    ) -> list[Message]:
        """Send the beginning of a body, hang up or send no more; return what was answered."""
        messages: Iterator[Message] = iter(
            [
                {"type": "http.request", "body": begun, "more_body": True},
                {"type": "http.disconnect"},
            ]
        )
        answered: list[Message] = []

        async def receive() -> Message:
            message = next(messages)
            if hangs and message["type"] == "http.disconnect":
                await asyncio.Event().wait()
            return message

        async def send(message: Message) -> None:
            answered.append(message)

        request = self.build_request("POST", path, headers=headers)
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "scheme": request.url.scheme,
            "path": request.url.path,
            "query_string": b"",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("192.0.2.7", 50000),
        }
        asyncio.run(self.app(scope, receive, send))
        return answered


def csrf_of(text: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', text)
    assert found, "the page has no form with a token"
    return found[1]


def browser_of(services: Services, role: Role, **more: str) -> Browser:
    """A browser in which a new user of a role is logged in."""
    name = f"{role.value}-user"
    if services.accounts.find_user(name) is None:
        add_user(services, name, role)
    return Browser(create_app(services), **more).log_in(name)


def audit_messages(services: Services) -> list[str]:
    folder = services.trail.folder
    return [record["xml"] for record in read_records(folder)] if folder.is_dir() else []
