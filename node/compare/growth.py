"""Doubling time of a lesion's volume.

References
----------
Schwartz, Cancer 1961, doi:10.1002/1097-0142(196111/12)14:6<1272::AID-CNCR2820140618>3.0.CO;2-H
(exponential growth); British Thoracic Society, doi:10.1136/thoraxjnl-2015-207168 (a change of
less than a quarter is within the error of measurement).
"""

import math

LEAST_CHANGE = 0.25
"""Relative change of volume from which on it is taken for growth."""


def doubling_time(
    before_ml: float | None, after_ml: float | None, interval_days: int | None
) -> tuple[float | None, str]:
    """Return days in which the volume doubles, negative where it halves; or None and the reason.

    ``t * ln 2 / ln(after / before)``: growth is taken to be exponential.
    """
    if not before_ml or not after_ml:
        return None, "there is no volume in both examinations"
    if interval_days is None:
        return None, "the date of an examination is unknown"
    if interval_days <= 0:
        return None, "both examinations are of one day"
    if abs(after_ml - before_ml) / before_ml < LEAST_CHANGE:
        return None, f"the volume changed by less than {LEAST_CHANGE:.0%}, the error of measurement"
    return interval_days * math.log(2) / math.log(after_ml / before_ml), ""
