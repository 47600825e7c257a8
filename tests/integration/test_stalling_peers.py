"""Peers that the node calls and that stop in the middle of a PDU: it goes on without them."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from factories_receive import make_ct, write_file
from peers_dcmtk import running_storescp

from node.config.settings import DeliverSettings, Peer
from node.deliver.c_echo import echo
from node.deliver.c_store import send_objects
from node.domain.errors import TryLater

SETTINGS = DeliverSettings(acse_timeout_s=1, dimse_timeout_s=1)
LONGEST_S = 15.0
EVERYTHING = 1 << 40
LARGE = bytes(32 << 20)
"""Pixels: more than the buffers of both ends hold."""


@contextmanager
def stalling(peer: Peer, *, pdus: int, further_bytes: int, taken_bytes: int) -> Iterator[Peer]:
    """A way to a peer on which everything stands still, and nothing ends.

    It passes so many PDUs of the peer and a part of the next one, and so many bytes of the node.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            node, _ = listening.accept()
            there = socket.create_connection(("127.0.0.1", peer.port), timeout=30)
            answering = threading.Thread(target=answer, args=(there, node), daemon=True)
            answering.start()
            with node, there, suppress(OSError):
                left = taken_bytes
                while left > 0 and (came := node.recv(min(left, 65536))):
                    there.sendall(came)
                    left -= len(came)
                over.wait(60)

        def answer(there: socket.socket, node: socket.socket) -> None:
            with suppress(OSError), there.makefile("rb") as stream:
                for _ in range(pdus):
                    head = stream.read(6)
                    (length,) = struct.unpack(">L", head[2:])
                    node.sendall(head + stream.read(length))
                node.sendall(stream.read(further_bytes))

        threading.Thread(target=serve, daemon=True).start()
        yield peer.model_copy(update={"port": listening.getsockname()[1]})
        over.set()


@pytest.mark.parametrize(
    ("pdus", "further_bytes"),
    [(0, 3), (0, 20), (1, 3), (1, 20)],
    ids=["head of the acceptance", "acceptance", "head of the answer", "answer"],
)
def test_half_an_answer_is_none(tmp_path: Path, pdus: int, further_bytes: int) -> None:
    with (
        running_storescp(tmp_path / "peer") as (whole, _),
        stalling(whole, pdus=pdus, further_bytes=further_bytes, taken_bytes=EVERYTHING) as peer,
    ):
        begun_s = time.monotonic()
        with pytest.raises(TryLater):
            echo(peer, calling_ae_title="ONCONODE", settings=SETTINGS)
        assert time.monotonic() - begun_s < LONGEST_S


def test_who_takes_no_more_of_an_object_is_left(tmp_path: Path) -> None:
    path = write_file(tmp_path / "large.dcm", make_ct(PixelData=LARGE))
    with (
        running_storescp(tmp_path / "peer") as (whole, _),
        stalling(whole, pdus=1, further_bytes=0, taken_bytes=100_000) as peer,
    ):
        begun_s = time.monotonic()
        (outcome,) = send_objects([path], peer=peer, calling_ae_title="ONCONODE", settings=SETTINGS)
        assert time.monotonic() - begun_s < LONGEST_S
    assert (outcome.accepted, outcome.retry) == (False, True)
