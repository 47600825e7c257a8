"""Splits by patient: no patient stands on two sides, and every stratum is shared out alike."""

from collections.abc import Hashable, Mapping

import numpy as np


def split_patients(
    strata: Mapping[str, Hashable], *, fractions: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Assign each patient to one part.

    Parameters
    ----------
    strata : mapping of patient to stratum
        E.g. the tumour type; patients of a stratum are spread over the parts by ``fractions``.
    fractions : mapping of part name to share
        Must sum to 1. The last part takes what rounding leaves over.
    seed : int

    Returns
    -------
    dict of patient to part name

    Raises
    ------
    ValueError
        If the fractions do not sum to 1.
    """
    if abs(sum(fractions.values()) - 1) > 1e-9:
        raise ValueError(f"fractions sum to {sum(fractions.values())}, expected 1")
    rng = np.random.default_rng(seed)
    parts: dict[str, str] = {}
    for stratum in sorted({str(s) for s in strata.values()}):
        patients = sorted(p for p, s in strata.items() if str(s) == stratum)
        order = [patients[i] for i in rng.permutation(len(patients))]
        bounds = np.rint(np.cumsum(list(fractions.values())) * len(order)).astype(int)
        start = 0
        for part, stop in zip(fractions, bounds, strict=True):
            parts.update(dict.fromkeys(order[start:stop], part))
            start = int(stop)
    return parts
