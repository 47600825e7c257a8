"""Earlier examinations: read back as they were written; others left out, with the reason."""

import shutil
import time
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache

import numpy as np
import pytest
from factories_exams import (
    FIRST_DAY,
    NEXT_DAY,
    OUTLINER,
    Exam,
    finish_exam,
    headers_of,
)
from factories_messages import make_change, make_comparison
from pydicom import dcmread

from node.bootstrap.priors.finding import find_prior
from node.bootstrap.priors.looking import describe_sought, look_in_folders
from node.bootstrap.priors.peer_archive import PeerArchive
from node.bootstrap.priors.places import Folders
from node.domain.errors import TryLater
from node.domain.geometry import Geometry
from node.domain.intake import DocumentRef
from node.domain.prior import LesionStatus
from node.domain.report import EvidenceKind
from node.emulate.case import load_case
from node.emulate.follow_up import FollowUp
from node.emulate.phantom import write_follow_up
from node.query.found import Fetched, InstanceFound, SeriesFound, StudyFound


@cache
def small_head() -> FollowUp:
    """Every second pixel of a sample case: what is looked at here are headers and masks."""
    case = load_case("brain2")
    affine = case.geometry.affine * (1, 2, 2, 1)
    voxels, mask = case.voxels[:, ::2, ::2], case.mask[:, ::2, ::2]
    geometry = Geometry(affine=affine, shape=voxels.shape)
    return FollowUp(
        case=replace(case, voxels=voxels, mask=mask, geometry=geometry), matrix=np.eye(3, 4)
    )


def write_visit(folder, day, *, visit, changed=None, **told) -> Exam:
    written = write_follow_up(
        small_head(), folder / "images", visit=visit, headers=headers_of(day, **(changed or {}))
    )
    return finish_exam(written, folder, **told)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Exam:
    return write_visit(tmp_path_factory.mktemp("first"), FIRST_DAY, visit="1")


@pytest.fixture(scope="module")
def present(tmp_path_factory) -> Exam:
    return write_visit(tmp_path_factory.mktemp("present"), NEXT_DAY, visit="2")


def look(present: Exam, *paths, model=OUTLINER):
    return look_in_folders(paths, present.series, model)


def test_an_earlier_result_is_read_back_as_it_was_written(first, present):
    found = look(present, first.images, first.results)
    assert found.remarks == ()
    prior = found.prior
    assert prior.interval_days == 91
    assert prior.exam.study_date == date(2024, 1, 2)
    assert (prior.exam.bundle, prior.exam.digest) == (OUTLINER.name, OUTLINER.digest)
    assert prior.exam.report.sop_instance_uid == str(
        dcmread(first.file(EvidenceKind.SR)).SOPInstanceUID
    )
    assert prior.series.geometry.is_close(first.series.geometry)
    assert len(prior.lesions) == len(first.segmentation.lesions) >= 1
    for read, written in zip(prior.lesions, first.segmentation.lesions, strict=True):
        assert (read.tracking_uid, read.segment_number) == (written.tracking_uid, written.number)
        assert read.volume_ml == pytest.approx(written.volume_ml, abs=1e-3)
        assert read.long_axis_mm == pytest.approx(written.long_axis_mm, abs=1e-2)
        index = np.rint(first.series.geometry.to_index(read.points_lps_mm)).astype(int)
        mask = np.zeros(first.segmentation.labels.shape, bool)
        mask[tuple(index.T)] = True
        assert np.array_equal(mask, first.segmentation.mask_of(written))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"PatientID": "P2"}, "another patient"),
        ({"PatientBirthDate": "19600102"}, "not the birth date"),
        ({"PatientSex": "M"}, "not the sex"),
    ],
)
def test_another_patient_is_refused(tmp_path, present, changed, reason):
    other = write_visit(tmp_path, FIRST_DAY, visit="other", changed=changed)
    found = look(present, other.images, other.results)
    assert found.prior is None
    assert reason in found.remarks[0]
    assert "1960" not in " ".join(found.remarks)


def test_one_patient_id_of_two_issuers_is_refused(tmp_path):
    ours = write_visit(tmp_path / "a", NEXT_DAY, visit="a", changed={"IssuerOfPatientID": "A"})
    other = write_visit(tmp_path / "b", FIRST_DAY, visit="b", changed={"IssuerOfPatientID": "B"})
    found = look(ours, other.images, other.results)
    assert found.prior is None
    assert "issuer" in found.remarks[0]


