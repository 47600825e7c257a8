"""What the pointing objects of a study have in common: named regions of the patient."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from node.assemble.inner_point import Location


class Nature(Enum):
    """What the codes of an object say of a region."""

    LESION = "lesion"
    OTHER = "other"
    UNTOLD = "untold"


@dataclass(frozen=True, kw_only=True)
class Region:
    """One region of a pointing object.

    Parameters
    ----------
    label : str
    nature : Nature
    is_on_series : bool
        Whether it lies in the frame of reference of the series, or was drawn on its images.
    locate : callable
        Decodes and measures it; raises ValueError if it is empty or damaged.
    """

    label: str
    nature: Nature
    is_on_series: bool
    locate: Callable[[], Location]
