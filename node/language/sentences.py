"""Sentences that the node composes elsewhere, with values in them, by their pattern.

Warnings, reasons and limitations are kept in results as finished English sentences. Here stand
those that a person reads, so that they can be told in another language afterwards; a test composes
each where it comes from and looks for its translation.
"""

import re
from dataclasses import dataclass

_VALUE = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Sentence:
    """A sentence with values, ``%(name)s``."""

    message: str
    pattern: re.Pattern[str]

    def read(self, told: str) -> dict[str, str] | None:
        """Return the values in a finished sentence; None if it is another one."""
        found = self.pattern.fullmatch(told)
        return None if found is None else found.groupdict()


def N_(message: str) -> Sentence:  # noqa: N802 - the name that Babel extracts
    """Mark a message for extraction."""
    pieces = _VALUE.split(message)
    pattern = "".join(
        f"(?P<{piece}>.+?)" if place % 2 else re.escape(piece.replace("%%", "%"))
        for place, piece in enumerate(pieces)
    )
    return Sentence(message, re.compile(pattern, re.DOTALL))


SENTENCES: tuple[Sentence, ...] = (
    # classify
    N_("outside the training range: novelty %(novelty)s, limit %(limit)s"),
    N_("probability between %(low)s and %(high)s: too close to call"),
    N_(
        "%(undefined)s of the %(count)s features that the classifier uses are undefined: "
        "lesion too small"
    ),
    # read and segment
    N_("%(role)s covers %(covered)s of the tissue in the first role's series"),
    N_("no frame of reference: %(role)s is taken to lie where it says"),
    N_("series number %(number)s: volume %(part)s of %(of)s in the series: %(labels)s (by rule)"),
    N_(
        "series number %(number)s: volume %(part)s of %(of)s in the series: %(labels)s (by default)"
    ),
    N_(
        "one slice only: volumes are areas times its thickness (%(thickness)s mm, assumed as the "
        "header names none)"
    ),
    N_("one slice only: volumes are areas times its thickness (%(thickness)s mm)"),
    N_("no nodule at %(place)s: %(found)s"),
    N_("Read together, on the grid of the first: %(roles)s."),
    # arrival
    N_(
        "%(series)s: about %(gaps)s slices are missing in gaps; only the longest run of "
        "%(slices)s slices without a gap was evaluated."
    ),
    N_(
        "%(series)s: %(arrived)s images arrived, the archive counts %(counted)s more; lesions in "
        "the missing images cannot be seen."
    ),
    N_("INCOMPLETE (%(missing)s missing)"),
    N_("series number %(number)s"),
)
