"""What people say of a result: agreement, corrections, rejections.

Nothing is learnt from it by itself: it is kept for figures, and as material that a person may
choose to train with.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from node.domain.code import Code


class FeedbackKind(StrEnum):
    """What is said."""

    AGREE = "agree"
    DISAGREE = "disagree"
    CORRECTED_CLASS = "corrected-class"
    CORRECTED_MASK = "corrected-mask"
    REJECTION = "rejection"


UNDECIDED = frozenset({"", "Indeterminate", "Not assessed"})
"""Words of ``result.json`` that name no class."""


RETENTION_EXPIRED = Code(value="113039", scheme="DCM", meaning="Data Retention Policy Expired")
"""Why an archive gives an object up that is as good as it was (PS3.16 CID 7011): another
archive may still get it, and it may still be a prior."""


class FeedbackAspect(StrEnum):
    """What of a result an opinion is about: a corrected outline does not take a class back."""

    ASSESSMENT = "assessment"
    OUTLINE = "outline"
    RESULT = "result"


ASPECTS = {
    FeedbackKind.AGREE: FeedbackAspect.ASSESSMENT,
    FeedbackKind.DISAGREE: FeedbackAspect.ASSESSMENT,
    FeedbackKind.CORRECTED_CLASS: FeedbackAspect.ASSESSMENT,
    FeedbackKind.CORRECTED_MASK: FeedbackAspect.OUTLINE,
    FeedbackKind.REJECTION: FeedbackAspect.RESULT,
}
"""Kind -> what it is about."""


class FeedbackSource(StrEnum):
    """Where it came from: the web page, or a kind of DICOM object."""

    WEB = "web"
    SEG = "SEG"
    RTSTRUCT = "RTSTRUCT"
    SR = "SR"
    KOS = "KOS"


class Voice(StrEnum):
    """Who speaks. Other algorithms are heard, but count in no agreement with people."""

    PERSON = "person"
    ALGORITHM = "algorithm"


@dataclass(frozen=True, kw_only=True)
class OutlineAgreement:
    """A person's outline of a lesion against that of the node.

    Parameters
    ----------
    dice : float
    surface_dice : float
        Share of both surfaces that lies within ``tolerance_mm`` of the other.
    tolerance_mm : float
    hd95_mm : float or None
        None where one of the outlines is empty.
    node_ml, reader_ml : float
        Volumes.
    is_resampled : bool
        The person's outline was on another grid than the node's.
    """

    dice: float
    surface_dice: float
    tolerance_mm: float
    hd95_mm: float | None
    node_ml: float
    reader_ml: float
    is_resampled: bool = False


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What somebody says of one lesion, or of a whole result.

    Parameters
    ----------
    kind : FeedbackKind
    source : FeedbackSource
    study_instance_uid, job_id, bundle : str
        The result that it speaks of; ``bundle`` as the job names it.
    bundle_digest : str
        Of the model that made the result.
    author : str
        Name of the web user, or whom the object names; may be empty.
    at : datetime
        When it was said; aware.
    voice : Voice
    tracking_uid : str or None
        Of the node's lesion; None for the whole result, and for a lesion that the node missed.
    region : str
        What a DICOM object calls the region (``1 Lesion 1``: number and name); empty otherwise.
    comment : str
    class_before, class_after : str
        In the words of ``result.json`` (``assessment``, or ``predicted_type``); empty where
        nothing is said of a class. A rejection has its code's meaning in ``comment``.
    malignancy_probability : float or None
        What the node had said.
    outline : OutlineAgreement or None
    result_sop_instance_uid : str
        Of the node's object that it was compared with, or that is rejected.
    sop_class_uid, sop_instance_uid : str
        Of the person's object; empty for the web page.
    """

    kind: FeedbackKind
    source: FeedbackSource
    study_instance_uid: str
    job_id: str
    bundle: str
    author: str
    at: datetime
    bundle_digest: str = ""
    voice: Voice = Voice.PERSON
    tracking_uid: str | None = None
    region: str = ""
    comment: str = ""
    class_before: str = ""
    class_after: str = ""
    malignancy_probability: float | None = None
    outline: OutlineAgreement | None = None
    result_sop_instance_uid: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""

    @property
    def aspect(self) -> FeedbackAspect:
        """What it is about."""
        return ASPECTS[self.kind]

    @property
    def is_class_flip(self) -> bool:
        """Whether both name a class, and not the same: an indeterminate lesion has none."""
        named = {self.class_before, self.class_after}
        return len(named) == 2 and named.isdisjoint(UNDECIDED)


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """An opinion as it is kept.

    Parameters
    ----------
    feedback_id : int
        Rises with time.
    opinion : Opinion
    version : int
        From 1: of the opinions of one author on one aspect of one lesion, in order of arrival.
    recorded_at : datetime
    is_current : bool
        False where the same author has said something later of the same.
    """

    feedback_id: int
    opinion: Opinion
    version: int
    recorded_at: datetime
    is_current: bool