def test_another_task_is_refused(first, present):
    found = look(present, first.images, first.results, model=replace(OUTLINER, name="lung"))
    assert found.prior is None
    assert "another task (brain-t1ce)" in found.remarks[0]


def test_another_version_is_compared_with_a_remark(first, present):
    newer = replace(OUTLINER, version="2.0.0", digest="6a" * 32)
    (remark,) = look(present, first.images, first.results, model=newer).prior.remarks
    assert "version 1.0.0" in remark
    assert "2.0.0" in remark


def test_only_earlier_days_count(first, present, tmp_path):
    assert look(first, present.images, present.results).prior is None
    twin = write_visit(tmp_path, NEXT_DAY, visit="twin")
    assert look(present, twin.images, twin.results).prior is None


def test_reports_of_others_are_no_prior(first, present, tmp_path):
    report = dcmread(first.file(EvidenceKind.SR))
    report.Manufacturer = report.ManufacturerModelName = "Somebody"
    del report.ContributingEquipmentSequence
    report.save_as(tmp_path / "foreign.dcm")
    found = look(present, first.images, tmp_path)
    assert found.prior is None
    assert found.remarks == ("no earlier result of this task was found in the folder",)


def test_without_images_or_segmentation_the_sizes_are_left(first, present, tmp_path):
    prior = look(present, first.results).prior
    assert prior.series is None
    assert "images were not read" in prior.remarks[0]
    shutil.copy(first.file(EvidenceKind.SR), tmp_path / "sr.dcm")
    prior = look(present, first.images, tmp_path).prior
    assert prior.series is None
    assert "segmentation is not at hand" in prior.remarks[0]
    assert prior.lesions[0].volume_ml > 0


def test_an_earlier_result_without_lesions_is_one(tmp_path, present):
    empty = write_visit(tmp_path, FIRST_DAY, visit="empty", is_empty=True)
    prior = look(present, empty.images, empty.results).prior
    assert prior.lesions == ()
    assert prior.exam.segmentation is None
    assert prior.series.series_instance_uid == empty.series.series_instance_uid


def test_a_replaced_report_is_not_used(first, present, tmp_path):
    old = dcmread(first.file(EvidenceKind.SR))
    named = DocumentRef(
        study_instance_uid=str(old.StudyInstanceUID),
        series_instance_uid=str(old.SeriesInstanceUID),
        sop_class_uid=str(old.SOPClassUID),
        sop_instance_uid=str(old.SOPInstanceUID),
    )
    again = write_visit(tmp_path, FIRST_DAY, visit="1", is_empty=True, predecessor=named)
    prior = look(present, first.results, again.images, again.results).prior
    assert prior.lesions == ()


def test_still_earlier_examinations_give_their_sizes(first, tmp_path):
    later = write_visit(tmp_path / "later", "20240601", visit="3")
    middle = write_visit(tmp_path / "middle", NEXT_DAY, visit="2")
    prior = look(later, first.results, middle.images, middle.results).prior
    assert prior.exam.study_date == date(2024, 4, 2)
    (sizes,) = prior.history
    assert sizes.study_date == date(2024, 1, 2)
    expected = {each.tracking_uid: each.long_axis_mm for each in first.segmentation.lesions}
    assert sizes.long_axes_mm == pytest.approx(expected, abs=1e-2)


def test_lesions_that_an_earlier_report_calls_gone_are_read_back(present, tmp_path):
    gone = make_change(None, LesionStatus.VANISHED, before_ml=0.4, after_ml=None)
    comparison = make_comparison(replace(gone, prior_segment_number=2))
    earlier = write_visit(tmp_path, FIRST_DAY, visit="1", comparison=comparison)
    prior = look(present, earlier.images, earlier.results).prior
    assert prior.vanished == {gone.tracking_uid}
    assert gone.tracking_uid not in {each.tracking_uid for each in prior.lesions}


class Away(Folders):
    """An archive that does not answer."""

    @property
    def origin(self) -> str:
        return "PACS"

    def reports(self, sought):
        raise TryLater("PACS: no association")


