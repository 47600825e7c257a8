"""Settings of ``routing.yaml``: which series go through which bundle, and where results go."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from node.config.fields import BundleName, Frozen, Lane, Name, Pattern, Text


def _check_range(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("the first number of a range is its lower end")
    return ends


class SeriesMatch(Frozen):
    """Conditions on a series; a list matches when any entry does, all given keys must match.

    Text is compared without regard to case; ``*`` and ``?`` are wildcards.
    In ``body_part`` and ``series_description`` an empty text stands for a missing attribute.
    """

    modality: tuple[Text, ...] = ()
    body_part: tuple[str, ...] = ()
    series_description: tuple[str, ...] = ()
    not_series_description: tuple[Text, ...] = ()
    calling_ae: tuple[Text, ...] = ()
    contrast_agent: bool | None = None
    requested_priority: tuple[Text, ...] = ()


Range = Annotated[tuple[float, float], AfterValidator(_check_range)]


End = Literal["first", "last"]


class PartChoice(Frozen):
    """Which volume of a series that holds several is meant; without a key the default holds.

    ``first`` and ``last`` are those of the lowest and of the highest value. In ``image_type``
    ``*`` and ``?`` are wildcards, and values are separated by a backslash, as in the header.
    """

    stack: Text | None = None
    image_type: Text | None = None
    echo_time_ms: End | float | None = None
    b_value: End | float | None = None
    temporal_position: End | int | None = None
    trigger_time_ms: End | float | None = None
    inversion_time_ms: End | float | None = None
    acquisition: End | int | None = None


class SequenceMatch(Frozen):
    """Conditions that tell an MR sequence by its header; all given keys must match.

    ``description`` means SeriesDescription, and ProtocolName where a series has none. It is
    compared without regard to case, with ``*`` and ``?``; ``_ - . , / ( )`` count as spaces and
    there is one at either end, so that ``"* post *"`` is the word and not "posterior".
    One of ``scanning_sequence`` must be among the values of the attribute. A missing number
    fails its range.

    ``part`` says which volume is meant of a series that holds several, in place of the rule's
    ``part``; one series may play several roles if each names another part.
    """

    description: tuple[Pattern, ...] = ()
    and_description: tuple[Pattern, ...] = ()
    not_description: tuple[Pattern, ...] = ()
    contrast_agent: bool | None = None
    scanning_sequence: tuple[Text, ...] = ()
    echo_time_ms: Range | None = None
    repetition_time_ms: Range | None = None
    inversion_time_ms: Range | None = None
    part: PartChoice | None = None


class RoutingRule(Frozen):
    """One rule of ``routing.yaml``; the first rule that matches a series of a study wins.

    ``roles`` takes the place of what a bundle of several sequences says of a role: alternatives
    in the order of preference. ``prompt_labels`` says which regions of a SEG, RTSTRUCT or SR point
    at lesions, for bundles that refine them; without it, organs are left out by their usual names.
    ``part`` says which echo, b-value, phase ... is taken of a series that holds several.
    ``priority`` comes before that of the sender; without both a study is routine.
    ``compare: false`` looks for no earlier examinations, whatever ``priors`` says.
    """

    name: Name
    match: SeriesMatch
    bundle: BundleName
    destinations: tuple[Name, ...] = Field(min_length=1)
    roles: dict[Name, tuple[SequenceMatch, ...]] = Field(default_factory=dict)
    prompt_labels: tuple[Text, ...] = ()
    part: PartChoice = PartChoice()
    priority: Lane | None = None
    compare: bool = True
