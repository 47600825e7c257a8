"""Real senders: dcmtk's echoscu and storescu, plain, compressed, interleaved and in parallel."""

import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
from factories_receive import (
    ROOT,
    RunningListener,
    associated,
    data_set_of,
    encode,
    make_ct,
    make_rgb,
    run_dcmtk,
    running_listener,
    send_bytes,
    storescu,
    wait_until,
    write_file,
)
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

SOP = f"{ROOT}.3.1"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningListener]:
    with running_listener(tmp_path / "node") as listener:
        yield listener


def test_echo(running: RunningListener) -> None:
    run_dcmtk("echoscu", "-aec", "ONCONODE", "127.0.0.1", running.port)


def test_a_folder_is_received_as_sent(running: RunningListener, tmp_path: Path) -> None:
    files = [write_file(tmp_path / "send" / f"{n}.dcm", make_ct(n)) for n in range(1, 6)]
    storescu(running.port, "+sd", tmp_path / "send")
    for number, path in enumerate(files, start=1):
        assert running.received_bytes(f"{ROOT}.3.{number}") == data_set_of(path)
    stored = running.store.received_of(f"{ROOT}.1")
    assert len(stored) == 5
    first = stored[0]
    assert (first.modality, first.calling_ae_title) == ("CT", "STORESCU")
    assert first.size_bytes == len(data_set_of(files[0]))
    assert pydicom.dcmread(first.instance.path).pixel_array.shape == (16, 16)


@pytest.mark.parametrize(
    ("conversion", "proposal", "syntax"),
    [
        ("+ti", "-xi", ImplicitVRLittleEndian),
        ("+te", "-xe", ExplicitVRLittleEndian),
        ("+tb", "-xb", ExplicitVRBigEndian),
    ],
)
def test_uncompressed_syntaxes(
    conversion: str, proposal: str, syntax: UID, running: RunningListener, tmp_path: Path
) -> None:
    plain, path = write_file(tmp_path / "plain.dcm", make_ct()), tmp_path / "converted.dcm"
    run_dcmtk("dcmconv", conversion, plain, path)
    storescu(running.port, proposal, path)
    received = running.store.find(SOP)
    assert received is not None
    assert received.instance.transfer_syntax_uid == syntax
    assert running.received_bytes(SOP) == data_set_of(path)
    stored = pydicom.dcmread(received.instance.path)
    assert (stored.pixel_array == pydicom.dcmread(plain).pixel_array).all()


def with_dcmtk(program: str, *options: str) -> Callable[[Path, Path], None]:
    def compress(source: Path, target: Path) -> None:
        run_dcmtk(program, *options, source, target)

    return compress


def with_pydicom(source: Path, target: Path) -> None:
    ds = pydicom.dcmread(source)
    ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    ds.save_as(target)


COMPRESSED = {
    JPEGLosslessSV1: with_dcmtk("dcmcjpeg", "+e1"),
    JPEGBaseline8Bit: with_dcmtk("dcmcjpeg", "+eb", "+un"),
    RLELossless: with_dcmtk("dcmcrle"),
    JPEGLSLossless: with_dcmtk("dcmcjpls"),
    JPEG2000Lossless: with_pydicom,
}


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda syntax: syntax.name)
def test_compressed_syntaxes_are_kept_as_sent(
    syntax: UID, running: RunningListener, tmp_path: Path
) -> None:
    ds = make_rgb() if syntax == JPEGBaseline8Bit else make_ct()
    if syntax == JPEG2000Lossless:  # the encoder wants more than a few pixels
        ds.Rows = ds.Columns = 64
        ds.PixelData = bytes(2 * 64 * 64)
    plain, path = write_file(tmp_path / "plain.dcm", ds), tmp_path / "compressed.dcm"
    COMPRESSED[syntax](plain, path)
    sop = pydicom.dcmread(path).SOPInstanceUID  # lossy compression makes a new instance
    storescu(running.port, *proposing(syntax), path)
    received = running.store.find(sop)
    assert received is not None
    assert received.instance.transfer_syntax_uid == syntax
    assert running.received_bytes(sop) == data_set_of(path)