def test_a_place_that_fails_is_a_remark_and_others_are_asked(first, present):
    sought = describe_sought(present.series, OUTLINER)
    there = Folders(paths=[first.images, first.results])
    found = find_prior(sought, [Away(paths=[]), there])
    assert found.prior is not None
    assert found.remarks == (
        "PACS was not searched for earlier examinations: PACS: no association",
    )


def test_a_study_without_patient_or_date_is_not_compared(first, tmp_path):
    for changed, reason in (({"PatientID": ""}, "no Patient ID"), ({}, "no study date")):
        nobody = write_visit(tmp_path / reason, NEXT_DAY if changed else "", visit=reason,
                             changed=changed)  # fmt: skip
        found = look(nobody, first.images, first.results)
        assert found.prior is None
        assert reason in found.remarks[0]


@dataclass
class Shelf:
    """An archive in memory: studies, and the files of their series."""

    exams: dict[str, Exam]
    asked: list = field(default_factory=list)

    def find_studies(self, keys):
        self.asked.append(keys)
        return tuple(
            StudyFound(
                study_instance_uid=exam.series.study_instance_uid,
                study_date=day,
                modalities=("MR", "SR"),
            )
            for day, exam in self.exams.items()
        )

    def find_series(self, study_instance_uid):
        exam = self._exam(study_instance_uid)
        if not exam.evidence:
            return (SeriesFound(study_instance_uid=study_instance_uid, series_instance_uid="1"),)
        report = dcmread(exam.file(EvidenceKind.SR))
        told = {"study_instance_uid": study_instance_uid, "modality": "SR"}
        return (
            SeriesFound(**told, series_instance_uid="1.2.3", series_number=1),
            SeriesFound(
                **told,
                series_instance_uid=str(report.SeriesInstanceUID),
                series_number=int(report.SeriesNumber),
            ),
        )

    def find_instances(self, study_instance_uid, series_instance_uid):
        return (InstanceFound(series_instance_uid=series_instance_uid, sop_instance_uid="1"),)

    def get(self, wanted, folder):
        return Fetched(completed=0)

    def fetch(self, wanted):
        exam = self._exam(wanted.study_instance_uid)
        self.asked.append(wanted)
        paths = [*(each.path for each in exam.evidence if each.sop_class_uid),
                 *(each.path for each in exam.series.instances)]  # fmt: skip
        return [
            path for path in paths if dcmread(path, stop_before_pixels=True).SeriesInstanceUID
            == wanted.series_instance_uid
        ]  # fmt: skip

    def _exam(self, study_instance_uid):
        return next(
            each for each in self.exams.values()
            if each.series.study_instance_uid == study_instance_uid
        )  # fmt: skip


def archive_with(exams, *, until_s=None) -> PeerArchive:
    shelf = Shelf(exams)
    return PeerArchive(
        name="PACS",
        archive=shelf,
        fetch=shelf.fetch,
        sr_series_number=9102,
        maximum_studies=10,
        until_s=time.monotonic() + 60 if until_s is None else until_s,
    )


def test_an_archive_is_asked_for_the_patient_and_gives_report_seg_and_images(first, present):
    place = archive_with({FIRST_DAY: first, NEXT_DAY: present})
    found = find_prior(describe_sought(present.series, OUTLINER), [place])
    keys, *fetched = place.archive.asked
    assert (keys.patient_id, keys.study_date) == ("P1", f"19000101-{NEXT_DAY}")
    assert len(fetched) == 3  # no report with another series number, and nothing of today
    assert found.prior.exam.origin == "PACS"
    assert found.prior.series.geometry.is_close(first.series.geometry)


def test_earlier_studies_without_a_result_are_named(first, present):
    place = archive_with({FIRST_DAY: replace(first, evidence=())})
    found = find_prior(describe_sought(present.series, OUTLINER), [place])
    assert found.prior is None
    (remark,) = found.remarks
    assert f"earlier MR studies without a result of this node ({FIRST_DAY})" in remark


def test_an_archive_that_takes_too_long_is_left(first, present):
    place = archive_with({FIRST_DAY: first}, until_s=time.monotonic() - 1)
    found = find_prior(describe_sought(present.series, OUTLINER), [place])
    assert found.prior is None
    assert "took longer than priors.timeout_s" in found.remarks[0]
