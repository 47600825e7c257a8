"""Fetching objects: what is not there keeps none of the others away, and 0 is no time limit."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from factories_receive import ROOT, SERIES, STUDY, make_ct, write_file

from node.config.settings import DeliverSettings, DicomWeb, Peer
from node.query.c_move import patient
from node.query.found import Wanted
from node.query.web import WebArchive

SETTINGS = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5)
UIDS = tuple(f"{ROOT}.3.{number}" for number in (1, 2, 3))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server of WADO-RS that has lost the second of three objects."""
    objects = {
        UIDS[number - 1]: write_file(tmp_path / f"{number}", make_ct(number)).read_bytes()
        for number in (1, 3)
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = objects.get(self.path.rpartition("/")[2])
            head = b"--part\r\nContent-Type: application/dicom\r\n\r\n"
            body = b"" if found is None else head + found + b"\r\n--part--"
            self.send_response(404 if found is None else 200)
            self.send_header(
                "Content-Type", 'multipart/related; type="application/dicom"; boundary=part'
            )
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_an_object_that_an_archive_has_lost_does_not_cost_the_others(
    tmp_path: Path, port: int
) -> None:
    service = DicomWeb(url=f"http://127.0.0.1:{port}/dicom-web")
    archive = WebArchive(
        peer=Peer(name="pacs", ae_title="PACS", dicomweb=service), settings=SETTINGS
    )
    wanted = Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES, sop_instance_uids=UIDS)
    fetched = archive.get(wanted, tmp_path / "got")
    assert [path.stem for path in fetched.paths] == [UIDS[0], UIDS[2]]
    assert (fetched.completed, fetched.failed) == (2, 1)
    assert all(path.stat().st_size for path in fetched.paths)
    whole = archive.get(Wanted(study_instance_uid=STUDY), tmp_path / "got")
    assert (whole.completed, whole.failed, whole.paths) == (0, 0, ())


@pytest.mark.parametrize(("configured_s", "waited_s"), [(60, 600), (900, 900), (0, 0)])
def test_an_archive_may_take_its_time_to_send(configured_s: float, waited_s: float) -> None:
    settings = DeliverSettings(dimse_timeout_s=configured_s)
    assert patient(settings).dimse_timeout_s == waited_s
