"""Follow-ups over several visits, each read back from the reports of those before."""

from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
from factories_exams import OUTLINER, Exam, finish_exam, headers_of
from factories_priors import balls
from judges_dicom import dciodvfy_errors, pixelmed_sr_errors

from node.bootstrap.priors.looking import look_in_folders
from node.domain.geometry import Geometry
from node.domain.prior import LesionStatus, Response
from node.domain.report import EvidenceKind
from node.emulate.case import SampleCase, load_case
from node.emulate.follow_up import FollowUp
from node.emulate.phantom import write_follow_up
from node.language import words_of

A, A_LEFT, A_RIGHT = (0, 0, -10, 12), (-7, 0, -10, 6), (7, 0, -10, 6)
B, B_BETWEEN, FAR = (26, 0, -10, 10), (15, 0, -10, 9), (0, 45, 20, 10)
HIGH, HIGH_SHRUNK = (0, 0, 50, 12), (0, 0, 50, 11)
SMALL = (0, 0, 50, 8)
LOW_SLICES = 13  # up to z = 15 mm: what lies high is not within the images


@cache
def head() -> SampleCase:
    """The inner part of a real head, every third pixel."""
    case = load_case("brain2")
    voxels = case.voxels[:, 48:-48:3, 48:-48:3]
    affine = case.geometry.affine * (1, 3, 3, 1)
    affine[:3, 3] = case.geometry.to_lps((0, 48, 48))
    geometry = Geometry(affine=affine, shape=voxels.shape)
    return replace(case, voxels=voxels, mask=np.zeros(voxels.shape, bool), geometry=geometry)


def write_visit(folder, number: int, places, *earlier: Exam, slices: int | None = None) -> Exam:
    """The patient comes in the month of that number, with balls for lesions."""
    case = head()
    mask = balls(case.geometry, places)[:slices]
    case = replace(
        case,
        voxels=case.voxels[:slices],
        mask=mask,
        geometry=Geometry(affine=case.geometry.affine, shape=mask.shape),
    )
    written = write_follow_up(
        FollowUp(case=case, matrix=np.eye(3, 4)),
        folder / f"{number}" / "images",
        visit=str(number),
        headers=headers_of(f"2024{number:02}01"),
    )
    return finish_exam(written, folder / f"{number}", earlier=earlier)


@pytest.fixture
def visit(tmp_path):
    return partial(write_visit, tmp_path)


def told(exam: Exam) -> dict[str, LesionStatus]:
    return {change.tracking_id: change.status for change in exam.comparison.changes}


def category(exam: Exam) -> Response:
    return exam.comparison.recist.category


def judge(exam: Exam) -> None:
    assert dciodvfy_errors(exam.file(EvidenceKind.SR)) == []


def judge_twice(exam: Exam) -> None:
    """Where items of a kind stand for the first time: the second judge takes its time."""
    judge(exam)
    assert pixelmed_sr_errors(exam.file(EvidenceKind.SR)) == []


def test_parts_of_a_split_target_stay_in_its_sum(visit):
    """The second part has a Tracking UID of its own; without it half the sum would be gone."""
    first = visit(1, [A])
    second = visit(2, [A_LEFT, A_RIGHT], first)
    third = visit(3, [A_LEFT, A_RIGHT], first, second)
    assert told(second) == {"Lesion 1": LesionStatus.SPLIT}
    assert told(third) == dict.fromkeys(("Lesion 1", "Lesion 2"), LesionStatus.MATCHED)
    assert third.comparison.recist.sum_mm == pytest.approx(second.comparison.recist.sum_mm)
    assert category(second) is category(third) is Response.STABLE
    assert all(change.is_target for change in third.comparison.changes)
    judge_twice(second)
    # the report of the visit before alone carries on what the parts come from
    prior = look_in_folders([third.images, third.results], visit(4, [A]).series, OUTLINER).prior
    assert {each.predecessors for each in prior.lesions} == {
        frozenset(),
        frozenset({first.segmentation.lesions[0].tracking_uid}),
    }


