"""Which results are for a person to look at first: a pure rule over findings and comparison.

A flag is raised for a lesion that is

- *likely malignant*: assessed as malignant, with at least a given probability. A lesion that the
  classifier would not judge (indeterminate) raises none: what is not known is no alarm.
- *growing*: found again in the earlier examination, with a volume that rose by at least a given
  share of what it was and by at least a given amount. The share of the defaults is what the British
  Thoracic Society takes for growth; the amount keeps the voxel error of tiny lesions out.
- a *new lesion*: not there in the earlier examination, which shows its place, and at least so long.

Growth and new lesions need images that could be registered: the comparison tells neither without.

References
----------
doi:10.1136/thoraxjnl-2015-207168 (25 % of the volume), doi:10.1016/j.ejca.2008.10.026 (new
lesions).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from node.domain.finding import MALIGNANT, Finding
from node.domain.prior import Comparison, LesionChange, LesionStatus
from node.domain.segmentation import Lesion

PRESENT = frozenset({LesionStatus.MATCHED, LesionStatus.SPLIT, LesionStatus.MERGED})
"""There before and there now, so that growth can be told."""


class Flag(StrEnum):
    """Why a result should be looked at first."""

    LIKELY_MALIGNANT = "likely malignant"
    GROWING = "growing"
    NEW_LESION = "new lesion"


@dataclass(frozen=True, kw_only=True)
class TriageRule:
    """Thresholds; see the words above.

    Parameters
    ----------
    malignant_probability : float
        0 to 1.
    growth_share : float
        Of the earlier volume; 0.25 is a quarter more.
    growth_ml : float
    new_lesion_long_axis_mm : float
    """

    malignant_probability: float = 0.5
    growth_share: float = 0.25
    growth_ml: float = 0.05
    new_lesion_long_axis_mm: float = 5.0


@dataclass(frozen=True, kw_only=True)
class RaisedFlag:
    """A flag, the lesion that raised it, and the figures in a sentence."""

    flag: Flag
    lesion_number: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Triage:
    """What was decided of one result.

    Parameters
    ----------
    raised : tuple of RaisedFlag
        By lesion; empty where nothing calls for attention.
    """

    raised: tuple[RaisedFlag, ...] = ()

    @property
    def is_flagged(self) -> bool:
        """Whether any flag was raised."""
        return bool(self.raised)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags that were raised, each once, in the order in which ``Flag`` has them."""
        raised = {each.flag for each in self.raised}
        return tuple(flag for flag in Flag if flag in raised)

    def flags_of(self, lesion_number: int) -> tuple[Flag, ...]:
        """Return the flags of one lesion."""
        return tuple(each.flag for each in self.raised if each.lesion_number == lesion_number)


def decide_triage(
    lesions: Sequence[Lesion],
    findings: Sequence[Finding],
    comparison: Comparison | None,
    rule: TriageRule,
) -> Triage:
    """Return the flags of a result.

    Parameters
    ----------
    lesions : sequence of Lesion
    findings : sequence of Finding
        Empty from a model that does not classify.
    comparison : Comparison or None
        With the latest earlier examination.
    rule : TriageRule
    """
    of_lesion = {finding.lesion_number: finding for finding in findings}
    raised: list[RaisedFlag] = []
    for lesion in lesions:
        raised += _look_at_class(of_lesion.get(lesion.number), rule)
        change = comparison.change_of(lesion.number) if comparison else None
        if change is not None and change.lesion_number == lesion.number:
            raised += _look_at_change(lesion, change, rule)
    return Triage(raised=tuple(raised))


def _look_at_class(finding: Finding | None, rule: TriageRule) -> Iterator[RaisedFlag]:
    if finding is None or finding.assessment != MALIGNANT:
        return
    probability = finding.malignancy_probability
    if probability is not None and probability >= rule.malignant_probability:
        yield RaisedFlag(
            flag=Flag.LIKELY_MALIGNANT,
            lesion_number=finding.lesion_number,
            reason=f"probability {probability:.0%}, at least {rule.malignant_probability:.0%}",
        )


def _look_at_change(lesion: Lesion, change: LesionChange, rule: TriageRule) -> Iterator[RaisedFlag]:
    number, share = lesion.number, change.volume_change
    before, after = change.volume_before_ml, change.volume_after_ml
    if change.status in PRESENT and share is not None and before is not None and after is not None:
        if share >= rule.growth_share and after - before >= rule.growth_ml:
            yield RaisedFlag(
                flag=Flag.GROWING,
                lesion_number=number,
                reason=f"{before:.2f} to {after:.2f} ml, {share:+.0%}, at least "
                f"{rule.growth_share:+.0%} and {rule.growth_ml:g} ml",
            )
    elif change.status is LesionStatus.NEW and lesion.long_axis_mm >= rule.new_lesion_long_axis_mm:
        yield RaisedFlag(
            flag=Flag.NEW_LESION,
            lesion_number=number,
            reason=f"long axis {lesion.long_axis_mm:.1f} mm, at least "
            f"{rule.new_lesion_long_axis_mm:g} mm",
        )
