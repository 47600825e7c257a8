"""Sentences that the node composes elsewhere, with values in them, by their pattern.

Warnings, reasons and limitations are kept in results as finished English sentences. Here stand
those that a person reads, so that they can be told in another language afterwards. Tests compose
those of parts, roles, arrival, assessment and response where they come from and look for their
translation; the others are only tried as they stand.
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
    N_("column %(column)s, row %(row)s, slice %(slice)s"),
    N_(
        "mean of %(hu)s HU within %(radius)s mm, and no nodule within %(distance)s mm (highest "
        "probability %(probability)s)"
    ),
    N_("Read together, on the grid of the first: %(roles)s."),
    N_("%(role)s = series number %(number)s"),
    # arrival
    N_(
        "%(series)s: about %(gaps)s slices are missing in gaps; only the longest run of "
        "%(slices)s slices without a gap was evaluated."
    ),
    N_(
        "%(series)s: %(arrived)s images arrived, the archive counts %(counted)s more; lesions in "
        "the missing images cannot be seen."
    ),
    # compare
    N_("RECIST 1.1, by axial diameters that the model measured, for research use: %(rule)s"),
    N_("not evaluable, %(reason)s"),
    N_(
        "sum of target diameters %(now)s mm, baseline %(baseline)s mm, nadir %(nadir)s mm: "
        "%(verdict)s"
    ),
    N_("at least %(share)s and %(length)s mm more than the nadir is progression"),
    N_("at least %(share)s less than the baseline is partial response"),
    N_(
        "neither %(less)s less than the baseline, nor %(more)s and %(length)s mm more than the "
        "nadir"
    ),
    N_("a new lesion is progression (%(names)s), once a reader has confirmed it"),
    N_("every lesion is gone; none had a long axis of %(length)s mm at the baseline"),
    N_("lesions persist; none had a long axis of %(length)s mm at the baseline"),
    N_("the volume changed by less than %(share)s, the error of measurement"),
    N_("Lesions were not matched with the earlier ones: %(reason)s."),
    N_("Earlier images were registered rigidly: %(reason)s."),
    N_("The place of earlier lesions is not within these images: %(names)s."),
    N_(
        "Lesions of a still earlier examination are seen again, which the latest earlier images "
        "did not show: %(names)s."
    ),
    N_(
        "Lesions that the latest earlier images do not wholly show may be known from a still "
        "earlier examination, and are not called new: %(names)s."
    ),
    N_("Lesions that are called new lie where the earlier images do not reach: %(names)s."),
    N_("correlation %(correlation)s over %(share)s of the body"),
    N_("the images could not be registered: %(faults)s"),
    N_("they share only %(share)s of the body"),
    N_("intensities correlate by %(correlation)s only"),
    N_("they would be turned by %(angle)s degrees"),
    N_("the images do not overlap (%(words)s)"),
    N_("INCOMPLETE (%(missing)s missing)"),
    N_("series number %(number)s"),
    N_("Lesion %(number)s"),
)