def test_a_part_of_a_split_target_outside_the_images_is_no_response(visit):
    low, high = (0, 0, 2, 9), (0, 0, 48, 9)
    first = visit(1, [low, (0, 0, 16, 12), (0, 0, 32, 12), high])
    assert len(first.segmentation.lesions) == 1
    second = visit(2, [low, high], first)
    third = visit(3, [low], first, second, slices=LOW_SLICES)
    fourth = visit(4, [low], first, second, third)
    assert list(told(second).values()) == [LesionStatus.SPLIT]
    assert category(third) is Response.NOT_EVALUABLE
    assert "not within the images" in third.comparison.recist.rule
    # now its place is seen, and it is gone; the sum of the visit between is not known
    recist = fourth.comparison.recist
    assert category(fourth) is Response.STABLE
    assert recist.nadir_sum_mm == recist.baseline_sum_mm > recist.sum_mm


def test_merged_targets_are_followed_under_one_name(visit):
    first = visit(1, [A, B])
    second = visit(2, [A, B, B_BETWEEN], first)
    third = visit(3, [A, B, B_BETWEEN], first, second)
    assert list(told(second).values()) == [LesionStatus.MERGED]
    assert list(told(third).values()) == [LesionStatus.MATCHED]
    assert third.comparison.recist.sum_mm == second.comparison.recist.sum_mm > 40
    assert category(third) is category(second) is Response.STABLE
    judge(second)


@pytest.mark.parametrize("known", [(1, 2), (2,)])
def test_a_lesion_seen_again_after_other_images_is_not_new(visit, known):
    """The report of the visit between alone tells where it must be."""
    first = visit(1, [A, HIGH])
    second = visit(2, [A], first, slices=LOW_SLICES)
    at_hand = [exam for number, exam in ((1, first), (2, second)) if number in known]
    third = visit(3, [A, HIGH_SHRUNK], *at_hand)
    high = next(each for each in first.segmentation.lesions if each.centroid_lps_mm[2] > 30)
    change = next(
        each for each in third.comparison.changes if each.tracking_uid == high.tracking_uid
    )
    assert (change.status, change.tracking_id) == (LesionStatus.MATCHED, high.tracking_id)
    assert (change.volume_before_ml, change.volume_change) == (None, None)
    assert category(second) is Response.NOT_EVALUABLE
    assert category(third) is Response.STABLE
    (remark,) = [each for each in third.comparison.remarks if "seen again" in each]
    assert words_of("zh").retell(remark).startswith("再次见到")
    judge(second)
    judge(third)


def test_a_lesion_is_carried_through_several_visits_that_do_not_show_it(visit):
    first = visit(1, [A, HIGH])
    second = visit(2, [A], first, slices=LOW_SLICES)
    third = visit(3, [A], second, slices=LOW_SLICES)
    fourth = visit(4, [A, HIGH], third)
    assert set(told(third).values()) == {LesionStatus.MATCHED, LesionStatus.NOT_COVERED}
    assert told(fourth) == dict.fromkeys(told(third), LesionStatus.MATCHED)
    judge_twice(third)


def test_one_that_is_gone_when_its_place_is_seen_again_has_vanished(visit):
    first = visit(1, [A, HIGH])
    second = visit(2, [A], first, slices=LOW_SLICES)
    third = visit(3, [A], first, second)
    assert set(told(third).values()) == {LesionStatus.MATCHED, LesionStatus.VANISHED}
    assert category(third) is Response.PARTIAL
    judge(third)
    fourth = visit(4, [A], first, second, third)
    assert category(fourth) is Response.PARTIAL


def test_images_without_any_lesion_do_not_make_a_known_one_new(visit):
    first = visit(1, [HIGH])
    second = visit(2, [], first, slices=LOW_SLICES)
    third = visit(3, [HIGH], first, second)
    assert list(told(third).values()) == [LesionStatus.MATCHED]
    assert category(third) is Response.STABLE
    judge(second)


def test_what_has_vanished_stays_a_complete_response(visit):
    first = visit(1, [A])
    second = visit(2, [], first)
    third = visit(3, [], first, second)
    assert category(second) is category(third) is Response.COMPLETE


def test_a_new_lesion_has_a_name_that_none_of_any_earlier_visit_had(visit):
    first = visit(1, [A, SMALL])
    second = visit(2, [A], first)
    third = visit(3, [A, FAR], first, second)
    assert told(second)["Lesion 2"] is LesionStatus.VANISHED
    assert told(third)["Lesion 3"] is LesionStatus.NEW
    assert category(third) is Response.PROGRESSIVE
