"""Headers become a Study without patient attributes; folders tell what they left out."""

import hashlib
import shutil
from dataclasses import replace

import pytest
from factories_images import edit_files, only_series
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.assemble.digest import content_digest
from node.assemble.folder import read_folder, scan_folder
from node.assemble.headers import ATTRIBUTES, read_series
from node.assemble.own import is_own
from node.domain.errors import InputRejected
from node.domain.study import InstanceRef
from node.emulate.phantom import Flaw, write_case
from node.storage.instances import ReceivedInstance


def data_set_bytes(path):
    """What a sender would send: everything behind the file meta information."""
    meta = dcmread(path, stop_before_pixels=True).file_meta
    return path.read_bytes()[128 + 4 + 12 + meta.FileMetaInformationGroupLength :]


def received(path, calling_ae_title):
    dataset = dcmread(path, stop_before_pixels=True)
    instance = InstanceRef(
        sop_instance_uid=dataset.SOPInstanceUID,
        sop_class_uid=dataset.SOPClassUID,
        transfer_syntax_uid=dataset.file_meta.TransferSyntaxUID,
        path=path,
        sha256="ab" * 32,
    )
    return ReceivedInstance(
        instance=instance,
        study_instance_uid=dataset.StudyInstanceUID,
        series_instance_uid=dataset.SeriesInstanceUID,
        modality=dataset.Modality,
        calling_ae_title=calling_ae_title,
        size_bytes=path.stat().st_size,
    )


def test_series_carries_the_attributes_that_rules_ask_for(tmp_path):
    write_case("brain2", tmp_path)
    series = only_series(tmp_path)
    assert series.modality == "MR"
    assert series.attributes["BodyPartExamined"] == "BRAIN"
    assert series.attributes["SeriesDescription"] == "T1 POST GAD"
    assert series.attributes["ImageType"] == "ORIGINAL\\PRIMARY\\OTHER"
    assert series.attributes["ContrastBolusAgent"] == "GADOLINIUM"


def test_no_patient_attribute_is_carried(tmp_path):
    write_case("brain2", tmp_path)
    series = only_series(tmp_path)
    assert not [keyword for keyword in ATTRIBUTES if keyword.startswith("Patient")]
    assert "PHANTOM-BRAIN2" not in "".join(series.attributes.values())


@pytest.mark.parametrize("character_set", ["GB18030", "ISO_IR 192"])
def test_text_is_decoded_in_its_character_set(tmp_path, character_set):
    headers = {
        "SpecificCharacterSet": character_set,
        "SeriesDescription": "头颅 增强",
        "PatientName": "Zhang^XiaoMing=张^小明",
    }
    write_case("brain2", tmp_path, headers=headers)
    series = only_series(tmp_path)
    assert series.attributes["SeriesDescription"] == "头颅 增强"
    assert "张" not in "".join(series.attributes.values())


def test_hash_is_over_the_data_set_as_sent(tmp_path):
    written = write_case("brain2", tmp_path)
    series = only_series(tmp_path)
    by_uid = {item.sop_instance_uid: item.sha256 for item in series.instances}
    expected = hashlib.sha256(data_set_bytes(written.paths[0])).hexdigest()
    assert by_uid[written.source_uids[0]] == expected


def test_received_instances_keep_their_reference_and_sender(tmp_path):
    written = write_case("brain2", tmp_path)
    senders = ["MR1"] * 22 + ["MR2"]
    study = read_series(
        received(path, sender) for path, sender in zip(written.paths, senders, strict=True)
    )
    assert study.calling_ae_title == "MR2"
    assert study.study_instance_uid == written.study_instance_uid
    assert {item.sha256 for item in study.series[0].instances} == {"ab" * 32}


def test_the_sender_is_that_of_the_images_not_of_what_was_said_about_them(tmp_path):
    written = write_case("brain2", tmp_path)
    images = [received(path, "MR1") for path in written.paths]
    outline = replace(received(written.paths[0], "READER"), modality="SEG")
    assert read_series([*images, outline]).calling_ae_title == "MR1"
    assert read_series([outline]).calling_ae_title == "READER"


