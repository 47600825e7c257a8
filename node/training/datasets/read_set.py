"""What an adapter makes of a folder: cases, and what was left out and why."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.errors import InputRejected, Problem
from node.domain.geometry import Geometry
from node.training.datasets.labelled import LabelledCase

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ReadSet:
    """A user's data set.

    Parameters
    ----------
    cases : tuple of LabelledCase
    left_out : mapping of str to tuple of Problem
        By the name of the case or object.
    """

    cases: tuple[LabelledCase, ...]
    left_out: Mapping[str, tuple[Problem, ...]]


def report_left_out(read: ReadSet) -> list[LabelledCase]:
    """Log every case that was left out, and return the others.

    Raises
    ------
    InputRejected
        If no case is left, with every problem.
    """
    for name, problems in read.left_out.items():
        log.warning("case.left-out", case=name, problems=[str(problem) for problem in problems])
    log.info("dataset.read", cases=len(read.cases), left_out=len(read.left_out))
    if read.cases:
        return list(read.cases)
    nothing = Problem(
        code="no-case-left",
        found="no complete case",
        expected="at least one image with its mask",
        remedy="mend the faults listed here, or the patterns of dataset.yaml",
    )
    raise InputRejected([nothing, *(p for found in read.left_out.values() for p in found)])


def fault(code: str, name: str, *, found: str, expected: str, remedy: str = "") -> Problem:
    """Make the problem of a case."""
    return Problem(
        code=code,
        tag=name,
        found=found,
        expected=expected,
        remedy=remedy or "repair the case, or leave it out",
    )


def check_mask(
    mask: NDArray[np.bool_], geometry: Geometry, *, name: str, allow_empty: bool
) -> tuple[float, float, float] | None:
    """Refuse an empty mask, and point at the middle of the largest part of a filled one (LPS, mm).

    Raises
    ------
    InputRejected
        If the mask is empty and must not be.
    """
    if not mask.any():
        if allow_empty:
            return None
        empty = fault("empty-mask", name, found="no voxel in the mask", expected="a lesion")
        raise InputRejected([empty])
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    parts, _ = ndimage.label(mask[box], structure=np.ones((3, 3, 3)))
    largest = int(np.bincount(parts.ravel())[1:].argmax()) + 1
    middle = np.argwhere(parts == largest).mean(axis=0) + [side.start for side in box]
    x, y, z = geometry.to_lps(middle)
    return float(x), float(y), float(z)
