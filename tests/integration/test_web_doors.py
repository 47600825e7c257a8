"""The page on its port: TLS, proxies, a port that is taken, and no TensorFlow."""

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from certificates import make_authority
from free_ports import free_port
from sqlalchemy.exc import OperationalError
from web_client import PASSWORD, csrf_of, hash_once, web_parts

from node.bootstrap import web_connections, web_serving
from node.bootstrap.parts import Parts
from node.bootstrap.web_serving import WebService
from node.domain.errors import SetupFault
from node.domain.role import Role
from node.storage.accounts import AccountStore
from node.telemetry.audit.verify import read_records

WAIT_S = 30.0


@contextmanager
def serving(parts: Parts) -> Iterator[WebService]:
    service = WebService(parts)
    thread = threading.Thread(target=service.run, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join(WAIT_S)
        assert not thread.is_alive()


def log_in(client: httpx.Client, **headers: str) -> httpx.Response:
    token = csrf_of(client.get("/login", headers=headers).text)
    form = {"csrf_token": token, "name": "anna", "password": PASSWORD}
    return client.post("/login", data=form, headers=headers)


def with_user(parts: Parts) -> Parts:
    AccountStore(parts.engine).add_user("anna", Role.VIEWER, hash_once("anna"))
    return parts


def last_login(parts: Parts) -> str:
    folder = parts.settings.node.data_dir / "audit"
    return [record["xml"] for record in read_records(folder)][-1]


def test_sessions_are_tidied_again_once_the_database_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, again = [], threading.Event()

    def forget(*_: object, **__: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OperationalError("", None, Exception("away"))
        again.set()

    monkeypatch.setattr(AccountStore, "forget_ended", forget)
    monkeypatch.setattr(web_serving, "TIDY_EVERY_S", 0.01)
    with serving(web_parts(tmp_path, port=free_port())):
        assert again.wait(WAIT_S)


def test_connections_that_say_nothing_take_nobodys_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_connections, "REQUEST_S", 0.5)
    monkeypatch.setattr(web_serving, "MAXIMUM_CONNECTIONS", 8)
    port = free_port()
    with serving(web_parts(tmp_path, port=port)), ExitStack() as silent:
        for number in range(8):
            one = silent.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.settimeout(WAIT_S)
            one.sendall(b"GET /health HT" if number % 2 else b"")
            begun = one
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 503
        assert begun.recv(1) == b""  # closed by the node
        deadline_s = time.monotonic() + WAIT_S
        while httpx.get(f"http://127.0.0.1:{port}/health").status_code == 503:
            assert time.monotonic() < deadline_s


def test_a_connection_serves_again_and_is_closed_when_it_idles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_connections, "REQUEST_S", 0.5)
    port = free_port()
    request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    with (
        serving(web_parts(tmp_path, port=port)),
        socket.create_connection(("127.0.0.1", port)) as one,
    ):
        one.settimeout(WAIT_S)
        for _ in range(2):
            one.sendall(request)
            answer = b""
            while not answer.endswith(b"alive\n"):
                answer += one.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 200")
        one.sendall(request[:20])
        assert one.recv(1) == b""


def test_under_tls_cookies_stay_there_and_old_versions_are_refused(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "tls")
    certificate, key = authority.issue("node")
    port = free_port()
    parts = with_user(
        web_parts(tmp_path, port=port, certificate_file=str(certificate), key_file=str(key))
    )
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    with serving(parts):
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusting) as client:
            answer = log_in(client)
            assert answer.status_code == 303
            assert answer.headers["set-cookie"].startswith("__Host-onconode=")
            assert "strict-transport-security" in answer.headers
            assert client.get("/account").status_code == 200
        old = ssl.create_default_context(cafile=str(authority.ca))
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", port)) as plain:
            old.wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.mark.parametrize(
    ("trusted", "address", "cookie"),
    [
        (("127.0.0.0/8",), "203.0.113.5", "__Host-onconode="),
        ((), "127.0.0.1", "onconode="),
        (("192.0.2.1",), "127.0.0.1", "onconode="),
    ],
)
def test_only_a_trusted_proxy_is_believed(
    tmp_path: Path, trusted: tuple[str, ...], address: str, cookie: str
) -> None:
    port = free_port()
    parts = with_user(web_parts(tmp_path, port=port, trusted_proxies=trusted))
    headers = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}
    with serving(parts), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        token = csrf_of(client.get("/login", headers=headers).text)
        guard = client.cookies["onconode_login"]
        form = {"csrf_token": token, "name": "anna", "password": PASSWORD}
        sent = {**headers, "Cookie": f"onconode_login={guard}"}
        answer = client.post("/login", data=form, headers=sent)
    assert answer.headers["set-cookie"].startswith(cookie)
    assert f'NetworkAccessPointID="{address}"' in last_login(parts)


def test_more_connections_than_may_be_are_sent_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_serving, "MAXIMUM_CONNECTIONS", 3)
    port = free_port()
    with serving(web_parts(tmp_path, port=port)), ExitStack() as idle:
        assert httpx.get(f"http://127.0.0.1:{port}/login").status_code == 200
        for _ in range(2):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert httpx.get(f"http://127.0.0.1:{port}/login").status_code == 503


def test_a_port_that_is_taken_and_a_certificate_that_is_none_are_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupFault, match=f"port {port}"):
            WebService(web_parts(tmp_path, port=port))
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    parts = web_parts(
        tmp_path, port=free_port(), certificate_file=str(nothing), key_file=str(nothing)
    )
    with pytest.raises(SetupFault, match="certificate"):
        WebService(parts)


def test_a_stop_does_not_wait_for_those_who_watch(tmp_path: Path) -> None:
    port = free_port()
    parts = with_user(web_parts(tmp_path, port=port))
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S)
    with serving(parts) as service, client:
        log_in(client)
        with client.stream("GET", "/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: overview"
            assert next(lines).startswith("data: ")
            service.stop()
            for _ in lines:  # ends, or runs into the time-out of the client
                pass


def test_the_process_needs_no_tensorflow() -> None:
    told = "import sys; import node.bootstrap.web_serving; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "False"
