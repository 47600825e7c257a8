"""The OHIF viewer in Chromium, as a radiologist would use it: a judge of how results are shown.

``npm ci`` fetches the prebuilt viewer that ``integration/viewer/package-lock.json`` pins by its
digest. It is served on the loopback together with the DICOMweb of an archive, so that the browser
sees one origin.
"""

import hashlib
import json
import mimetypes
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tools import require_tool

ROOT = Path(__file__).resolve().parents[1]
PINNED = ROOT / "tests" / "integration" / "viewer"
CACHE = ROOT / "build" / "viewer"
"""Ignored by git; ``make clean`` removes it."""

CHROMIUM_OPTIONS = (
    "--no-sandbox",  # root in a container has none
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_SOURCE = {
    "friendlyName": "archive",
    "name": "archive",
    "wadoUriRoot": "/wado",
    "qidoRoot": "/dicom-web",
    "wadoRoot": "/dicom-web",
    "qidoSupportsIncludeField": False,
    "imageRendering": "wadors",
    "thumbnailRendering": "wadors",
    "enableStudyLazyLoad": True,
    "supportsFuzzyMatching": False,
    "supportsWildcard": True,
    "dicomUploadEnabled": False,
    "omitQuotationForMultipartRequest": True,
    "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
}
_SETTINGS = {
    "routerBasename": None,
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "showLoadingIndicator": True,
    "showCPUFallbackMessage": False,
    "showWarningMessageForCrossOrigin": False,
    "strictZSpacingForVolumeViewport": True,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": _SOURCE,
        }
    ],
}


def installed_viewer() -> Path:
    """Return the folder of the built viewer, fetched where it is not there yet.

    Skips the test without npm, or fails it where ``ONCONODE_REQUIRE_TOOLS`` is set.
    """
    lock = (PINNED / "package-lock.json").read_bytes()
    stamp = CACHE / f"installed-{hashlib.sha256(lock).hexdigest()[:16]}"
    dist = CACHE / "node_modules" / "@ohif" / "app" / "dist"
    if not stamp.exists():
        npm = require_tool("npm")
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINNED / name, CACHE / name)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=CACHE, check=True, capture_output=True, timeout=300)
        assert (dist / "index.html").is_file(), "the package holds no built viewer"
        stamp.touch()
    return dist


@contextmanager
def served_viewer(dist: Path, archive_url: str) -> Iterator[str]:
    """Serve the viewer and, under the same origin, the DICOMweb of an archive; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(dist.resolve(), archive_url))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def _handler_for(dist: Path, archive_url: str) -> type[BaseHTTPRequestHandler]:
    settings = f"window.config = {json.dumps(_SETTINGS)};".encode()
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    types = {".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(("/dicom-web/", "/wado")):
                self._pass_on()
            elif path == "/app-config.js":
                self._answer(200, settings, "text/javascript")
            else:
                self._give_file(path)

        def _give_file(self, path: str) -> None:
            wanted = (dist / path.lstrip("/")).resolve()
            if not (wanted.is_relative_to(dist) and wanted.is_file()):
                wanted = dist / "index.html"  # a page of the viewer, which routes by itself
            kind = types.get(wanted.suffix) or mimetypes.guess_type(wanted.name)[0]
            self._answer(200, wanted.read_bytes(), kind or "application/octet-stream")

        def _pass_on(self) -> None:
            # The archive builds its links from Host: they must lead back to this origin.
            headers = {"Host": self.headers["Host"], "Accept": self.headers.get("Accept", "*/*")}
            request = urllib.request.Request(archive_url + self.path, headers=headers)
            try:
                with straight.open(request, timeout=120) as answer:
                    self._answer(answer.status, answer.read(), answer.headers["Content-Type"])
            except urllib.error.HTTPError as error:
                self._answer(error.code, error.read(), "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            # what lets the viewer share memory between its workers
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(body)

    return Handler
