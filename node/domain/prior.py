"""A comparison with an earlier examination of the same patient by the same kind of model.

Two connected lesions need not be one and the same, and one lesion may fall apart or several may
grow together: a ``LesionChange`` therefore speaks of a group, which for most lesions is one before
and one now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Vector, read_only
from node.domain.intake import DocumentRef
from node.domain.study import Series


class LesionStatus(StrEnum):
    """What became of a lesion between two examinations."""

    MATCHED = "matched"
    NEW = "new"
    VANISHED = "vanished"
    SPLIT = "split"  # one before, several now
    MERGED = "merged"  # several before, one now
    NOT_COVERED = "not covered"  # was there before; the present images do not show its place
    UNMATCHED = "unmatched"  # not told: not registered, or perhaps one of a still earlier result


class Response(StrEnum):
    """Categories of RECIST 1.1 (doi:10.1016/j.ejca.2008.10.026)."""

    COMPLETE = "CR"
    PARTIAL = "PR"
    STABLE = "SD"
    PROGRESSIVE = "PD"
    NON_CR_NON_PD = "non-CR/non-PD"  # lesions, but none that is large enough for a target
    NOT_EVALUABLE = "NE"


@dataclass(frozen=True, kw_only=True)
class PriorExam:
    """An earlier examination whose result of this node was read back.

    Parameters
    ----------
    study_instance_uid : str
    series_instance_uid : str
        Of the images that the lesions were outlined on.
    study_date : date or None
        None where the headers have none.
    report : DocumentRef
        The SR.
    segmentation : DocumentRef or None
        The SEG; None where nothing was found.
    bundle, version, digest : str
        Of the model that spoke; the digest is cut to what the SR holds of it.
    origin : str
        Where it was found, in words for a person: a peer's name, ``this node`` or ``a folder``.
    """

    study_instance_uid: str
    series_instance_uid: str
    study_date: date | None
    report: DocumentRef
    segmentation: DocumentRef | None
    bundle: str
    version: str
    digest: str
    origin: str


@dataclass(frozen=True, kw_only=True, eq=False)
class PriorLesion:
    """A lesion of an earlier result.

    Parameters
    ----------
    tracking_id, tracking_uid : str
        As SEG and SR have them.
    volume_ml, long_axis_mm : float
        As the SR has them.
    points_lps_mm : ndarray of float64, shape (n, 3), read-only
        Middles of its voxels, in the frame of reference of the earlier examination.
    segment_number : int or None
        In the SEG of the earlier examination.
    predecessors : frozenset of str
        Tracking UIDs of still earlier lesions that it is a part of, or that have grown into it.
    segmentation : DocumentRef or None
        The SEG that shows it, where that is not the one of the latest earlier result.
    series_instance_uid : str
        Of the images of that SEG; empty where ``segmentation`` is None.
    """

    tracking_id: str
    tracking_uid: str
    volume_ml: float
    long_axis_mm: float
    points_lps_mm: NDArray[np.float64]
    segment_number: int | None = None
    predecessors: frozenset[str] = frozenset()
    segmentation: DocumentRef | None = None
    series_instance_uid: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points_lps_mm", read_only(self.points_lps_mm))


@dataclass(frozen=True, kw_only=True)
class EarlierSizes:
    """Long axes in one of the earlier examinations.

    Parameters
    ----------
    study_date : date or None
    long_axes_mm : mapping of str to float
        Tracking UID -> mm, of every lesion that it found.
    vanished : frozenset of str
        Tracking UIDs that it says are no more; others may only have been outside its images.
    unseen : frozenset of str
        Tracking UIDs that it says lie outside its images.
    predecessors : mapping of str to frozenset of str
        Tracking UID -> those of earlier lesions that it is a part of, or that have grown into it.
    """

    study_date: date | None
    long_axes_mm: Mapping[str, float]
    vanished: frozenset[str] = frozenset()
    unseen: frozenset[str] = frozenset()
    predecessors: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def stems_of(self, tracking_uid: str) -> frozenset[str]:
        """Return a lesion and those that it comes from, by their Tracking UIDs."""
        return self.predecessors.get(tracking_uid, frozenset()) | {tracking_uid}


@dataclass(frozen=True, kw_only=True, eq=False)
class PriorResult:
    """An earlier result, read back: what the present one is compared with.

    Parameters
    ----------
    exam : PriorExam
    interval_days : int or None
        From that examination to the present one; None where a date is missing.
    lesions : tuple of PriorLesion
    series : Series or None
        Its images, checked; None where they are not at hand: nothing can be registered then.
    history : tuple of EarlierSizes
        Of still earlier results, oldest first.
    vanished : frozenset of str
        Tracking UIDs that this result says are no more.
    unseen : tuple of PriorLesion
        Of still earlier results, outside the images of this one: with sizes as they were last seen,
        and the middle, carried along, for their only point.
    tracking_ids : frozenset of str
        Every Tracking ID that an earlier result at hand has given.
    remarks : tuple of str
        What happened while it was looked for, in sentences.
    """

    exam: PriorExam
    interval_days: int | None
    lesions: tuple[PriorLesion, ...]
    series: Series | None = None
    history: tuple[EarlierSizes, ...] = ()
    vanished: frozenset[str] = frozenset()
    unseen: tuple[PriorLesion, ...] = ()
    tracking_ids: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How the earlier images were laid over the present ones.

    Parameters
    ----------
    is_trusted : bool
        Whether lesions were matched by it.
    reason : str
        Why, in a sentence.
    matrix : tuple of float
        3 x 4, row by row: leads from LPS mm of the present examination to those of the earlier one.
    rotation_degrees, translation_mm : float
        How far that turns, and moves the middle of the present images.
    correlation : float
        Of the intensities of both examinations where they overlap, after registration, -1 to 1.
    overlap : float
        Share of the body in the smaller of both examinations that the other one shows, 0 to 1.
    shares_frame_of_reference : bool
        Whether both examinations name one frame of reference.
    """

    is_trusted: bool
    reason: str
    matrix: tuple[float, ...]
    rotation_degrees: float
    translation_mm: float
    correlation: float
    overlap: float
    shares_frame_of_reference: bool


