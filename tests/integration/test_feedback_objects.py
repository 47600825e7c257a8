"""What people send about results, by dcmtk's storescu to a real listener, is heard and measured."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from delivered_study import GRID, SHAPE, Site, delivered_study
from factories_labels import square, write_rtstruct
from factories_opinions import write_human_seg, write_human_sr, write_rejection
from factories_report import MODEL, make_series
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid
from sqlalchemy.exc import DataError

from node.assemble.headers import read_header
from node.bootstrap.hearing import Hearing
from node.bootstrap.priors.finding import FoundPrior, find_prior
from node.bootstrap.priors.places import Folders, Sought
from node.dicom.patient import read_identity
from node.domain.errors import TryLater
from node.domain.feedback import FeedbackKind, FeedbackSource, Voice
from node.domain.finding import BENIGN, MALIGNANT
from node.feedback.hear import Heard, Outcome, hear
from node.feedback.own_results import read_own_result
from node.jobs.job import DeliveryState
from node.jobs.rejected import rejected_among
from node.jobs.state import JobState
from node.storage.clock import utc_now


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with delivered_study(tmp_path) as made:
        yield made


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def moved(mask: np.ndarray, *, rows: int = 1) -> np.ndarray:
    """By voxels down the columns; nothing wraps round in the test masks."""
    return np.roll(mask, rows, axis=1)


def test_a_seg_moved_by_a_voxel_is_measured_lesion_by_lesion(site: Site) -> None:
    masks = [moved(site.labels == number) for number in (1, 2)]
    path = site.folder / "human.dcm"
    uid = write_human_seg(path, site.series, masks)
    found = site.said(path)
    assert {each.opinion.tracking_uid for each in found} == {
        site.tracking_uid(1),
        site.tracking_uid(2),
    }
    for each in found:
        number = 1 if each.opinion.tracking_uid == site.tracking_uid(1) else 2
        own, reader = site.labels == number, masks[number - 1]
        outline = each.opinion.outline
        assert outline is not None
        assert outline.dice == pytest.approx(dice(own, reader), abs=1e-9)
        voxel_ml = GRID.voxel_volume_mm3 / 1000
        assert outline.reader_ml == pytest.approx(reader.sum() * voxel_ml)
        assert outline.node_ml == pytest.approx(own.sum() * voxel_ml)
        assert outline.hd95_mm == pytest.approx(GRID.spacing_mm[1], abs=0.5)
        assert not outline.is_resampled
        opinion = each.opinion
        assert (opinion.kind, opinion.source) == (
            FeedbackKind.CORRECTED_MASK,
            FeedbackSource.SEG,
        )
        assert (opinion.author, opinion.voice) == ("Reader^Anna", Voice.PERSON)
        assert (opinion.job_id, opinion.sop_instance_uid) == (site.job.job_id, uid)
        assert opinion.result_sop_instance_uid == dcmread(site.result("seg")).SOPInstanceUID
    assert site.parts.spool.feedback_path(uid).is_file()


def test_a_seg_on_another_grid_is_carried_over_in_patient_space(site: Site) -> None:
    """The same boxes on pixels of half the size and twice as many slices: nearly the same."""
    z, y, x = (n / 2 for n in GRID.spacing_mm)
    fine = replace_spacing(GRID, (z, y, x), tuple(2 * n for n in SHAPE))
    series = make_series(site.folder / "fine", fine, headers={"SeriesInstanceUID": "1.2.3.4"})
    mask = np.kron(site.labels == 1, np.ones((2, 2, 2), bool)).astype(bool)
    path = site.folder / "human.dcm"
    write_human_seg(path, series, [mask])
    (each,) = site.said(path)
    outline = each.opinion.outline
    assert outline is not None
    assert outline.is_resampled
    assert each.opinion.tracking_uid == site.tracking_uid(1)
    assert outline.dice == pytest.approx(1.0, abs=1e-9)


def replace_spacing(grid: Any, spacing_mm: tuple[float, ...], shape: tuple[int, ...]) -> Any:
    """The same box of the patient in finer voxels: outer edges stay where they are."""
    steps = grid.direction * np.array(spacing_mm)
    corner = grid.to_lps((-0.5, -0.5, -0.5))
    return type(grid)(affine=np.column_stack([steps, corner + steps.sum(axis=1) / 2]), shape=shape)


def test_the_class_of_a_seg_flips(site: Site) -> None:
    path = site.folder / "human.dcm"
    benign = codes.SCT.Neoplasm.__class__("3898006", "SCT", "Neoplasm, benign")
    write_human_seg(path, site.series, [site.labels == 1], property_type=benign)
    found = {each.opinion.kind: each.opinion for each in site.said(path)}
    flip = found[FeedbackKind.CORRECTED_CLASS]
    assert (flip.class_before, flip.class_after, flip.is_class_flip) == (
        "Malignant",
        "Benign",
        True,
    )
    outline = found[FeedbackKind.CORRECTED_MASK].outline
    assert outline is not None
    assert outline.dice == 1.0


def test_a_report_agrees_with_one_lesion_and_corrects_the_other(site: Site) -> None:
    path = site.folder / "sr.dcm"
    write_human_sr(path, site.series, site.result("seg"), {1: BENIGN, 2: BENIGN})
    found = {each.opinion.tracking_uid: each.opinion for each in site.said(path)}
    first, second = (found[site.tracking_uid(number)] for number in (1, 2))
    assert (first.kind, first.is_class_flip) == (FeedbackKind.CORRECTED_CLASS, True)
    assert (second.kind, second.is_class_flip) == (FeedbackKind.AGREE, False)
    assert first.malignancy_probability == pytest.approx(0.8763)
    assert first.source is FeedbackSource.SR


def test_contours_of_a_structure_set_are_measured(site: Site) -> None:
    """A rectangle round rows and columns on three slices: its voxels are known by themselves."""
    mask = np.zeros(SHAPE, bool)
    mask[0:3, 12:21, 13:21] = True
    contours = [square(GRID, k, (12, 20), (13, 20)) for k in range(3)]
    path = site.folder / "rt.dcm"
    far = [square(GRID, k, (40, 45), (2, 6)) for k in (6, 7, 8)]
    write_rtstruct(path, site.series, {"GTV 1": contours, "Brain": contours, "GTV 2": far})
    found = site.said(path)
    (hit,) = (each.opinion for each in found if each.opinion.tracking_uid)
    own = site.labels == (1 if hit.tracking_uid == site.tracking_uid(1) else 2)
    assert hit.outline is not None
    assert hit.outline.dice == pytest.approx(dice(own, mask), abs=1e-9)
    assert hit.outline.dice > 0.3
    (missed,) = (each.opinion for each in found if not each.opinion.tracking_uid)
    assert missed.region == "3 GTV 2"
    assert missed.outline is not None
    assert missed.outline.dice == 0.0
    assert missed.outline.reader_ml == pytest.approx(
        3 * 6 * 5 * GRID.voxel_volume_mm3 / 1000, rel=1e-6
    )


def test_two_readers_of_one_structure_set_are_measured_each(site: Site) -> None:
    path = site.folder / "rt.dcm"
    contours = [square(GRID, k, (12, 20), (13, 20)) for k in range(3)]
    smaller = [square(GRID, k, (12, 18), (13, 18)) for k in range(3)]
    dataset = write_rtstruct(path, site.series, {"GTV 1": contours, "GTV 2": smaller})
    dataset.RTROIObservationsSequence = []
    for number, name in ((1, "Li^Anna"), (2, "Wang^Bo")):
        observation = Dataset()
        observation.ReferencedROINumber, observation.ROIInterpreter = number, name
        dataset.RTROIObservationsSequence.append(observation)
    dataset.save_as(path)
    found = {each.opinion.author: each.opinion for each in site.said(path)}
    assert {name: each.region for name, each in found.items()} == {
        "Li^Anna": "1 GTV 1", "Wang^Bo": "2 GTV 2",
    }  # fmt: skip
    sizes = [found[name].outline.reader_ml for name in ("Li^Anna", "Wang^Bo")]  # type: ignore[union-attr]
    assert sizes[1] < sizes[0]


def test_images_that_cannot_be_read_for_now_put_the_hearing_off(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.folder / "human.dcm"
    write_human_seg(path, site.series, [site.labels == 1])
    site.send(path)

    def away(_: Any) -> Any:
        raise TryLater("a share that is away")

    with monkeypatch.context() as patch:
        patch.setattr("node.bootstrap.hearing.read_header", away)
        assert site.hear() == ()
    assert site.outcomes() == set()
    assert len(site.hear()) == 1


def test_frames_of_damaged_images_are_those_of_the_result(site: Site) -> None:
    for each in site.parts.store.received_of(site.job.study_instance_uid):
        each.instance.path.write_bytes(b"damaged")
    path = site.folder / "human.dcm"
    write_human_seg(path, site.series, [site.labels == 1])
    assert len(site.said(path)) == 1


def test_the_same_object_counts_once_and_a_later_one_supersedes(site: Site) -> None:
    first, second = site.folder / "first.dcm", site.folder / "second.dcm"
    write_human_seg(first, site.series, [moved(site.labels == 1)], headers=said_on("20250101"))
    write_human_seg(second, site.series, [site.labels == 1], headers=said_on("20250102"))
    assert len(site.said(first)) == 1
    assert len(site.said(first)) == 1
    hearing = Hearing(site.parts)
    assert hearing.tick() == 0
    site.send(second)
    assert (hearing.tick(), hearing.tick()) == (1, 0)
    (current,) = site.parts.feedback.list()
    assert current.opinion.outline is not None
    assert (current.version, current.opinion.outline.dice) == (2, 1.0)
    assert len(site.parts.feedback.list(superseded=True)) == 2


def said_on(date: str) -> dict[str, str]:
    return {"ContentDate": date, "ContentTime": "120000"}


def test_own_results_that_come_back_are_no_opinion(site: Site) -> None:
    """As they were sent, and as a PACS may have changed their UIDs."""
    copies = []
    for kind in ("seg", "sr"):
        dataset = dcmread(site.result(kind))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.SeriesInstanceUID = generate_uid()
        dataset.Manufacturer = "Some PACS"
        copies.append(site.folder / f"copy-{kind}.dcm")
        dataset.save_as(copies[-1], enforce_file_format=True)
    assert site.said(site.result("seg"), site.result("sr"), *copies) == ()
    assert site.outcomes() == {"own"}


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_another_study_or_frame_of_reference_is_ignored(site: Site, keyword: str) -> None:
    path = site.folder / "human.dcm"
    write_human_seg(path, site.series, [site.labels == 1], headers={keyword: generate_uid()})
    assert site.said(path) == ()
    assert "opinion" not in site.outcomes()


def test_other_algorithms_are_heard_but_are_no_people(site: Site) -> None:
    path = site.folder / "other.dcm"
    write_human_seg(path, site.series, [site.labels == 1], algorithm="AUTOMATIC")
    (each,) = site.said(path)
    assert each.opinion.voice is Voice.ALGORITHM
    assert site.parts.feedback.list(voice=Voice.PERSON) == ()


@pytest.mark.parametrize("code", ["113001", "113037"])
def test_a_rejection_note_ends_the_sending(site: Site, code: str) -> None:
    path = site.folder / "note.dcm"
    write_rejection(path, [site.result("seg")], title=(code, "Rejected"))
    (each,) = site.said(path)
    assert each.opinion.kind is FeedbackKind.REJECTION
    assert code in each.opinion.comment
    site.parts.ledger.send_again(site.job.job_id)
    sent = site.parts.ledger.claim_deliveries("outbox")
    assert [delivery.kind for delivery in sent] == ["sr"]


def test_a_rejection_withdraws_what_waits(site: Site) -> None:
    ledger = site.parts.ledger
    ledger.send_again(site.job.job_id)
    path = site.folder / "note.dcm"
    write_rejection(path, [site.result("seg"), site.result("sr")])
    assert len(site.said(path)) == 2
    assert ledger.claim_deliveries("outbox") == []
    assert {each.state for each in site.deliveries()} == {DeliveryState.REPLACED}
    assert ledger.get(site.job.job_id).state is JobState.DELIVERED


def test_what_an_archive_keeps_no_longer_another_may_still_get(site: Site) -> None:
    ledger = site.parts.ledger
    ledger.send_again(site.job.job_id)
    path = site.folder / "note.dcm"
    write_rejection(path, [site.result("seg")], title=("113039", "Data Retention Policy Expired"))
    (each,) = site.said(path)
    assert each.opinion.voice is Voice.ALGORITHM
    assert {delivery.kind for delivery in ledger.claim_deliveries("outbox")} == {"seg", "sr"}
    seg = dcmread(site.result("seg")).SOPInstanceUID
    assert rejected_among(site.parts.engine, [seg]) == frozenset()


def test_a_note_by_a_device_ends_the_sending_but_is_no_persons(site: Site) -> None:
    site.parts.ledger.send_again(site.job.job_id)
    path = site.folder / "note.dcm"
    write_rejection(path, [site.result("seg")])
    note = dcmread(path)
    kind, device = Dataset(), Dataset()
    device.CodeValue, device.CodingSchemeDesignator, device.CodeMeaning = "121007", "DCM", "Device"
    kind.CodeValue, kind.CodingSchemeDesignator = "121005", "DCM"
    kind.CodeMeaning = "Observer Type"
    observer = Dataset()
    observer.RelationshipType, observer.ValueType = "HAS OBS CONTEXT", "CODE"
    observer.ConceptNameCodeSequence, observer.ConceptCodeSequence = [kind], [device]
    note.ContentSequence.insert(0, observer)
    note.save_as(path)
    (each,) = site.said(path)
    assert each.opinion.voice is Voice.ALGORITHM
    kinds = {delivery.kind for delivery in site.parts.ledger.claim_deliveries("outbox")}
    assert kinds == {"sr"}


def test_a_region_far_from_its_lesion_is_not_measured(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box round both would not fit into memory; here a small limit stands for that."""
    path = site.folder / "human.dcm"
    mask = site.labels == 1
    mask[-1, -1, -1] = True
    tracked = [site.tracking_uid(1), site.tracking_uid(2)]
    masks = [mask, site.labels == 2]
    write_human_seg(path, site.series, masks, tracking_uids=tracked)
    monkeypatch.setattr("node.feedback.outlines.MAXIMUM_BOX_VOXELS", mask.size // 2)
    (each,) = site.said(path)
    assert each.opinion.tracking_uid == site.tracking_uid(2)


def test_what_the_database_does_not_take_keeps_no_other_from_being_heard(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [site.folder / "first.dcm", site.folder / "second.dcm"]
    first = write_human_seg(paths[0], site.series, [site.labels == 1], author="A")
    write_human_seg(paths[1], site.series, [site.labels == 1], author="B")
    site.send(*paths)
    add = site.parts.feedback.add

    def refuse(opinion: Any) -> Any:
        if opinion.sop_instance_uid == first:
            raise DataError("INSERT", {}, ValueError("text"))
        return add(opinion)

    monkeypatch.setattr(site.parts.feedback, "add", refuse)
    (each,) = site.hear()
    assert each.opinion.author == "B"
    assert site.outcomes() >= {"unreadable"}


def test_other_notes_and_notes_on_images_reject_nothing(site: Site) -> None:
    notes = [site.folder / "interest.dcm", site.folder / "images.dcm"]
    write_rejection(notes[0], [site.result("seg")], title=("113000", "Of Interest"))
    write_rejection(notes[1], [site.series.paths[0]])
    assert site.said(*notes) == ()
    assert site.outcomes() == {"silent", "unrelated"}


def test_nothing_that_is_said_makes_new_work(site: Site) -> None:
    """Corrections come, and everything comes back once more: the queue stays empty."""
    seg, sr, note = (site.folder / f"{name}.dcm" for name in ("seg", "sr", "note"))
    write_human_seg(seg, site.series, [moved(site.labels == 1)])
    write_human_sr(sr, site.series, site.result("seg"), {1: MALIGNANT})
    write_rejection(note, [site.result("sr")])
    everything = [seg, sr, note, site.result("seg"), site.result("sr"), *site.series.paths]
    for _ in range(2):
        heard = site.said(*everything)
        site.assemble()
        assert len(heard) == 3
        assert [job.job_id for job in site.parts.ledger.list()] == [site.job.job_id]
        assert site.parts.ledger.claim("worker") is None
    assert not site.parts.store.quiet_studies(before=utc_now() + timedelta(days=1))


def test_what_cannot_be_read_is_told_and_asked_no_more(site: Site) -> None:
    path = site.folder / "human.dcm"
    write_human_seg(path, site.series, [site.labels == 1])
    dataset = dcmread(path)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    dataset.save_as(path)
    assert site.said(path) == ()
    assert site.outcomes() == {"unreadable"}


def test_opinions_stay_when_the_files_are_gone(site: Site) -> None:
    path = site.folder / "human.dcm"
    uid = write_human_seg(path, site.series, [site.labels == 1])
    site.said(path)
    shutil.rmtree(site.folder / "results")
    other = site.folder / "later.dcm"
    write_human_seg(other, site.series, [site.labels == 1], author="Reader^Bob")
    found = {each.opinion.sop_instance_uid: each.opinion for each in site.said(other)}
    assert found[uid].outline is not None
    assert found[uid].outline.dice == 1.0
    assert len(found) == 1  # nothing is left to compare the later one with
    assert site.outcomes() == {"opinion", "unreadable"}


def test_a_rejected_result_is_no_prior(site: Site) -> None:
    sought = Sought(
        identity=read_identity(site.series.paths[0]),
        study_instance_uid="1.2.3",
        modality="MR",
        study_date=date(2030, 1, 1),
        bundle=MODEL.name,
        version=MODEL.version,
        digest=MODEL.digest,
    )

    def look() -> FoundPrior:
        folder = Folders(paths=[site.folder / "results"])
        return find_prior(sought, [folder], rejected=partial(rejected_among, site.parts.engine))

    assert look().prior is not None
    path = site.folder / "note.dcm"
    write_rejection(path, [site.result("seg")])
    site.said(path)
    assert look().prior is None
    assert look().remarks == ("an earlier result was left out: it was rejected",)


def test_what_had_pointed_at_the_lesions_is_no_opinion(site: Site) -> None:
    """Unless it refers to the result, which only an answer can."""
    path, sr = site.folder / "human.dcm", site.folder / "sr.dcm"
    prompts = frozenset(
        {
            write_human_seg(path, site.series, [site.labels == 1]),
            write_human_sr(sr, site.series, site.result("seg"), {1: BENIGN}),
        }
    )
    frame = site.series.volume.frame_of_reference_uid
    result = read_own_result(site.job, site.deliveries(), [frame])
    assert result is not None
    outcomes = [
        hear(
            read_header(each).instance,
            replace(result, prompts=prompts),
            device_uids=(),
            received_at=utc_now(),
        ).outcome
        for each in (path, sr)
    ]
    assert outcomes == [Outcome.PROMPT, Outcome.OPINION]


@pytest.mark.parametrize(("fault", "heard_at_last"), [(TryLater("away"), 2), (AssertionError(), 1)])
def test_one_object_does_not_keep_the_others_from_being_heard(
    site: Site, monkeypatch: pytest.MonkeyPatch, fault: Exception, heard_at_last: int
) -> None:
    """What cannot be read now is read later; what trips the node is not tried again."""
    paths = [site.folder / "first.dcm", site.folder / "second.dcm"]
    first = write_human_seg(paths[0], site.series, [site.labels == 1], author="A")
    write_human_seg(paths[1], site.series, [site.labels == 1], author="B")
    site.send(*paths)

    def stumble(instance: Any, *rest: Any, **more: Any) -> Heard:
        if instance.sop_instance_uid == first:
            raise fault
        return hear(instance, *rest, **more)

    hearing = Hearing(site.parts)
    with monkeypatch.context() as patch:
        patch.setattr("node.bootstrap.hearing.hear", stumble)
        assert hearing.tick() == 1
    hearing.tick()
    assert len(site.parts.feedback.list()) == heard_at_last


def test_organs_and_large_regions_are_no_opinion(site: Site) -> None:
    """By name, or by their size; of a known lesion neither matters."""
    path = site.folder / "human.dcm"
    everything = np.ones(SHAPE, bool)
    write_human_seg(
        path,
        site.series,
        [everything, site.labels == 1],
        labels=["Brain", "Ventricle"],
        property_type=codes.SCT.Brain,
        categories=[codes.SCT.AnatomicalStructure] * 2,
        tracking_uids=[generate_uid(), site.tracking_uid(1)],
    )
    (each,) = site.said(path)
    assert each.opinion.region == "2 Ventricle"
    assert each.opinion.outline is not None
    assert each.opinion.outline.dice == 1.0
