"""Below the soft mark of the disk nobody may begin to store; all else goes on."""

from pathlib import Path

import pytest
from factories_receive import ROOT, associated, encode, listener_settings, make_ct, send_bytes
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification

from node.bootstrap.parts import Parts
from node.bootstrap.purging import disk_room
from node.config.settings import DiskSettings, Settings
from node.receive.scp import Listener

MEGABYTE = 1 << 20
TRANSIENT, PRESENTATION = 2, 3


@pytest.fixture
def free_mb() -> list[int]:
    return [1000]


@pytest.fixture
def listener(tmp_path: Path, free_mb: list[int]):
    node = listener_settings().model_copy(
        update={"data_dir": tmp_path, "disk": DiskSettings(soft_free_mb=500)}
    )
    parts = Parts(settings=Settings(node=node))
    room = disk_room(parts, free_bytes=lambda: free_mb[0] * MEGABYTE)
    listener = Listener(
        settings=node,
        peers=(),
        store=parts.store,
        spool=parts.spool,
        closed=lambda: "little disk" if room.is_below_soft_mark() else "",
    )
    listener.start()
    yield listener
    listener.stop()


def test_store_is_refused_for_now_and_taken_again(listener: Listener, free_mb: list[int]) -> None:
    with associated(listener.port) as before:
        free_mb[0] = 499
        assert send_bytes(before, encode(make_ct())).Status == 0, "who is inside may go on"
    with associated(listener.port) as refused:
        assert refused.is_rejected
        answer = refused.acceptor.primitive
        assert (answer.result, answer.result_source) == (TRANSIENT, PRESENTATION)
    free_mb[0] = 500
    with associated(listener.port) as again:
        sent = send_bytes(again, encode(make_ct(2)), sop_instance_uid=f"{ROOT}.3.2")
        assert sent.Status == 0


def test_echo_and_commitment_need_no_room(listener: Listener, free_mb: list[int]) -> None:
    free_mb[0] = 0
    with associated(listener.port, (Verification, (ImplicitVRLittleEndian,))) as association:
        assert association.send_c_echo().Status == 0
    with associated(
        listener.port,
        (StorageCommitmentPushModel, (ImplicitVRLittleEndian,)),
        (Verification, (ImplicitVRLittleEndian,)),
    ) as association:
        assert association.is_established
    mixed = (
        (Verification, (ImplicitVRLittleEndian,)),
        (CTImageStorage, (ImplicitVRLittleEndian,)),
    )
    with associated(listener.port, *mixed) as association:
        assert association.is_rejected


def test_default_marks_are_in_order() -> None:
    node = Settings().node
    assert node.disk.soft_free_mb > node.receive.minimum_free_disk_mb
