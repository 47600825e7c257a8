"""dcmtk's storescp as a peer: started on a free port, stopped at the end of the test."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from free_ports import free_port
from tools import require_dcmtk

from node.config.settings import Peer


def wait_for_port(port: int, process: subprocess.Popen[bytes], timeout_s: float = 20) -> None:
    """Wait until somebody listens; fail at once when the process ends."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the peer ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port} after {timeout_s} s")


@contextmanager
def running_storescp(
    folder: Path, *options: str, ae_title: str = "STORESCP"
) -> Iterator[tuple[Peer, Path]]:
    """Run storescp; yields the peer and the folder that it writes to.

    ``options`` are storescp's own, e.g. ``"+xi"`` for Implicit VR only, ``"--refuse"``,
    ``"--abort-after"``.
    """
    program = require_dcmtk("storescp")
    received = folder / "received"
    received.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [program, "-aet", ae_title, "-od", str(received), *options, str(port)]
    with (folder / "storescp.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "TCP_NODELAY": "1"}
        )
        try:
            wait_for_port(port, process)
            yield Peer(name="storescp", ae_title=ae_title, port=port), received
        finally:
            process.terminate()
            process.wait(timeout=10)
