"""Orthanc as a PACS with temporary storage, for tests that want a real one."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port

from node.config.settings import Peer

DICOM_WEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""Orthanc's plug-in."""

# A proxy that is set in the environment must not see requests to the loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """A running Orthanc."""

    peer: Peer
    http_port: int

    def get(self, path: str) -> Any:
        """Answer of the REST interface to GET."""
        return json.loads(self.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """Answer of the REST interface to GET, as it is."""
        with _OPENER.open(f"http://127.0.0.1:{self.http_port}{path}", timeout=20) as answer:
            return bytes(answer.read())

    def post(self, path: str, body: Any) -> Any:
        """Answer of the REST interface to POST of JSON."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", data=json.dumps(body).encode()
        )
        with _OPENER.open(request, timeout=20) as answer:
            return json.loads(answer.read())

    def delete(self, path: str) -> None:
        """Have the REST interface delete something."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", method="DELETE"
        )
        with _OPENER.open(request, timeout=20):
            pass

    def add_file(self, path: Path) -> None:
        """Have it keep a DICOM file, as an upload through its REST interface does."""
        url = f"http://127.0.0.1:{self.http_port}/instances"
        request = urllib.request.Request(url, data=path.read_bytes())
        with _OPENER.open(request, timeout=20) as answer:
            assert json.loads(answer.read())["Status"] in ("Success", "AlreadyStored")

    def sop_instance_uids(self) -> list[str]:
        """SOP Instance UIDs of everything that it holds."""
        return [
            self.get(f"/instances/{instance}")["MainDicomTags"]["SOPInstanceUID"]
            for instance in self.get("/instances")
        ]

    def file_of(self, sop_instance_uid: str) -> bytes:
        """The DICOM file as Orthanc keeps it."""
        for instance in self.get("/instances"):
            tags = self.get(f"/instances/{instance}")["MainDicomTags"]
            if tags["SOPInstanceUID"] == sop_instance_uid:
                return self.get_bytes(f"/instances/{instance}/file")
        raise KeyError(sop_instance_uid)


@contextmanager
def running_orthanc(
    folder: Path,
    *,
    ae_title: str = "ORTHANC",
    modalities: Mapping[str, tuple[str, int]] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Iterator[Orthanc]:
    """Run Orthanc on free ports; it is up when this yields and gone afterwards.

    Parameters
    ----------
    folder : Path
        For its configuration, storage and log.
    ae_title : str
    modalities : mapping of str to (str, int), optional
        Name -> AE title and port on the loopback that it may send to.
    extra : mapping, optional
        Further entries of its configuration.
    """
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if program is None:
        pytest.skip("Orthanc is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    http_port, dicom_port = free_port(), free_port()
    configuration = {
        "Name": ae_title,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpPort": http_port,
        "DicomAet": ae_title,
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": False,
        "DicomCheckModalityHost": False,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": True,
        "UnknownSopClassAccepted": True,
        "OverwriteInstances": True,
        "StableAge": 1,
        "DefaultEncoding": "Utf8",
        "DicomScuTimeout": 10,
        "ConcurrentJobs": 2,
        "SaveJobs": False,
        "Plugins": [],
        "DicomModalities": {
            name: [title, "127.0.0.1", port] for name, (title, port) in (modalities or {}).items()
        },
        **(extra or {}),
    }
    settings = folder / "orthanc.json"
    settings.write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(settings)], stdout=log, stderr=log)
        orthanc = Orthanc(
            peer=Peer(name="orthanc", ae_title=ae_title, port=dicom_port), http_port=http_port
        )
        try:
            _wait_until_up(orthanc, process)
            yield orthanc
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_up(
    orthanc: Orthanc, process: subprocess.Popen[bytes], timeout_s: float = 30
) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.poll() is None, f"Orthanc ended with {process.returncode}"
        try:
            orthanc.get("/system")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"Orthanc is not up after {timeout_s} s")
