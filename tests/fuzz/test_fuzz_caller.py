"""The node as caller: peers whose answers are damaged on real sockets, PDU by PDU."""

import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from factories_receive import SERIES, STUDY, make_ct, wait_until, write_file
from fuzz_pieces import Change, damage_bytes, draws
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from node.config.settings import DeliverSettings, Peer
from node.deliver.c_echo import echo
from node.deliver.c_store import send_objects
from node.deliver.commitment import CommitmentUnsupported, request_commitment
from node.dicom.commitment import STORAGE_COMMITMENT
from node.domain.errors import TryLater
from node.jobs.commitments import Transaction
from node.query import c_get
from node.query.c_find import STUDY_ROOT_FIND
from node.query.c_get import STUDY_ROOT_GET
from node.query.dimse import DimseArchive
from node.query.found import QueryRefused, StudyKeys, Wanted

CASES = max(30, int(os.environ.get("ONCONODE_FUZZ_CASES", "0")) // 500)
GOOD_EVERY = 10
PATIENCE_S = 0.5
SETTINGS = DeliverSettings(acse_timeout_s=PATIENCE_S, dimse_timeout_s=PATIENCE_S)
UNHURRIED = DeliverSettings(acse_timeout_s=30, dimse_timeout_s=30)
TOLD = (TryLater, QueryRefused, CommitmentUnsupported)
"""What callers expect of a peer that does not answer as it should."""


@contextmanager
def running_peer() -> Iterator[int]:
    """A peer that answers everything; yields its port."""

    def find(_event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for number in range(3):
            match = Dataset()
            match.StudyInstanceUID, match.SeriesInstanceUID = STUDY, f"{SERIES}.{number}"
            match.NumberOfSeriesRelatedInstances = number
            yield 0xFF00, match

    def get(_event: evt.Event) -> Iterator[object]:
        yield 2
        for number in (1, 2):
            image = make_ct(number)
            image.file_meta = FileMetaDataset()
            image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            yield 0xFF00, image

    entity = AE(ae_title="PEER")
    for service in ("1.2.840.10008.1.1", STUDY_ROOT_FIND, STUDY_ROOT_GET, STORAGE_COMMITMENT):
        entity.add_supported_context(service)
    entity.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            (evt.EVT_C_FIND, find),
            (evt.EVT_C_GET, get),
            (evt.EVT_C_STORE, lambda _: 0x0000),
            (evt.EVT_N_ACTION, lambda _: (0x0000, None)),
        ],
    )
    yield server.server_address[1]
    server.shutdown()


class Spoiler:
    """Stands between the node and a peer, and damages what the peer answers."""

    def __init__(self, peer_port: int) -> None:
        self.changes: Callable[[], list[Change]] = list
        self._peer_port = peer_port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                node, _ = self._listening.accept()
                peer = socket.create_connection(("127.0.0.1", self._peer_port), timeout=30)
                node.settimeout(30)
                for pump in (self._pass_on, self._spoil):
                    threading.Thread(target=pump, args=(node, peer), daemon=True).start()

    @staticmethod
    def _pass_on(node: socket.socket, peer: socket.socket) -> None:
        with suppress(OSError):
            while came := node.recv(65536):
                peer.sendall(came)
        _end(peer, node)

    def _spoil(self, node: socket.socket, peer: socket.socket) -> None:
        with suppress(OSError), peer.makefile("rb") as stream:
            while len(head := stream.read(6)) == 6:
                (length,) = struct.unpack(">L", head[2:])
                node.sendall(damage_bytes(head + stream.read(length), self.changes()))
        _end(node, peer)


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@pytest.mark.timeout(3600)
def test_whatever_a_peer_answers_is_an_answer_or_a_reason_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_get, "patient", lambda settings: settings)  # of ten minutes
    chance = draws()
    image = write_file(tmp_path / "image.dcm", make_ct())
    before, process = threading.active_count(), psutil.Process()
    with running_peer() as port:
        spoiler = Spoiler(port)
        peer = Peer(name="peer", ae_title="PEER", port=spoiler.port)
        calls = _calls(peer, image, tmp_path / "fetched", SETTINGS)
        threads, descriptors = threading.active_count(), process.num_fds()
        for case in range(1, CASES + 1):
            spoiler.changes = lambda: _changes(chance)
            with suppress(*TOLD):
                calls[case % len(calls)]()
            if case % GOOD_EVERY == 0:
                spoiler.changes = list
                assert echo(peer, calling_ae_title="NODE", settings=UNHURRIED) > 0
        wait_until(lambda: threading.active_count() <= threads, timeout_s=60)
        wait_until(lambda: process.num_fds() <= descriptors, timeout_s=60)
        spoiler.close()
    wait_until(lambda: threading.active_count() <= before, timeout_s=60)
    assert {path.name for path in tmp_path.iterdir()} <= {"image.dcm", "fetched"}


def _calls(
    peer: Peer, image: Path, folder: Path, settings: DeliverSettings
) -> list[Callable[[], object]]:
    archive = DimseArchive(peer=peer, calling_ae_title="NODE", settings=settings)
    wanted = Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES)

    def store() -> None:
        (outcome,) = send_objects([image], peer=peer, calling_ae_title="NODE", settings=settings)
        assert not (outcome.accepted and outcome.retry)

    def fetch() -> None:
        fetched = archive.get(wanted, folder)
        assert all(path.parent == folder and path.is_file() for path in fetched.paths)
        assert fetched.failed >= 0

    def commit() -> None:
        request_commitment(
            Transaction(transaction_uid="1.2.3", destination="peer", objects=(("1.2", "1.2.4"),)),
            peer=peer,
            calling_ae_title="NODE",
            settings=settings.model_copy(update={"commitment_wait_s": 0.1}),
            record=lambda _: None,
        )

    return [
        lambda: echo(peer, calling_ae_title="NODE", settings=settings),
        lambda: archive.find_studies(StudyKeys()),
        lambda: archive.find_series(STUDY),
        lambda: archive.find_instances(STUDY, SERIES),
        store,
        fetch,
        commit,
    ]


def _changes(chance: random.Random) -> list[Change]:
    """Nothing for most PDUs, or no association would ever come about."""
    return [
        Change(chance.choice((0, 0, 0, 1, 2, 3)), chance.randrange(4096), chance.randrange(256))
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))
    ]