def proposing(syntax: UID) -> tuple[str, ...]:
    options = {
        JPEGLosslessSV1: "-xs",
        JPEGBaseline8Bit: "-xy",
        RLELossless: "-xr",
        JPEGLSLossless: "-xt",
        JPEG2000Lossless: "-xv",
    }
    return (options[syntax],)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("GB18030", "Wang^XiaoDong=王^小东"), ("ISO_IR 192", "Müller^Zoë=王^小东=Ψ")],
)
def test_patient_names_stay_as_they_are(
    character_set: str, name: str, running: RunningListener, tmp_path: Path
) -> None:
    ds = make_ct()
    ds.SpecificCharacterSet = character_set
    ds.PatientName = name
    path = write_file(tmp_path / "a.dcm", ds)
    encoded = name.encode("gb18030" if character_set == "GB18030" else "utf-8")
    assert encoded in data_set_of(path)
    storescu(running.port, path)
    assert running.received_bytes(SOP) == data_set_of(path)
    received = running.store.find(SOP)
    assert received is not None
    assert str(pydicom.dcmread(received.instance.path).PatientName) == name


def test_two_series_interleaved_in_one_association(
    running: RunningListener, tmp_path: Path
) -> None:
    files = []
    for number in range(1, 11):
        ds = make_ct(number, SeriesInstanceUID=f"{ROOT}.2.{number % 2}")
        files.append(write_file(tmp_path / f"{number:02d}.dcm", ds))
    storescu(running.port, *files)
    stored = running.store.received_of(f"{ROOT}.1")
    assert [each.series_instance_uid[-1] for each in stored] == ["1", "0"] * 5
    assert running.listener.counts == {"new": 10}


def test_eight_senders_at_once(running: RunningListener, tmp_path: Path) -> None:
    senders = []
    for sender in range(8):
        folder = tmp_path / f"sender{sender}"
        for number in range(6):
            write_file(folder / f"{number}.dcm", make_ct(1 + sender * 6 + number))
        # one object that every sender has
        write_file(folder / "same.dcm", make_ct(1000))
        senders.append(folder)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda folder: storescu(running.port, "+sd", folder), senders))
    assert running.listener.counts == {"new": 49, "duplicate": 7}
    assert len(running.store.received_of(f"{ROOT}.1")) == 49
    assert len(list(running.spool.objects.rglob("*.dcm"))) == 49
    wait_until(lambda: not list(running.spool.incoming.iterdir()))


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.66",  # raw data
        "1.2.840.10008.5.1.4.1.1.66.7",  # label map segmentation, unknown to Debian's dcmtk
        "1.3.12.2.1107.5.9.1",  # Siemens CSA non-image
    ],
)
def test_enhanced_and_private_classes_are_taken(uid: str, running: RunningListener) -> None:
    data = encode(make_ct(SOPClassUID=uid))
    with associated(running.port, (uid, (ExplicitVRLittleEndian,))) as association:
        assert send_bytes(association, data, sop_class_uid=uid).Status == 0x0000
    received = running.store.find(SOP)
    assert received is not None
    assert received.instance.sop_class_uid == uid


def test_memory_does_not_grow_with_the_object(running: RunningListener, tmp_path: Path) -> None:
    frames = 128
    ds = make_ct(Rows=512, Columns=512, NumberOfFrames=frames, PixelData=bytes(frames << 19))
    path = write_file(tmp_path / "large.dcm", ds)
    del ds
    tracemalloc.start()
    try:
        storescu(running.port, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    received = running.store.find(SOP)
    assert received is not None
    assert received.size_bytes > frames << 19
    assert peak < 8 << 20, "64 MiB came, a few PDUs of it at a time"


def test_storescu_sees_the_status_of_a_refusal(running: RunningListener, tmp_path: Path) -> None:
    good, other = make_ct(), make_ct(InstanceNumber=9)
    files = [write_file(tmp_path / "1.dcm", good), write_file(tmp_path / "2.dcm", other)]
    storescu(running.port, files[0])
    result = storescu(running.port, files[1], check=False)
    assert "CannotUnderstand" in result.stdout.replace(" ", "")
    assert running.received_bytes(SOP) == data_set_of(files[0])


def test_an_unsupported_transfer_syntax_is_told_in_the_negotiation(
    running: RunningListener, tmp_path: Path
) -> None:
    ds: Dataset = make_ct()
    path = write_file(tmp_path / "mpeg.dcm", ds)
    ds.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.100")  # MPEG2
    ds.PixelData = pydicom.encaps.encapsulate([b"\0" * 16])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    result = storescu(running.port, "-xm", path, check=False)
    assert "No Acceptable Presentation Contexts" in result.stdout
    assert running.store.find(SOP) is None
    run_dcmtk("echoscu", "-aec", "ONCONODE", "127.0.0.1", running.port)
