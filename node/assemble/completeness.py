"""Is all of a study there? Counts of its source prove it, gaps disprove it, quiet makes it likely.

::

    the source counts no more than arrived          COMPLETE
    nobody counts, no gap                           PROBABLY COMPLETE
    the source counts more, or slices have a gap    INCOMPLETE (n missing)

Only series that the case is made of are judged, for nobody misses a scout image. But where no rule
can take the study yet, or one that comes first lacks a role, the study waits for everything that
the source counts: the missing series may be the one that is wanted.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from node.domain.intake import Arrival, Completeness
from node.domain.study import Series, Study


class AskCounts(Protocol):
    """Asks the archive or the sender how much of a study there is.

    References
    ----------
    PS3.4 C.3.4: Number of Series Related Instances (0020,1209), by C-FIND or QIDO-RS.
    """

    def __call__(self, study_instance_uid: str) -> Mapping[str, int] | None:
        """Return Series Instance UID -> number of its images, or None if nobody can tell.

        It may take as long as one query; it is not called again for the same study at once.
        """
        ...


class FetchMissing(Protocol):
    """Asks a source to send images that are missing, by C-MOVE or WADO-RS."""

    def __call__(self, study_instance_uid: str, missing: Mapping[str, int]) -> bool:
        """Have series sent again; those that are there are ignored when they come.

        Parameters
        ----------
        study_instance_uid : str
        missing : mapping of str to int
            Series Instance UID -> about how many images are missing.

        Returns
        -------
        bool
            Whether anything was asked for.
        """
        ...


def count_missing(
    study: Study,
    counts: Mapping[str, int],
    *,
    wanted: Sequence[str] | None,
    own: frozenset[str] = frozenset(),
) -> dict[str, int]:
    """Compare what arrived with what the source counts.

    Parameters
    ----------
    study : Study
    counts : mapping of str to int
        Series Instance UID -> images that the source has.
    wanted : sequence of str or None
        Series that matter; None for all.
    own : frozenset of str
        Series that this node made; the source has them, nobody sends them here.

    Returns
    -------
    dict of str to int
        Series Instance UID -> how many are missing, where any are.
    """
    arrived = {series.series_instance_uid: len(series.instances) for series in study.series}
    of_interest = (
        counts if wanted is None else {uid: counts[uid] for uid in wanted if uid in counts}
    )
    lacks = {uid: n - arrived.get(uid, 0) for uid, n in of_interest.items() if uid not in own}
    return {uid: n for uid, n in lacks.items() if n > 0}


def judge_completeness(
    chosen: Sequence[Series], missing: Mapping[str, int], *, is_counted: bool
) -> Completeness:
    """Say how complete the series of a case are.

    Parameters
    ----------
    chosen : sequence of Series
        Checked; ``missing_slices`` tells of their gaps.
    missing : mapping of str to int
        From ``count_missing``.
    is_counted : bool
        Whether the source told its counts.
    """
    limitations: list[str] = []
    total = 0
    left = dict(missing)  # what the archive counts of a series that plays two roles counts once
    for series in chosen:
        counted, gaps = left.pop(series.series_instance_uid, 0), series.missing_slices
        total += max(counted, gaps)
        name = f"series number {series.attributes.get('SeriesNumber') or 'unknown'}"
        if gaps:
            limitations.append(
                f"{name}: about {gaps} slices are missing in gaps; only the longest run of "
                f"{len(series.slices)} slices without a gap was evaluated."
            )
        elif counted:
            arrived = f"{len(series.instances)} images arrived"
            limitations.append(
                f"{name}: {arrived}, the archive counts {counted} more; lesions in the missing "
                "images cannot be seen."
            )
    if limitations:
        return Completeness(
            arrival=Arrival.INCOMPLETE, missing=total, limitations=tuple(limitations)
        )
    return Completeness(arrival=Arrival.COMPLETE if is_counted else Arrival.PROBABLY_COMPLETE)
