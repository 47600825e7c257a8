"""Where somebody pointed at a lesion: what a bundle that refines a given lesion starts from."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A point inside a lesion, and where it came from.

    Parameters
    ----------
    point_lps_mm : tuple of float
        In the patient's coordinate system (LPS), mm: the point itself, or the middle of an outline.
    label : str
        What the pointing object calls it, e.g. the ROI name or segment label.
    source : str
        ``command-line``, ``SEG``, ``RTSTRUCT`` or ``SR``.
    sop_instance_uid : str
        Of the pointing object; empty for the command line.
    extent_mm : float or None
        Largest extent of an outline along an axis; None for a point.
    """

    point_lps_mm: tuple[float, float, float]
    label: str = ""
    source: str = "command-line"
    sop_instance_uid: str = ""
    extent_mm: float | None = None
