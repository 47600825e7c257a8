"""Overlap of masks."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def measure_dice(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Dice coefficient of two masks; 1 when both are empty.

    References
    ----------
    Dice, Ecology 26(3), 1945, doi:10.2307/1932409.
    """
    a, b = np.asarray(first) > 0, np.asarray(second) > 0
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else float(2 * int((a & b).sum()) / total)
