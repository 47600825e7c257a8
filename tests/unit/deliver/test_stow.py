"""STOW-RS: what each answer to an object means for that object."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from factories_receive import make_ct, write_file
from pydicom.datadict import keyword_for_tag

from node.config.settings import DeliverSettings, DicomWeb, Peer
from node.deliver.c_store import SendOutcome
from node.deliver.stow import store_objects

SETTINGS = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5)
DICOM_JSON, HTML = "application/dicom+json", "text/html"
UID = str(make_ct().SOPInstanceUID)
CLASS = str(make_ct().SOPClassUID)
LAUGHS = (
    b'<!DOCTYPE a [<!ENTITY a "%s">' % (b"ha" * 1000)
    + b"".join(
        b'<!ENTITY %c "%s">' % (name + 1, b"&%c;" % name * 20) for name in range(ord("a"), ord("g"))
    )
    + b"]><NativeDicomModel>&g;</NativeDicomModel>"
)
PAGE = b"<html>sign in</html>"


def item(uid: str = UID, **reasons: int) -> dict[str, object]:
    tags = {"failure": "00081197", "warning": "00081196"}
    return {
        "00081150": {"vr": "UI", "Value": [CLASS]},
        "00081155": {"vr": "UI", "Value": [uid]},
        **{tags[name]: {"vr": "US", "Value": [value]} for name, value in reasons.items()},
    }


def failed(*items: object) -> bytes:
    return json.dumps({"00081198": {"vr": "SQ", "Value": items}}).encode()


def referenced(*items: object) -> bytes:
    return json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()


def failed_in_xml(reason: int) -> bytes:
    def element(tag: str, vr: str, content: str) -> str:
        attributes = f'tag="{tag}" vr="{vr}" keyword="{keyword_for_tag(tag)}"'
        return f"<DicomAttribute {attributes}>{content}</DicomAttribute>"

    uid = element("00081155", "UI", f'<Value number="1">{UID}</Value>')
    why = element("00081197", "US", f'<Value number="1">{reason}</Value>')
    sequence = element("00081198", "SQ", f'<Item number="1">{uid}{why}</Item>')
    return f"<NativeDicomModel>{sequence}</NativeDicomModel>".encode()


@dataclass
class Web:
    """A server that gives one answer to everything."""

    port: int = 0
    status: int = 200
    body: bytes = b""
    media_type: str = DICOM_JSON
    accept: str = ""


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            state.accept = self.headers["Accept"]
            self.send_response(state.status)
            self.send_header("Content-Type", state.media_type)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = listening.server_address[1]
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    yield state
    listening.shutdown()
    listening.server_close()


def send(server: Web, folder: Path) -> SendOutcome:
    peer = Peer(
        name="pacs",
        ae_title="PACS",
        dicomweb=DicomWeb(url=f"http://127.0.0.1:{server.port}/dicom-web"),
    )
    path = write_file(folder / "1.dcm", make_ct())
    (outcome,) = store_objects([path], peer=peer, settings=SETTINGS)
    return outcome


@pytest.mark.parametrize(
    ("status", "body", "media_type"),
    [
        (200, b"", ""),
        (200, referenced(item()), DICOM_JSON),
        (202, referenced(item(warning=0xB000)), DICOM_JSON),
        (202, failed(item(failure=0x0111)), DICOM_JSON),
        (202, failed(item(uid="1.2.3", failure=0xC000)), DICOM_JSON),
    ],
    ids=["empty", "success", "warning", "it is there already", "another object failed"],
)
def test_accepted(server: Web, tmp_path: Path, status: int, body: bytes, media_type: str) -> None:
    server.status, server.body, server.media_type = status, body, media_type
    outcome = send(server, tmp_path)
    assert outcome.accepted
    assert not outcome.retry
    assert server.accept.startswith(DICOM_JSON)


@pytest.mark.parametrize(
    "case",
    [
        (409, 0x0122, True, "SOP class not supported"),
        (409, 0xA900, True, "data set does not match SOP class"),
        (409, 0xA700, False, "out of resources"),
        (202, 0x0122, True, "SOP class not supported"),
        (202, 0x0110, False, "processing failure"),
        (200, 0xC122, True, "cannot understand"),
    ],
)
@pytest.mark.parametrize("parameter", ["", "; charset=utf-8"])
def test_reason_of_the_object_is_told_as_a_status_of_c_store(
    server: Web, tmp_path: Path, case: tuple[int, int, bool, str], parameter: str
) -> None:
    status, reason, refused, words = case
    server.status, server.body = status, failed(item(failure=reason))
    server.media_type = DICOM_JSON + parameter
    outcome = send(server, tmp_path)
    assert not outcome.accepted
    assert outcome.status == reason
    assert (outcome.refused, outcome.retry) == (refused, not refused)
    assert outcome.detail == f"STOW-RS 0x{reason:04X} {words}"


def test_reason_in_xml(server: Web, tmp_path: Path) -> None:
    server.status, server.body = 202, failed_in_xml(0x0122)
    server.media_type = "application/dicom+xml;charset=UTF-8"
    outcome = send(server, tmp_path)
    assert (outcome.status, outcome.refused) == (0x0122, True)


@pytest.mark.parametrize("body", [b'{"00081198": 1}', b"<NativeDicomModel><a>", LAUGHS])
def test_xml_that_cannot_be_read_is_no_verdict(server: Web, tmp_path: Path, body: bytes) -> None:
    """The last unfolds to gigabytes, and expat stops it."""
    server.status, server.body = 202, body
    server.media_type = "application/dicom+xml"
    outcome = send(server, tmp_path)
    assert (outcome.accepted, outcome.retry) == (False, True)
    assert "what cannot be read: ParseError" in outcome.detail


@pytest.mark.parametrize(
    ("status", "body", "media_type"),
    [
        (409, b"", ""),
        (409, PAGE, HTML),
        (409, b"{}", DICOM_JSON),
        (202, b"", ""),
        (202, b"{}", DICOM_JSON),
        (200, PAGE, HTML),
    ],
    ids=["409", "409 page", "409 nothing", "202", "202 nothing", "a page for people"],
)
def test_what_says_nothing_of_the_object_is_no_success_and_is_tried_again(
    server: Web, tmp_path: Path, status: int, body: bytes, media_type: str
) -> None:
    server.status, server.body, server.media_type = status, body, media_type
    outcome = send(server, tmp_path)
    assert not outcome.accepted
    assert not outcome.refused
    assert outcome.retry
    assert f"HTTP {status}" in outcome.detail


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[]", b"1", b'{"00081198": 1}'])
@pytest.mark.parametrize("status", [200, 409])
def test_json_that_is_no_answer_is_told(
    server: Web, tmp_path: Path, status: int, body: bytes
) -> None:
    server.status, server.body, server.media_type = status, body, DICOM_JSON
    outcome = send(server, tmp_path)
    assert not outcome.accepted
    assert "cannot be read" in outcome.detail
    assert (outcome.refused, outcome.retry) == (False, True)