@dataclass(frozen=True, kw_only=True)
class LesionChange:
    """What became of one lesion.

    Parameters
    ----------
    status : LesionStatus
    tracking_id, tracking_uid : str
        What the lesion is called from now on: the earlier names where it was there before.
    lesion_number : int or None
        In the present segmentation; of a split lesion the part that keeps its name; None if it
        is no more.
    prior_tracking_uid : str or None
        In the earlier result; of merged lesions the one whose name is kept; None if it is new.
    volume_before_ml, volume_after_ml : float or None
        Over all lesions of the group; None where there was, or is, none, or where the latest
        earlier examination did not show them all. Of one that is not there now, as last seen.
    long_axis_before_mm, long_axis_after_mm : float or None
        Likewise; those of several lesions are added (RECIST 1.1, section 4.4.4).
    doubling_time_days : float or None
        Of the volume, by exponential growth; negative when it shrinks (a halving time).
    doubling_time_reason : str
        Why there is no doubling time; else empty.
    further_lesion_numbers : tuple of int
        The other parts of a split lesion.
    further_prior_tracking_uids : tuple of str
        The others of merged lesions.
    is_target : bool
        Whether its long axis counts in the sum of diameters.
    prior_segment_number : int or None
        In the SEG of the earlier result.
    prior_segmentation : DocumentRef or None
        That SEG, where it is not the one of the latest earlier result.
    prior_series_uid : str
        Of the images of ``prior_segmentation``.
    stems : frozenset of str
        Tracking UIDs of all earlier lesions that the group comes from, through all examinations.
    place_lps_mm : tuple of float or None
        Where the middle of a lesion that is not within the present images lies in their frame.
    """

    status: LesionStatus
    tracking_id: str
    tracking_uid: str
    lesion_number: int | None = None
    prior_tracking_uid: str | None = None
    volume_before_ml: float | None = None
    volume_after_ml: float | None = None
    long_axis_before_mm: float | None = None
    long_axis_after_mm: float | None = None
    doubling_time_days: float | None = None
    doubling_time_reason: str = ""
    further_lesion_numbers: tuple[int, ...] = ()
    further_prior_tracking_uids: tuple[str, ...] = ()
    is_target: bool = False
    prior_segment_number: int | None = None
    prior_segmentation: DocumentRef | None = None
    prior_series_uid: str = ""
    stems: frozenset[str] = frozenset()
    place_lps_mm: Vector | None = None

    @property
    def volume_change(self) -> float | None:
        """Relative to the volume before: 0.25 is a quarter more, -1 gone; None if it is new."""
        return relative_change(self.volume_before_ml, self.volume_after_ml)

    @property
    def long_axis_change(self) -> float | None:
        """Relative to the long axis before; None if it is new."""
        return relative_change(self.long_axis_before_mm, self.long_axis_after_mm)


def relative_change(before: float | None, after: float | None) -> float | None:
    """Return (after - before) / before; None where there was nothing before."""
    return None if not before else ((after or 0.0) - before) / before


@dataclass(frozen=True, kw_only=True)
class RecistAssessment:
    """Response by RECIST 1.1, from axial diameters that the model measured.

    Parameters
    ----------
    category : Response
    rule : str
        The rule that gave it, with its numbers, in a sentence.
    sum_mm : float or None
        Sum of the long axes of the target lesions now; None without target lesions.
    baseline_sum_mm, nadir_sum_mm : float or None
        The same in the first examination, and the smallest of all earlier ones.
    baseline_date, nadir_date : date or None
    """

    category: Response
    rule: str
    sum_mm: float | None = None
    baseline_sum_mm: float | None = None
    nadir_sum_mm: float | None = None
    baseline_date: date | None = None
    nadir_date: date | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The present examination beside an earlier one.

    Parameters
    ----------
    prior : PriorExam
    interval_days : int or None
        From the earlier to the present one; None where a date is missing.
    registration : Registration
    changes : tuple of LesionChange
        Lesions of the present segmentation by number, then those without a present one.
    total_volume_before_ml, total_volume_after_ml : float
        Over all lesions; hold also where lesions could not be matched.
    recist : RecistAssessment
    remarks : tuple of str
        How far the comparison can be relied on, in sentences.
    """

    prior: PriorExam
    interval_days: int | None
    registration: Registration
    changes: tuple[LesionChange, ...]
    total_volume_before_ml: float
    total_volume_after_ml: float
    recist: RecistAssessment
    remarks: tuple[str, ...] = field(default=())

    @property
    def total_volume_change(self) -> float | None:
        """Relative to the total before; None if there was no lesion."""
        return relative_change(self.total_volume_before_ml, self.total_volume_after_ml)

    @property
    def vanished(self) -> tuple[LesionChange, ...]:
        """Lesions of the earlier examination that are no more."""
        return tuple(each for each in self.changes if each.status is LesionStatus.VANISHED)

    @property
    def unseen(self) -> tuple[LesionChange, ...]:
        """Earlier lesions whose place the present images do not show."""
        return tuple(each for each in self.changes if each.status is LesionStatus.NOT_COVERED)

    def change_of(self, lesion_number: int) -> LesionChange | None:
        """Return what is told of a present lesion, also of a part of a split one."""
        for change in self.changes:
            if lesion_number in (change.lesion_number, *change.further_lesion_numbers):
                return change
        return None
