"""``onconode echo`` and ``onconode send`` against an archive on a real socket."""

from pathlib import Path

import pytest
from free_ports import free_port
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from receivers import fhir_server, mllp_receiver

from node.cli import main
from node.cli.exit_codes import ExitCode
from node.emulate.archive import Archive, Faults

OUT_OF_RESOURCES = 0xA700


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive") as archive:
        yield archive


@pytest.fixture
def onconode(tmp_path, capsys):
    """Run a command with a configuration that knows one peer, ``pacs``, at the given port."""

    def run(port: int, *arguments: str) -> tuple[int, str, str]:
        directory = tmp_path / "dicom_conf"
        directory.mkdir(exist_ok=True)
        (directory / "node.yaml").write_text("deliver:\n  acse_timeout_s: 5\n")
        (directory / "peers.yaml").write_text(
            f"peers:\n  - {{name: pacs, ae_title: ARCHIVE, port: {port}}}\n"
        )
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(directory), *arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def write_objects(folder: Path, count: int) -> list[str]:
    folder.mkdir()
    uids = []
    for i in range(count):
        dataset = Dataset()
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID = "1.2.3"
        dataset.SeriesInstanceUID = "1.2.3.4"
        dataset.PatientID = ""
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / f"{i}.dcm", enforce_file_format=True)
        uids.append(str(dataset.SOPInstanceUID))
    return uids


def test_echo_by_name_and_by_address(onconode, archive):
    code, out, _ = onconode(archive.port, "echo", "pacs")
    assert code == ExitCode.OK
    assert "ARCHIVE" in out
    assert " ms" in out
    assert onconode(1, "echo", f"ARCHIVE@127.0.0.1:{archive.port}")[0] == ExitCode.OK


def test_echo_of_receivers_of_messages(tmp_path, capsys):
    with mllp_receiver() as receiver, fhir_server() as server:
        directory = tmp_path / "dicom_conf"
        directory.mkdir()
        (directory / "node.yaml").write_text("")
        (directory / "peers.yaml").write_text(
            f"peers:\n  - {{name: ris, port: {receiver.port}, hl7: {{}}}}\n"
            f"  - {{name: records, fhir: {{url: '{server.url}'}}}}\n"
        )

        def run(*arguments: str) -> tuple[int, str]:
            with pytest.raises(SystemExit) as ended:
                main(["--config", str(directory), *arguments])
            return int(ended.value.code or 0), "".join(capsys.readouterr())

        code, told = run("echo", "ris")
        assert (code, "connected in" in told) == (ExitCode.OK, True)
        code, told = run("echo", "records")
        assert (code, "FHIR 4.0.1" in told) == (ExitCode.OK, True)
        server.capabilities["rest"] = []
        code, told = run("echo", "records")
        assert (code, "no transactions" in told) == (ExitCode.SETUP_FAULT, True)
        assert run("find", "ris", "--accession", "1")[0] == ExitCode.SETUP_FAULT
        assert run("send", str(directory), "--to", "ris")[0] == ExitCode.USAGE
    assert receiver.messages == []


def test_echo_without_an_answer_ends_with_four(onconode):
    code, _, err = onconode(free_port(), "echo", "pacs")
    assert code == ExitCode.TRY_LATER
    assert "Not now" in err
    assert "Traceback" not in err


def test_send_delivers_every_object_of_a_folder_once(onconode, archive, tmp_path):
    uids = write_objects(tmp_path / "study", 5)
    (tmp_path / "study" / "notes.txt").write_text("not DICOM")
    code, out, err = onconode(archive.port, "send", str(tmp_path / "study"), "--to", "pacs")
    assert code == ExitCode.OK
    assert "accepted 5 of 5" in out
    assert "1 of 6 files" in err
    assert dict(archive.counts()) == dict.fromkeys(uids, 1)


def test_send_with_refused_objects_lists_them_and_ends_with_six(onconode, archive, tmp_path):
    write_objects(tmp_path / "study", 3)
    archive.faults = Faults(answer=OUT_OF_RESOURCES, times=1)
    code, out, err = onconode(archive.port, "send", str(tmp_path / "study"), "--to", "ARCHIVE")
    assert code == ExitCode.NOT_DELIVERED
    assert "accepted 2 of 3" in out
    assert "0xA700" in err


def test_send_to_nobody_ends_with_four(onconode, tmp_path):
    write_objects(tmp_path / "study", 1)
    code, _, _ = onconode(free_port(), "send", str(tmp_path / "study"), "--to", "pacs")
    assert code == ExitCode.TRY_LATER
