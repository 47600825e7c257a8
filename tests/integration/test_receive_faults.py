"""Every bad object over a real association: right answer, bytes in quarantine, node alive."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from factories_receive import (
    ROOT,
    RunningListener,
    associated,
    data_set_of,
    encode,
    listener_settings,
    make_ct,
    make_rgb,
    running_listener,
    send_bytes,
    wait_until,
)
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
)
from sqlalchemy import create_engine, text

from node.storage.database import open_database, sqlite_url
from node.storage.instances import InstanceStore
from node.storage.spool import Spool

SOP = f"{ROOT}.3.1"


@pytest.fixture
def running(tmp_path: Path) -> Any:
    with running_listener(tmp_path) as listener:
        yield listener


def assert_alive(running: RunningListener, number: int = 99) -> None:
    """The node stores the next good object, and has nothing left of the bad one."""
    with associated(running.port) as association:
        good = make_ct(number)
        answer = send_bytes(association, encode(good), sop_instance_uid=good.SOPInstanceUID)
    assert answer.Status == 0x0000
    assert running.store.find(good.SOPInstanceUID) is not None
    wait_until(lambda: not list(running.spool.incoming.iterdir()))


def assert_quarantined(running: RunningListener, data: bytes, code: str, status: int) -> None:
    """The bytes are kept, with a row that says why and what the sender was told."""
    (row,) = running.store.quarantined()
    assert row.problems[0].code == code
    assert row.status == status
    assert row.calling_ae_title == "TESTSCU"
    assert row.path.parent == running.spool.quarantine_dir
    assert data_set_of(row.path) == data


def without(*keywords: str) -> bytes:
    return encode(make_ct(**dict.fromkeys(keywords)))


def with_uid(keyword: str, uid: str) -> bytes:
    """Encode a slice with a text that pydicom would refuse as a UID."""
    placeholder = "9" * (len(uid) + len(uid) % 2)
    data = encode(make_ct(**{keyword: placeholder}))
    padded = uid.encode() + b"\0" * (len(placeholder) - len(uid))
    return data.replace(placeholder.encode(), padded)


FAULTY = {
    "not DICOM": (b"\x89PNG\r\n\x1a\n" + bytes(500), "not-dicom", 0xC001),
    "implicit VR in an explicit context": (
        encode(make_ct(), "1.2.840.10008.1.2"),
        "unparsable",
        0xC002,
    ),
    "truncated in the pixels": (encode(make_ct())[:-100], "truncated", 0xC003),
    "truncated in the header": (encode(make_ct())[:60], "truncated", 0xC003),
    "no study UID": (without("StudyInstanceUID"), "missing-uid", 0xA900),
    "no series UID": (without("SeriesInstanceUID"), "missing-uid", 0xA900),
    "no SOP instance UID": (without("SOPInstanceUID"), "missing-uid", 0xA900),
    "no SOP class UID": (without("SOPClassUID"), "missing-uid", 0xA900),
    "study UID is a path": (
        with_uid("StudyInstanceUID", "../../../etc/cron.d/x"),
        "invalid-uid",
        0xC004,
    ),
    "series UID is too long": (
        with_uid("SeriesInstanceUID", "1." + "2" * 64),
        "invalid-uid",
        0xC004,
    ),
    "other SOP class": (
        encode(make_ct(SOPClassUID=MRImageStorage)),
        "sop-class-mismatch",
        0xA900,
    ),
    "other SOP instance": (encode(make_ct(2)), "sop-instance-mismatch", 0xA900),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_object_is_refused_and_kept(name: str, running: RunningListener) -> None:
    data, code, status = FAULTY[name]
    with associated(running.port) as association:
        answer = send_bytes(association, data)
        assert association.is_established
    assert answer.Status == status
    assert answer.ErrorComment
    assert_quarantined(running, data, code, status)
    assert running.store.find(SOP) is None
    assert running.listener.counts == {code: 1}
    assert not list(running.spool.objects.rglob("*.dcm"))
    assert_alive(running)


def test_every_fault_is_told_and_not_only_the_first(running: RunningListener) -> None:
    data = without("StudyInstanceUID", "SeriesInstanceUID")
    with associated(running.port) as association:
        answer = send_bytes(association, data, sop_instance_uid="1.2.3")
    assert list(answer.OffendingElement) == [0x0020000D, 0x0020000E, 0x00080018]
    (row,) = running.store.quarantined()
    assert [problem.tag for problem in row.problems] == [
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
    ]


def test_a_sop_instance_uid_that_is_a_path_in_request_and_object(
    running: RunningListener, tmp_path: Path
) -> None:
    path = "../../../../escaped"
    data = with_uid("SOPInstanceUID", path)
    with associated(running.port) as association:
        answer = send_bytes(association, data, sop_instance_uid=path)
    assert answer.Status == 0x0117
    assert_quarantined(running, data, "invalid-sop-instance-uid", 0x0117)
    assert not list(tmp_path.parent.rglob("escaped*"))
    assert_alive(running)


def test_a_request_without_data_set(running: RunningListener) -> None:
    with associated(running.port) as association:
        assert send_bytes(association, b"").Status == 0xC001
    assert_alive(running)


def test_the_same_bytes_again_are_a_success(running: RunningListener) -> None:
    data = encode(make_ct())
    with associated(running.port) as association:
        for _ in range(3):
            assert send_bytes(association, data).Status == 0x0000
    assert running.listener.counts == {"new": 1, "duplicate": 2}
    assert running.received_bytes(SOP) == data
    assert running.store.quarantined() == []
    wait_until(lambda: not list(running.spool.incoming.iterdir()))


@pytest.mark.parametrize("change", [{"InstanceNumber": 7}, {"StudyInstanceUID": f"{ROOT}.77"}])
def test_other_bytes_under_a_known_uid(change: dict[str, Any], running: RunningListener) -> None:
    first, second = encode(make_ct()), encode(make_ct(**change))
    with associated(running.port) as association:
        assert send_bytes(association, first).Status == 0x0000
        assert send_bytes(association, second).Status == 0xC005
    assert_quarantined(running, second, "other-content", 0xC005)
    assert running.received_bytes(SOP) == first
    assert len(list(running.spool.objects.rglob("*.dcm"))) == 1
    assert_alive(running)


@pytest.mark.parametrize("photometric", ["RGB", "PALETTE COLOR"])
def test_colour_is_legal_and_stored(photometric: str, running: RunningListener) -> None:
    ds = make_rgb()
    if photometric != "RGB":
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, photometric
        ds.PixelData = bytes(256)
    context = (ds.SOPClassUID, (ExplicitVRLittleEndian,))
    with associated(running.port, context) as association:
        assert send_bytes(association, encode(ds), sop_class_uid=ds.SOPClassUID).Status == 0x0000


def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def test_deflated_objects_are_read_and_kept_as_sent(running: RunningListener) -> None:
    data = deflate(encode(make_ct()))
    context = (CTImageStorage, (DeflatedExplicitVRLittleEndian,))
    with associated(running.port, context) as association:
        assert send_bytes(association, data).Status == 0x0000
        assert send_bytes(association, data[:-20]).Status == 0xC003
        assert send_bytes(association, b"not deflated at all").Status == 0xC002
    assert running.received_bytes(SOP) == data
    wait_until(lambda: not list(running.spool.incoming.iterdir()))


def test_a_deflated_bomb_is_given_up(tmp_path: Path) -> None:
    settings = listener_settings(maximum_dataset_mb=1)
    ds = make_ct(PixelData=bytes(8 << 20))
    context = (CTImageStorage, (DeflatedExplicitVRLittleEndian,))
    with (
        running_listener(tmp_path, settings=settings) as running,
        associated(running.port, context) as association,
    ):
        assert send_bytes(association, deflate(encode(ds))).Status == 0xA700


def test_a_data_set_above_the_limit_is_dropped(tmp_path: Path) -> None:
    data = encode(make_ct(PixelData=bytes(3 << 20)))
    with running_listener(tmp_path, settings=listener_settings(maximum_dataset_mb=1)) as running:
        with associated(running.port) as association:
            answer = send_bytes(association, data)
        assert answer.Status == 0xA700
        assert running.listener.counts == {"data-set-too-large": 1}
        assert_alive(running)
        assert running.store.quarantined() == []


def test_too_little_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = listener_settings(minimum_free_disk_mb=10)
    with running_listener(tmp_path, settings=settings) as running:
        monkeypatch.setattr(Spool, "free_bytes", lambda _: 9 << 20)
        with associated(running.port) as association:
            answer = send_bytes(association, encode(make_ct()))
        assert answer.Status == 0xA700
        assert answer.ErrorComment == "no disk space"
        assert running.store.find(SOP) is None
        monkeypatch.undo()
        assert_alive(running)


def test_a_disk_that_fills_while_writing(
    running: RunningListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with associated(running.port) as association:
        monkeypatch.setattr("node.storage.spool.os.write", fail)
        assert send_bytes(association, encode(make_ct())).Status == 0xA700
        monkeypatch.undo()
        monkeypatch.setattr("node.storage.spool.os.fsync", fail)
        assert send_bytes(association, encode(make_ct())).Status == 0xA700
        monkeypatch.undo()
        assert send_bytes(association, encode(make_ct())).Status == 0x0000
    assert_alive(running)


def test_a_locked_database(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    open_database(url).dispose()
    impatient = create_engine(url, connect_args={"timeout": 0.1})
    store = InstanceStore(impatient)
    locker = create_engine(url).connect()
    with running_listener(tmp_path, store=store) as running:
        with associated(running.port) as association:
            locker.exec_driver_sql("BEGIN IMMEDIATE")
            answer = send_bytes(association, encode(make_ct()))
            assert answer.Status == 0xA700
            assert "later" in answer.ErrorComment
            locker.exec_driver_sql("ROLLBACK")
            assert send_bytes(association, encode(make_ct())).Status == 0x0000
        assert running.received_bytes(SOP) == encode(make_ct())
        assert_alive(running)
    with locker:
        assert locker.execute(text("SELECT count(*) FROM instances")).scalar() == 2


def test_a_bug_in_the_handler_is_answered_and_the_bytes_are_kept(
    running: RunningListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    data = encode(make_ct())
    with associated(running.port) as association:
        monkeypatch.setattr("node.receive.c_store.identify", fail)
        assert send_bytes(association, data).Status == 0xC211
        monkeypatch.undo()
        assert_quarantined(running, data, "internal-error", 0xC211)
        assert send_bytes(association, data).Status == 0x0000


def test_nothing_of_an_aborted_association_stays(running: RunningListener) -> None:
    with associated(running.port) as association:
        association.dimse.send_msg(half_a_request(), association.accepted_contexts[0].context_id)
        socket = association.dul.socket
        wait_until(association.dul.to_provider_queue.empty)
        # the first fragment of a data set that never ends
        fragment = struct.pack(">BBL", 4, 0, 110) + struct.pack(">LBB", 106, 1, 0) + bytes(104)
        socket.send(fragment)
        wait_until(lambda: list(running.spool.incoming.iterdir()))
        association.abort()
    wait_until(lambda: not list(running.spool.incoming.iterdir()))
    assert_alive(running)


def half_a_request() -> Any:
    """A C-STORE request whose data set is to come."""
    from io import BytesIO

    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CTImageStorage, SOP
    request.DataSet = BytesIO(b"")
    return request


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff" + bytes(64),
        b"\x04\x00\x00\x00\x00\x0a" + bytes(10),
        b"\x01\x00\x00\x00\x00\x08" + b"\xff" * 8,
    ],
)
def test_garbage_on_the_port_ends_only_its_connection(
    garbage: bytes, running: RunningListener
) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
        connection.sendall(garbage)
        while connection.recv(1000):
            pass
    assert_alive(running)


def test_an_unparsable_command_ends_only_its_association(running: RunningListener) -> None:
    with associated(running.port) as association:
        fragment = struct.pack(">BBL", 4, 0, 46) + struct.pack(">LBB", 42, 1, 3) + b"\xee" * 40
        association.dul.socket.send(fragment)
        wait_until(lambda: not association.is_established)
    assert_alive(running)
