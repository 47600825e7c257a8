"""Figures of what people said of results, by bundle and month.

Only the latest word of each author on each lesion counts, and only of people. Those who answer
are no random sample, see ``node.evaluation.reader_agreement``.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from node.domain.feedback import Feedback, FeedbackAspect, FeedbackKind, OutlineAgreement, Voice
from node.domain.finding import BENIGN, MALIGNANT
from node.evaluation.reader_agreement import Reading


@dataclass(frozen=True, kw_only=True)
class FeedbackMonth:
    """What was said of the results of one bundle in a calendar month (UTC).

    Parameters
    ----------
    bundle, month : str
    agreed, disagreed : int
        Opinions on assessments; a corrected class disagrees where it is another than the node's.
    flips : int
        Of those that disagree: they name another class.
    outlines : int
        Lesions that the node found and a person outlined.
    median_dice, median_hd95_mm : float or None
        Of those outlines; None without any.
    missed : int
        Lesions that a person outlined and the node had not found.
    rejected : int
        Results that were rejected, each once.
    """

    bundle: str
    month: str
    agreed: int = 0
    disagreed: int = 0
    flips: int = 0
    outlines: int = 0
    median_dice: float | None = None
    median_hd95_mm: float | None = None
    missed: int = 0
    rejected: int = 0


def readings_of(feedback: Iterable[Feedback]) -> tuple[Reading, ...]:
    """Return the opinions on assessments as readings, the earliest first."""
    found = [
        Reading(
            at=opinion.at,
            study=opinion.study_instance_uid,
            agrees=_agrees(item),
            model_class=opinion.class_before,
            reader_class=_reader_class(item),
            malignancy_probability=opinion.malignancy_probability,
            reader_malignant=_is_malignant(_reader_class(item)),
        )
        for item in feedback
        if _counts(item)
        for opinion in (item.opinion,)
        if opinion.aspect is FeedbackAspect.ASSESSMENT
    ]
    return tuple(sorted(found, key=lambda reading: reading.at))


def count_months(feedback: Iterable[Feedback]) -> tuple[FeedbackMonth, ...]:
    """Count what was said by bundle and month, the earliest first within a bundle."""
    grouped: dict[tuple[str, str], list[Feedback]] = defaultdict(list)
    for item in feedback:
        if _counts(item):
            grouped[item.opinion.bundle, f"{item.opinion.at:%Y-%m}"].append(item)
    return tuple(_count(bundle, month, items) for (bundle, month), items in sorted(grouped.items()))


def _count(bundle: str, month: str, items: list[Feedback]) -> FeedbackMonth:
    assessed = [item for item in items if item.opinion.aspect is FeedbackAspect.ASSESSMENT]
    agreed = sum(_agrees(item) for item in assessed)
    outlines = [
        (item.opinion.tracking_uid, item.opinion.outline)
        for item in items
        if item.opinion.outline is not None
    ]
    figures = [outline for tracking_uid, outline in outlines if tracking_uid]
    rejected = {
        item.opinion.job_id for item in items if item.opinion.kind is FeedbackKind.REJECTION
    }
    return FeedbackMonth(
        bundle=bundle,
        month=month,
        agreed=agreed,
        disagreed=len(assessed) - agreed,
        flips=sum(item.opinion.is_class_flip for item in assessed),
        outlines=len(figures),
        median_dice=median(each.dice for each in figures) if figures else None,
        median_hd95_mm=_median_hd95(figures),
        missed=len(outlines) - len(figures),
        rejected=len(rejected),
    )


def _median_hd95(outlines: list[OutlineAgreement]) -> float | None:
    known = [each.hd95_mm for each in outlines if each.hd95_mm is not None]
    return median(known) if known else None


def _counts(item: Feedback) -> bool:
    return item.is_current and item.opinion.voice is Voice.PERSON


def _agrees(item: Feedback) -> bool:
    kind = item.opinion.kind
    if kind is FeedbackKind.CORRECTED_CLASS:
        return item.opinion.class_after == item.opinion.class_before
    return kind is FeedbackKind.AGREE


def _reader_class(item: Feedback) -> str:
    """Who agrees names the node's class; who only disagrees names none."""
    opinion = item.opinion
    return opinion.class_after or (opinion.class_before if _agrees(item) else "")


def _is_malignant(name: str) -> bool | None:
    known = {MALIGNANT.meaning.casefold(): True, BENIGN.meaning.casefold(): False}
    return known.get(name.casefold())
