"""Whom an object is about, as far as its header says."""

from factories_receive import make_ct, write_file
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.dicom.patient import StudyIdentity, read_identity


def test_names_in_other_scripts_are_read(tmp_path):
    made = make_ct(
        SpecificCharacterSet=["ISO_IR 192"],
        PatientName="Wang^XiaoDong=王^小东",
        PatientBirthDate="19600229",
        PatientSex="M",
        AccessionNumber=" A1 ",
        StudyDate="20261122",
        StudyDescription="头颅增强",
    )
    assert read_identity(write_file(tmp_path / "a.dcm", made)) == StudyIdentity(
        patient_id="TEST",
        patient_name="Wang^XiaoDong=王^小东",
        birth_date="19600229",
        sex="M",
        accession_number="A1",
        study_date="20261122",
        description="头颅增强",
    )


def test_what_cannot_be_read_is_nobody(tmp_path):
    (tmp_path / "noise.dcm").write_bytes(b"noise")
    deflated = write_file(tmp_path / "d.dcm", make_ct(), DeflatedExplicitVRLittleEndian)
    for path in (tmp_path / "noise.dcm", tmp_path / "none.dcm", deflated):
        assert read_identity(path) == StudyIdentity()
