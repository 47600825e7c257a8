"""DICOMweb over HTTP: who we say we are, and what the answers mean."""

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from node.config.settings import DeliverSettings, DicomWeb, Peer
from node.deliver import web_client
from node.domain.errors import SetupFault, TryLater
from node.query.found import QueryRefused, StudyKeys
from node.query.web import WebArchive

SETTINGS = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5)


@dataclass
class Web:
    """A server that gives one answer to everything."""

    port: int = 0
    status: int = 200
    body: bytes = b"[]"
    encoding: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.headers.append(dict(self.headers))
            self.send_response(state.status)
            self.send_header("Content-Type", "application/dicom+json")
            if state.encoding:
                self.send_header("Content-Encoding", state.encoding)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def ask(web: Web, **settings: str) -> tuple[object, ...]:
    described = DicomWeb(url=f"http://127.0.0.1:{web.port}/dicom-web", **settings)
    peer = Peer(name="pacs", ae_title="PACS", dicomweb=described)
    archive = WebArchive(peer=peer, settings=SETTINGS)
    return archive.find_studies(StudyKeys(patient_id="SECRET"))


def test_password_and_token_come_from_files(tmp_path: Path, web: Web) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    ask(web, username="onconode", password_file=str(secret))
    assert web.headers[-1]["Authorization"] == "Basic b25jb25vZGU6Y29ycmVjdCBob3JzZQ=="
    ask(web, token_file=str(secret))
    assert web.headers[-1]["Authorization"] == "Bearer correct horse"
    ask(web)
    assert "Authorization" not in web.headers[-1]


def test_a_secret_that_is_not_there_is_told(tmp_path: Path, web: Web) -> None:
    with pytest.raises(SetupFault, match="cannot be read"):
        ask(web, token_file=str(tmp_path / "missing"))
    (tmp_path / "empty").touch()
    with pytest.raises(SetupFault, match="empty"):
        ask(web, token_file=str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, TryLater), (401, TryLater), (500, TryLater), (400, QueryRefused), (405, QueryRefused)],
)
def test_statuses(web: Web, status: int, error: type[Exception]) -> None:
    web.status = status
    with pytest.raises(error, match=f"HTTP {status}") as raised:
        ask(web)
    assert "SECRET" not in str(raised.value)
    assert len(web.headers) == 1, "tried once: the outbox tries again"


def test_nothing_found_may_be_a_404(web: Web) -> None:
    web.status = 404
    assert ask(web) == ()


def test_an_answer_that_is_no_json_is_refused(web: Web) -> None:
    web.body = b"<html>sign in</html>"
    with pytest.raises((QueryRefused, TryLater), match="QIDO-RS"):
        ask(web)


def test_more_matches_than_are_taken_fail_the_query(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}} for number in range(3)]
    web.body = json.dumps(told).encode()
    assert len(ask(web)) == 3
    monkeypatch.setattr("node.query.web.MAXIMUM_MATCHES", 2)
    with pytest.raises(QueryRefused, match="more than 2 matches; ask for less"):
        ask(web)


def test_an_answer_beyond_the_limit_is_given_up_while_it_comes(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.body = b"[" + b" " * 1_000_000 + b"]"
    assert ask(web) == ()
    monkeypatch.setattr(web_client, "MAXIMUM_SEARCH_BYTES", len(web.body) - 1)
    with pytest.raises(QueryRefused, match="cannot be read"):
        ask(web)


def test_an_answer_is_counted_as_it_is_inflated(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.body = gzip.compress(b"[" + b" " * 10_000_000 + b"]")
    web.encoding = "gzip"
    assert len(web.body) < 20_000
    monkeypatch.setattr(web_client, "MAXIMUM_SEARCH_BYTES", 1_000_000)
    with pytest.raises(QueryRefused, match="cannot be read"):
        ask(web)


def test_images_have_a_limit_of_their_own(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.body = bytes(100_000)
    monkeypatch.setattr(web_client, "MAXIMUM_SEARCH_BYTES", 1)
    monkeypatch.setattr(web_client, "MAXIMUM_ANSWER_BYTES", 99_999)
    peer = Peer(
        name="pacs",
        ae_title="PACS",
        dicomweb=DicomWeb(url=f"http://127.0.0.1:{web.port}/dicom-web"),
    )
    client = web_client.open_client(peer, SETTINGS)
    with pytest.raises(ValueError, match="more than 99999 bytes"):
        client.retrieve_instance("1.2", "1.3", "1.4")
