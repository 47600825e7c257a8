"""QIDO-RS: all pages of an answer are read, whatever an archive makes of ``offset``."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest
from factories_receive import ROOT, SERIES, STUDY

from node.config.settings import DeliverSettings, DicomWeb, Peer
from node.query import web
from node.query.found import QueryRefused, count_instances
from node.query.web import WebArchive

UIDS = tuple(f"{ROOT}.3.{number}" for number in range(1, 8))
BY_MISTAKE = 400


@dataclass
class Pages:
    """An archive of seven objects that gives at most ``length`` of them at a time."""

    port: int = 0
    length: int = 3
    knows_offset: bool = True
    refuses_offset: bool = False
    warns: bool = False
    after_the_last: int = 200
    offsets: list[int] = field(default_factory=list)

    def answer(self, query: dict[str, list[str]]) -> tuple[int, list[str], bool]:
        """Return the status, the UIDs of a page, and whether it was cut."""
        offset = int(query.get("offset", ["0"])[0])
        self.offsets.append(offset)
        if offset and self.refuses_offset:
            return BY_MISTAKE, [], False
        start = offset if self.knows_offset else 0
        page = list(UIDS[start : start + self.length])
        return (200 if page else self.after_the_last), page, start + self.length < len(UIDS)

    @property
    def archive(self) -> WebArchive:
        service = DicomWeb(url=f"http://127.0.0.1:{self.port}/dicom-web")
        return WebArchive(
            peer=Peer(name="pacs", ae_title="PACS", dicomweb=service),
            settings=DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5),
        )

    def found(self) -> tuple[str, ...]:
        return tuple(each.sop_instance_uid for each in self.archive.find_instances(STUDY, SERIES))


@pytest.fixture
def pages() -> Iterator[Pages]:
    pages = Pages()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlparse(self.path)
            status, uids, is_cut = pages.answer(parse_qs(address.query))
            level = "0020000E" if address.path.endswith("/series") else "00080018"
            told = [{level: {"vr": "UI", "Value": [uid]}} for uid in uids]
            body = json.dumps(told).encode() if status == 200 else b""
            self.send_response(status)
            if pages.warns and is_cut:
                self.send_header("Warning", '299 pacs: "There are more results"')
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pages.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield pages
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("after_the_last", [200, 204, 404])
def test_all_pages_are_read(pages: Pages, after_the_last: int) -> None:
    pages.after_the_last = after_the_last
    assert pages.found() == UIDS
    assert pages.offsets == [0, 3, 6, 7]


def test_a_study_of_many_series_is_counted_whole(pages: Pages) -> None:
    assert set(count_instances(pages.archive, STUDY)) == set(UIDS)


def test_repeated_matches_end_the_questions(pages: Pages) -> None:
    pages.knows_offset, pages.length = False, 100
    assert pages.found() == UIDS
    assert pages.offsets == [0, 7]


def test_pages_that_overlap_give_each_match_once(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = pages.answer

    def shifted(query: dict[str, list[str]]) -> tuple[int, list[str], bool]:
        offset = max(int(query.get("offset", ["0"])[0]) - 1, 0)  # an object came meanwhile
        return answer({"offset": [str(offset)]})

    monkeypatch.setattr(pages, "answer", shifted)
    assert pages.found() == UIDS


def test_an_archive_that_refuses_an_offset_is_believed_unless_it_says_there_is_more(
    pages: Pages,
) -> None:
    pages.refuses_offset, pages.warns, pages.length = True, True, 7
    assert pages.found() == UIDS
    pages.length = 3
    with pytest.raises(QueryRefused, match="HTTP 400"):
        pages.found()


def test_pages_and_matches_have_an_end(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MAXIMUM_PAGES", 2)
    with pytest.raises(QueryRefused, match="more than 2 pages"):
        pages.found()
    monkeypatch.setattr(web, "MAXIMUM_MATCHES", 5)
    with pytest.raises(QueryRefused, match="more than 5 matches"):
        pages.found()
    assert pages.offsets == [0, 3, 0, 3]
