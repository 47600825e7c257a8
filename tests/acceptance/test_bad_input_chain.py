"""Studies that cannot become a volume go through the whole node: refused, and the archive told why.

Bytes that are no DICOM at all end at the listener, see ``integration/test_receive_faults``.
"""

from itertools import chain, zip_longest
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage
from running_node import RunningNode
from small_study import write_small_study

from node.emulate.archive import Archive, Receipt
from node.emulate.phantom import Flaw, write_case
from node.jobs.job import Job
from node.jobs.state import JobState

pytestmark = pytest.mark.slow

CODES = {
    Flaw.MISSING_POSITION: "missing-position",
    Flaw.MISSING_ORIENTATION: "missing-orientation",
    Flaw.DUPLICATE_POSITIONS: "duplicate-position",
    Flaw.DROP_SLICE: "missing-slices",
    Flaw.SINGLE_SLICE: "single-slice",
    Flaw.RGB: "not-grey",
    Flaw.PALETTE: "not-grey",
    Flaw.ZERO_ROWS: "empty-matrix",
    Flaw.MIXED_ORIENTATION: "mixed-orientation",
    Flaw.MIXED_MATRIX: "mixed-matrix",
    Flaw.LOCALIZER: "localizer",
}


def receipts_of(archive: Archive, study_instance_uid: str) -> list[Receipt]:
    return [
        receipt
        for receipt in archive.kept
        if receipt.path and dcmread(receipt.path).StudyInstanceUID == study_instance_uid
    ]


def check_refused(node: RunningNode, archive: Archive, job: Job, codes: set[str]) -> None:
    """One report that says "not evaluated" is sent, unless no rule wants such images at all."""
    uid = job.study_instance_uid
    assert job.state is JobState.REJECTED
    assert {problem.code for problem in job.problems} == codes
    assert all(problem.found and problem.expected and problem.remedy for problem in job.problems)
    if codes == {"localizer"}:
        assert node.parts.ledger.deliveries(job.job_id) == []
        assert receipts_of(archive, uid) == []
        return
    node.wait_for(lambda: receipts_of(archive, uid), f"the report on {uid}", 60)
    (receipt,) = receipts_of(archive, uid)
    assert receipt.sop_class_uid == Comprehensive3DSRStorage
    assert receipt.path is not None
    assert "Not Evaluated" in str(dcmread(receipt.path))


@pytest.mark.parametrize("flaw", CODES)
def test_a_study_that_is_no_volume_is_refused_with_its_reason(
    node: RunningNode, archive: Archive, tmp_path: Path, flaw: Flaw
) -> None:
    before = node.pids()
    study = write_case("brain1", tmp_path / "study", flaws=[flaw], fresh=True)
    node.send(study.paths)
    check_refused(node, archive, node.wait_for_end(study.study_instance_uid), {CODES[flaw]})
    assert node.pids() == before  # no process fell over it


def test_all_faults_of_a_study_are_told_at_once(
    node: RunningNode, archive: Archive, tmp_path: Path
) -> None:
    flaws = [Flaw.DROP_SLICE, Flaw.RGB, Flaw.MIXED_ORIENTATION]
    study = write_case("brain1", tmp_path / "study", flaws=flaws, fresh=True)
    node.send(study.paths)
    job = node.wait_for_end(study.study_instance_uid)
    check_refused(node, archive, job, {CODES[flaw] for flaw in flaws})


def test_of_two_interleaved_series_the_fuller_one_is_processed(
    node: RunningNode, archive: Archive, tmp_path: Path
) -> None:
    """The other one has no positions: had a slice of it slipped in, the study were refused."""
    before = node.pids()
    wanted = write_small_study(tmp_path / "wanted")
    other = write_case(
        "brain2",
        tmp_path / "other",
        flaws=[Flaw.MISSING_POSITION],
        headers={"StudyInstanceUID": wanted.study_instance_uid, "SeriesNumber": 2},
        fresh=True,
    )
    fewer = other.paths[: len(wanted.paths) - 1]
    interleaved = [p for p in chain(*zip_longest(wanted.paths, fewer)) if p is not None]
    node.send(interleaved)
    job = node.wait_for_end(wanted.study_instance_uid)
    assert (job.state, job.error) == (JobState.DELIVERED, "")
    assert job.series_instance_uids == (wanted.series_instance_uid,)
    assert node.pids() == before
    seg = next(
        dcmread(receipt.path)
        for receipt in receipts_of(archive, wanted.study_instance_uid)
        if receipt.sop_class_uid == SegmentationStorage
    )
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == wanted.series_instance_uid
    sources = {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence}
    assert sources == set(wanted.source_uids)


@pytest.mark.parametrize("charset", ["GB18030", "ISO_IR 192"])
def test_chinese_names_come_back_unchanged_and_stay_out_of_the_log(
    node: RunningNode, archive: Archive, tmp_path: Path, charset: str
) -> None:
    name, patient_id = "Wang^XiaoDong=王^小东", "SECRET-PATIENT-4711"
    headers = {"SpecificCharacterSet": charset, "PatientName": name, "PatientID": patient_id}
    study = write_small_study(tmp_path / "study", headers=headers)
    node.send(study.paths)
    job = node.wait_for_end(study.study_instance_uid)
    assert (job.state, job.error) == (JobState.DELIVERED, "")
    receipts = receipts_of(archive, study.study_instance_uid)
    assert len(receipts) == 2
    for receipt in receipts:
        result = dcmread(receipt.path)
        assert (result.SpecificCharacterSet, str(result.PatientName)) == (charset, name)
        assert result.PatientID == patient_id
    log = node.log_file.read_text()
    assert study.study_instance_uid in log
    for secret in ("小东", "XiaoDong", patient_id):
        assert secret not in log
