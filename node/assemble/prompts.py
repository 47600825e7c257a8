"""Where the objects of a study point at lesions of a series: one prompt for each region."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from node.assemble.inner_point import Location
from node.assemble.own import is_own
from node.assemble.prompt_labels import judge_label, matches
from node.assemble.prompt_rtstruct import read_structures
from node.assemble.prompt_seg import read_segments
from node.assemble.prompt_sr import read_annotations
from node.assemble.regions import Nature, Region
from node.dicom.damage import DAMAGED
from node.dicom.limits import MAXIMUM_PROMPTS, MAXIMUM_REGIONS
from node.dicom.references import references_of
from node.domain.errors import InputRejected, Problem
from node.domain.prompt import Prompt
from node.domain.study import InstanceRef, Series, Study

LABEL_MAP_STORAGE = uid.UID("1.2.840.10008.5.1.4.1.1.66.7")  # pydicom 3.0 has no name for it

Reader = Callable[[Dataset, Series], list[Region]]

POINTERS: Mapping[str, tuple[str, Reader]] = MappingProxyType(
    {
        uid.SegmentationStorage: ("SEG", read_segments),
        LABEL_MAP_STORAGE: ("SEG", read_segments),
        uid.RTStructureSetStorage: ("RTSTRUCT", read_structures),
        uid.EnhancedSRStorage: ("SR", read_annotations),
        uid.ComprehensiveSRStorage: ("SR", read_annotations),
        uid.Comprehensive3DSRStorage: ("SR", read_annotations),
        uid.ExtensibleSRStorage: ("SR", read_annotations),
    }
)
"""SOP class -> what it is called, and what reads its regions."""

MAXIMUM_EXTENT_MM = 150.0
"""Larger outlines are no lesions, whatever they are called: a body, a lung, a field of view."""


@dataclass(frozen=True, kw_only=True)
class PointedAt:
    """What a study points at.

    Parameters
    ----------
    prompts : tuple of Prompt
    ignored : tuple of Problem
        One for each region and object that no prompt was made of, and why.
    """

    prompts: tuple[Prompt, ...] = ()
    ignored: tuple[Problem, ...] = ()


def pointing_series(
    study: Study, *, own_results: bool = False, results: Collection[str] = ()
) -> tuple[Series, ...]:
    """Series of a study that hold objects which may point at lesions.

    Parameters
    ----------
    study : Study
    own_results : bool
        Whether results of this node count, too.
    results : collection of str
        SOP Instance UIDs of results: an object that refers to one is an answer to it, and asks
        for nothing.
    """
    found = []
    for series in study.series:
        pointers = tuple(
            instance
            for instance in series.instances
            if instance.sop_class_uid in POINTERS and not _answers(instance, results)
        )
        if pointers and (own_results or not is_own(series)):
            found.append(replace(series, instances=pointers))
    return tuple(found)


def _answers(instance: InstanceRef, results: Collection[str]) -> bool:
    """Whether an object refers to a result of this node."""
    if not results:
        return False
    try:
        dataset = dcmread(instance.path, stop_before_pixels=True)
        return not references_of(dataset).isdisjoint(results)
    except DAMAGED:
        return False  # told of where it is read for what it points at


def read_prompts(
    pointing: Sequence[Series], series: Series, *, labels: Sequence[str] = ()
) -> PointedAt:
    """Read what objects point at, as far as it lies on a series.

    Parameters
    ----------
    pointing : sequence of Series
        Of the same study, see ``pointing_series``.
    series : Series
        Checked, with its geometry and slices.
    labels : sequence of str
        Patterns of the names of regions that are wanted. Without any, the usual names and codes
        of organs, margins and devices are left out, see ``node.assemble.prompt_labels``.
    """
    ignored: list[Problem] = []
    found: list[tuple[InstanceRef, str, Region]] = []
    for instance in (item for other in pointing for item in other.instances):
        if instance.sop_class_uid not in POINTERS:
            continue
        source, read = POINTERS[instance.sop_class_uid]
        try:
            regions = _within_limits(read(dcmread(instance.path), series))
        except DAMAGED as fault:
            ignored.append(_damaged(instance, source, "", fault))
            continue
        for region in regions:
            if region.is_on_series:
                found.append((instance, source, region))
            else:
                ignored.append(_elsewhere(instance, source, region))
    natures = [judge_label(region.label, region.nature) for _, _, region in found]
    prompts: list[Prompt] = []
    for (instance, source, region), nature in zip(found, natures, strict=True):
        reason = _why_not(
            region.label, nature, labels, has_lesions=Nature.LESION in natures
        ) or _too_many(prompts)
        if reason:
            ignored.append(_left_out(instance, source, region, *reason))
            continue
        try:
            location = region.locate()
        except DAMAGED as fault:
            ignored.append(_damaged(instance, source, region.label, fault))
            continue
        if location.extent_mm is not None and location.extent_mm > MAXIMUM_EXTENT_MM:
            ignored.append(_left_out(instance, source, region, *_too_large(location)))
            continue
        prompts.append(
            Prompt(
                point_lps_mm=location.point_lps_mm,
                label=region.label,
                source=source,
                sop_instance_uid=instance.sop_instance_uid,
                extent_mm=location.extent_mm,
            )
        )
    return PointedAt(prompts=tuple(prompts), ignored=tuple(ignored))


def require_prompts(pointed: PointedAt, series: Series) -> tuple[Prompt, ...]:
    """Return the prompts.

    Raises
    ------
    InputRejected
        If there are none, with every region that was ignored.
    """
    if pointed.prompts:
        return pointed.prompts
    nothing = Problem(
        code="nothing-pointed-at",
        uid=series.series_instance_uid,
        found="no SEG, RTSTRUCT or SR of the study that points at a lesion of this series"
        if not pointed.ignored
        else f"{len(pointed.ignored)} regions or objects, none of which can be used",
        expected="a point in the lesion, or its outline",
        remedy=(
            "send a SEG, RTSTRUCT or SR (point or outline) with the study, name its regions by "
            "'prompt_labels' in routing.yaml, or give --seed X,Y,Z on the command line"
        ),
    )
    raise InputRejected([nothing, *pointed.ignored])


def _within_limits(regions: list[Region]) -> list[Region]:
    if len(regions) > MAXIMUM_REGIONS:
        raise ValueError(f"{len(regions)} regions, at most {MAXIMUM_REGIONS} are taken")
    return regions


def _why_not(
    label: str, nature: Nature, labels: Sequence[str], *, has_lesions: bool
) -> tuple[str, str] | None:
    """What was found and what was expected, for a region that is no lesion by its name."""
    if labels:
        return None if matches(label, labels) else ("another name", " or ".join(labels))
    if nature is Nature.OTHER:
        return "an organ, a margin or a device by its name or code", "a lesion"
    if nature is Nature.UNTOLD and has_lesions:
        return "a name that tells nothing", "a lesion, as others of the study are by their names"
    return None


def _too_many(prompts: Sequence[Prompt]) -> tuple[str, str] | None:
    if len(prompts) < MAXIMUM_PROMPTS:
        return None
    return "more regions than are looked at in a study", f"at most {MAXIMUM_PROMPTS}"


def _too_large(location: Location) -> tuple[str, str]:
    return f"{location.extent_mm:.0f} mm across", f"at most {MAXIMUM_EXTENT_MM:g} mm"


def _left_out(
    instance: InstanceRef, source: str, region: Region, found: str, expected: str
) -> Problem:
    return Problem(
        code="region-ignored",
        tag=f"{source} {region.label}".strip(),
        uid=instance.sop_instance_uid,
        found=found,
        expected=expected,
        remedy="nothing, or name it by 'prompt_labels' in routing.yaml if it is a lesion",
    )


def _elsewhere(instance: InstanceRef, source: str, region: Region) -> Problem:
    return Problem(
        code="region-elsewhere",
        tag=f"{source} {region.label}".strip(),
        uid=instance.sop_instance_uid,
        found="another frame of reference, and no reference to images of the series",
        expected="the series' FrameOfReferenceUID, or its images",
        remedy="send the series that it was drawn on, or draw it on this one",
    )


def _damaged(instance: InstanceRef, source: str, label: str, fault: Exception) -> Problem:
    return Problem(
        code="unreadable-region",
        tag=f"{source} {label}".strip(),
        uid=instance.sop_instance_uid,
        found=f"{type(fault).__name__}: {str(fault)[:80]}",
        expected="a region with contours, pixels or coordinates",
        remedy="export the object again",
    )