def test_two_series_are_kept_apart(tmp_path):
    first = write_case("brain2", tmp_path / "1")
    second = write_case(
        "brain2",
        tmp_path / "2",
        orientation="axial",
        headers={"StudyInstanceUID": first.study_instance_uid},
    )
    interleaved = [path for pair in zip(first.paths, second.paths, strict=True) for path in pair]
    study = read_series(interleaved)
    assert {s.series_instance_uid: len(s.instances) for s in study.series} == {
        first.series_instance_uid: 23,
        second.series_instance_uid: 23,
    }


def test_two_studies_in_one_call_are_a_bug(tmp_path):
    first = write_case("brain2", tmp_path / "1")
    second = write_case("brain2", tmp_path / "2", fresh=True)
    with pytest.raises(ValueError, match="2 studies"):
        read_series([first.paths[0], second.paths[0]])


def test_every_unreadable_file_is_told(tmp_path):
    written = write_case("brain2", tmp_path)
    written.paths[0].write_bytes(b"no DICOM at all")
    written.paths[1].unlink()
    with pytest.raises(InputRejected) as rejected:
        read_series(written.paths)
    codes = [problem.code for problem in rejected.value.problems]
    assert codes == ["unreadable-header", "unreadable-header"]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_missing_uid_is_told_by_its_keyword(tmp_path, keyword):
    written = write_case("brain2", tmp_path)

    def edit(dataset, _k):
        delattr(dataset, keyword)

    edit_files(written.paths[:1], edit)
    with pytest.raises(InputRejected) as rejected:
        read_series(written.paths)
    (problem,) = rejected.value.problems
    assert (problem.code, problem.tag) == ("missing-uid", keyword)


def test_empty_study_is_refused():
    with pytest.raises(InputRejected, match="empty-study"):
        read_series([])


def test_folder_tells_what_is_no_dicom_and_reads_the_rest(tmp_path):
    write_case("brain2", tmp_path / "deep" / "er")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "DICOMDIR").write_bytes(b"")
    contents = scan_folder(tmp_path)
    assert [len(study.series[0].instances) for study in contents.studies] == [23]
    assert [problem.code for problem in contents.problems] == ["unreadable-header"]
    assert read_folder(tmp_path) == contents.studies


def test_copy_of_a_file_counts_once_and_a_changed_copy_is_told(tmp_path):
    written = write_case("brain2", tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")

    def edit(dataset, _k):
        dataset.SeriesDescription = "CHANGED"

    edit_files([tmp_path / "b" / written.paths[3].name], edit)
    contents = scan_folder(tmp_path)
    assert [len(study.series[0].instances) for study in contents.studies] == [23]
    (problem,) = contents.problems
    assert (problem.code, problem.uid) == ("conflicting-instance", written.source_uids[3])


def test_missing_folder_is_no_empty_folder(tmp_path):
    with pytest.raises(NotADirectoryError):
        read_folder(tmp_path / "absent")


def test_digest_follows_content_and_not_order(tmp_path):
    written = write_case("brain2", tmp_path)
    forward = read_series(written.paths).series[0]
    backward = read_series(reversed(written.paths)).series[0]
    assert content_digest(forward) == content_digest(backward)
    fewer = read_series(written.paths[1:]).series[0]
    assert content_digest(fewer) != content_digest(forward)

    def edit(dataset, _k):
        dataset.EchoTime = "11"

    edit_files(written.paths[:1], edit)
    assert content_digest(read_series(written.paths).series[0]) != content_digest(forward)


def test_contributing_equipment_is_read_from_results(tmp_path):
    written = write_case("brain2", tmp_path)

    def edit(dataset, _k):
        item = Dataset()
        item.Manufacturer, item.ManufacturerModelName = "OncoNode project", "OncoNode"
        item.DeviceUID = "2.25.7"
        dataset.ContributingEquipmentSequence = [item]

    edit_files(written.paths, edit)
    series = only_series(tmp_path)
    told = series.attributes["ContributingEquipmentSequence"]
    assert told == "OncoNode project\\OncoNode\\2.25.7"
    assert is_own(series)


def test_positions_are_counted_once_for_several_volumes(tmp_path):
    write_case("brain2", tmp_path / "one")
    write_case("brain2", tmp_path / "two", flaws=[Flaw.SECOND_ECHO])
    one, two = only_series(tmp_path / "one"), only_series(tmp_path / "two")
    assert len(two.instances) == 2 * len(one.instances)
    assert one.places == two.places == len(one.instances)
