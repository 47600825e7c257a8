"""An archive that answers more, or something else, than was asked; over real associations."""

import socket
import threading
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import pytest
from factories_receive import ROOT, SERIES, STUDY, make_ct
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from node.config.settings import DeliverSettings, Peer
from node.deliver import association
from node.deliver.c_echo import echo
from node.domain.errors import TryLater
from node.query import c_find, c_get
from node.query.c_find import STUDY_ROOT_FIND
from node.query.c_get import STUDY_ROOT_GET
from node.query.dimse import DimseArchive
from node.query.found import QueryRefused, Wanted

SETTINGS = DeliverSettings(acse_timeout_s=60, dimse_timeout_s=60)
LONG = 100_000
SERIES_WANTED = Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES)
PDU_OF_TWO_GIB = b"\x02\x00\x7f\xff\xff\xff"


class Greedy:
    """A peer that answers C-FIND with one match and C-GET with what it is told to send."""

    def __init__(self) -> None:
        self.objects: list[Dataset] = []
        self.match, self.matches = Dataset(), 1
        self.asked: list[list[str]] = []
        entity = AE(ae_title="GREEDY")
        entity.add_supported_context(STUDY_ROOT_FIND)
        entity.add_supported_context(STUDY_ROOT_GET)
        entity.add_supported_context(CTImageStorage, scu_role=False, scp_role=True)
        self.server = entity.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[(evt.EVT_C_GET, self._get), (evt.EVT_C_FIND, self._find)],
        )
        self.peer = Peer(name="greedy", ae_title="GREEDY", port=self.server.server_address[1])

    def _find(self, _event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for _ in range(self.matches):
            yield 0xFF00, self.match

    def _get(self, event: evt.Event) -> Iterator[object]:
        self.asked.append(list(event.identifier.get("SOPInstanceUID", [])))
        yield len(self.objects)
        for each in self.objects:
            each.file_meta = FileMetaDataset()
            each.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            yield 0xFF00, each


@pytest.fixture
def greedy() -> Iterator[Greedy]:
    peer = Greedy()
    yield peer
    peer.server.shutdown()


@pytest.fixture
def archive(greedy: Greedy) -> DimseArchive:
    return DimseArchive(peer=greedy.peer, calling_ae_title="ONCONODE", settings=SETTINGS)


def test_counts_are_of_what_arrived(tmp_path: Path, greedy: Greedy, archive: DimseArchive) -> None:
    greedy.objects = [make_ct(1), make_ct(2), make_ct(2)]
    fetched = archive.get(SERIES_WANTED, tmp_path)
    assert [path.name for path in fetched.paths] == [f"{ROOT}.3.1.dcm", f"{ROOT}.3.2.dcm"]
    assert (fetched.completed, fetched.failed) == (2, 0)
    assert all(path.is_file() for path in fetched.paths)


def test_many_objects_are_asked_for_in_batches_and_each_counts_once(
    tmp_path: Path, greedy: Greedy, archive: DimseArchive
) -> None:
    greedy.objects = [make_ct(1), make_ct(2)]  # with each batch
    uids = tuple(f"{ROOT}.3.{number}" for number in range(1, 251))
    wanted = Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES, sop_instance_uids=uids)
    fetched = archive.get(wanted, tmp_path)
    assert [len(asked) for asked in greedy.asked] == [100, 100, 50]
    assert tuple(uid for asked in greedy.asked for uid in asked) == uids
    assert (fetched.completed, fetched.failed) == (2, 0)


def test_objects_beyond_the_number_are_refused_and_count_as_failed(
    tmp_path: Path, greedy: Greedy, archive: DimseArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_get, "MAXIMUM_FETCHED", 2)
    greedy.objects = [make_ct(number) for number in range(1, 6)]
    fetched = archive.get(SERIES_WANTED, tmp_path)
    assert (fetched.completed, fetched.failed) == (2, 3)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_object_beyond_the_size_ends_the_association(
    tmp_path: Path, greedy: Greedy, archive: DimseArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c_get, "MAXIMUM_FETCHED_BYTES", LONG)
    greedy.objects = [make_ct(1), make_ct(2, PixelData=bytes(LONG))]
    with pytest.raises(TryLater):
        archive.get(SERIES_WANTED, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"{ROOT}.3.1.dcm"]


def test_matches_beyond_the_number_are_not_waited_for(greedy: Greedy) -> None:
    greedy.match.StudyInstanceUID = STUDY
    greedy.matches = 5
    question = Dataset()
    question.QueryRetrieveLevel, question.StudyInstanceUID = "STUDY", STUDY
    ask = {"calling_ae_title": "ONCONODE", "settings": SETTINGS}
    assert len(c_find.find(greedy.peer, question, **ask, maximum_matches=5)) == 5
    with pytest.raises(QueryRefused, match="more than 4 matches; ask for less"):
        c_find.find(greedy.peer, question, **ask, maximum_matches=4)
    assert signature(c_find.find).parameters["maximum_matches"].default == c_find.MAXIMUM_MATCHES


def test_a_match_beyond_the_size_ends_the_association(
    greedy: Greedy, archive: DimseArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy.match.StudyInstanceUID = STUDY
    greedy.match.SeriesInstanceUID = SERIES
    (found,) = archive.find_series(STUDY)
    assert found.series_instance_uid == SERIES
    greedy.match.EncapsulatedDocument = bytes(LONG)
    open_association = association.open_association
    monkeypatch.setattr(
        "node.query.c_find.open_association",
        lambda *args, **kwargs: open_association(*args, **kwargs, maximum_message_bytes=LONG),
    )
    with pytest.raises(TryLater):
        archive.find_series(STUDY)


def test_a_pdu_that_says_it_has_two_gib_is_not_waited_for() -> None:
    """The connection ends at its first six bytes, not at a time-out."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(PDU_OF_TWO_GIB)
                connection.settimeout(30)
                try:
                    while connection.recv(4096):
                        pass
                except TimeoutError:
                    return
                except ConnectionResetError:
                    pass
                ended.set()

        thread = threading.Thread(target=answer)
        thread.start()
        peer = Peer(name="long", ae_title="LONG", port=server.getsockname()[1])
        with pytest.raises(TryLater):
            echo(peer, calling_ae_title="ONCONODE", settings=SETTINGS)
        thread.join()
    assert ended.is_set()
