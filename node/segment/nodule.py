"""Refine a nodule that somebody pointed at: points in, one lesion for each of them out.

A point, and not an outline, is what the network starts from, so that every kind of pointing object
is worth the same. What it marks round the point is searched for the connected part that holds the
point or lies nearest to it; that part is the lesion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.errors import Problem
from node.domain.geometry import Geometry, Vector
from node.domain.prompt import Prompt
from node.domain.segmentation import Segmentation
from node.domain.volume import Volume
from node.segment.lesions import LesionSpec, find_lesions
from node.segment.nodule_network import NoduleNetwork, is_inside
from node.segment.nodule_patches import Box, NoduleInputSpec

#: A point is not further from its nodule than this: about as well as a reader clicks. The price: of
#: 40 points in healthy lung ten led to vessels at 2 mm, one at 1 mm.
MAXIMUM_DISTANCE_MM = 2.5
#: Points further than this from the middle of what they lead to are moved there for a second look.
CENTRED_MM = 1.0
#: Extents that are tried, in those of the spec: masses are larger than nodules.
WIDENINGS = (1.0, 2.0, 4.0)
#: A part seen at the next extent replaces a whole-looking one that it holds, if it is this many
#: times larger: twice the diameter. A network that sees nothing but the inside of a mass marks
#: some of it as a nodule that ends before the border.
MASS_RATIO = 8.0
#: Share of the smaller part that the larger one must hold.
_HELD = 0.5
#: Pixels from the border of a patch at which a lesion counts as cut off.
_BORDER = 2
_ALL_NEIGHBOURS = np.ones((3, 3, 3), np.int8)
_AIR_RADIUS_MM = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class NoduleSearch:
    """What was found at the points.

    Parameters
    ----------
    segmentation : Segmentation
        Lesions largest first; outside them the probability is 0.
    prompts_of : mapping of int to tuple of Prompt
        Lesion number -> the points that led to it.
    absent : tuple of Problem
        A reason for every point that led to no lesion.
    """

    segmentation: Segmentation
    prompts_of: Mapping[int, tuple[Prompt, ...]] = field(default_factory=dict)
    absent: tuple[Problem, ...] = ()


def find_nodules(
    volume: Volume,
    prompts: Sequence[Prompt],
    network: NoduleNetwork,
    spec: LesionSpec,
    *,
    model_digest: str,
) -> NoduleSearch:
    """Segment the nodule at each point, and say why where there is none.

    Points that lead to voxels of one another's lesions share a lesion.

    Parameters
    ----------
    volume : Volume
        CT in HU.
    prompts : sequence of Prompt
    network : NoduleNetwork
    spec : LesionSpec
        What counts as a lesion.
    model_digest : str
        Enters the tracking UIDs.
    """
    probability = np.zeros(volume.voxels.shape, np.float16)
    marked: list[tuple[Prompt, tuple[int, int, int]]] = []
    absent = []
    for prompt in prompts:
        if not is_inside(volume.geometry, prompt):
            absent.append(_outside(volume.geometry, prompt))
            continue
        view = _look(volume, prompt, network, spec.threshold)
        if view.part is None:
            absent.append(_nothing(volume, prompt, view))
            continue
        target = probability[view.box]
        np.maximum(target, np.where(view.part, view.probability, 0), out=target)
        k, j, i = np.argwhere(view.part)[0] + [axis.start for axis in view.box]
        marked.append((prompt, (int(k), int(j), int(i))))
    segmentation = find_lesions(volume, probability, spec, model_digest=model_digest)
    prompts_of: dict[int, tuple[Prompt, ...]] = {}
    for prompt, voxel in marked:
        number = int(segmentation.labels[voxel])
        if number:
            prompts_of[number] = (*prompts_of.get(number, ()), prompt)
        else:
            absent.append(_too_small(prompt, spec))
    return NoduleSearch(segmentation=segmentation, prompts_of=prompts_of, absent=tuple(absent))


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """What was looked at round a point: its place, the probability, the part of the point."""

    box: Box
    probability: NDArray[np.float16]
    part: NDArray[np.bool_] | None


def _look(volume: Volume, prompt: Prompt, network: NoduleNetwork, threshold: float) -> _View:
    """Look round a point as wide as its nodule needs."""
    best: _View | None = None
    was_whole = False
    for widening in WIDENINGS:
        view = _stare(volume, prompt, network, threshold=threshold, widening=widening)
        if view.part is None:
            best = best or view
            break
        if was_whole and not (best and _is_mass_round(view, best)):
            break
        best = view
        was_whole = not _is_cut_off(view, volume.geometry, network.spec.widen(widening))
        if view.probability.shape == volume.voxels.shape:
            break
    assert best is not None
    return best


def _stare(
    volume: Volume, prompt: Prompt, network: NoduleNetwork, *, threshold: float, widening: float
) -> _View:
    """Look at one extent, and again from the middle of what was found."""
    view = _glance(volume, prompt, network, threshold=threshold, widening=widening)
    middle = None if view.part is None else _middle_of(view, volume.geometry)
    if not middle or np.linalg.norm(np.subtract(prompt.point_lps_mm, middle)) <= CENTRED_MM:
        return view
    # Outlines are better seen from the middle of a nodule than from its edge.
    centred = replace(prompt, point_lps_mm=middle)
    second = _glance(volume, centred, network, threshold=threshold, widening=widening)
    return view if second.part is None else second


def _is_mass_round(wide: _View, narrow: _View) -> bool:
    """Tell whether the part of a wide view is a mass that the narrow view saw but a bit of."""
    assert wide.part is not None
    assert narrow.part is not None
    inside = np.argwhere(narrow.part) + [
        near.start - far.start for near, far in zip(narrow.box, wide.box, strict=True)
    ]
    inside = inside[((inside >= 0) & (inside < wide.part.shape)).all(axis=1)]
    held = np.count_nonzero(wide.part[tuple(inside.T)]) / np.count_nonzero(narrow.part)
    return bool(held >= _HELD and wide.part.sum() >= MASS_RATIO * narrow.part.sum())


def _glance(
    volume: Volume, prompt: Prompt, network: NoduleNetwork, *, threshold: float, widening: float
) -> _View:
    box, seen = network.predict_point(volume, prompt, widening=widening)
    point = volume.geometry.to_index(prompt.point_lps_mm) - [axis.start for axis in box]
    part = choose_part(seen >= threshold, point, volume.geometry.spacing_mm)
    return _View(box=box, probability=seen, part=part)


def _middle_of(view: _View, geometry: Geometry) -> Vector:
    assert view.part is not None
    index = np.argwhere(view.part).mean(axis=0) + [axis.start for axis in view.box]
    x, y, z = (float(value) for value in geometry.to_lps(index))
    return x, y, z


def choose_part(
    mask: NDArray[np.bool_], point: NDArray[np.float64], spacing_mm: Vector
) -> NDArray[np.bool_] | None:
    """Find the connected part (26-neighbourhood) that holds a point, or the one nearest to it.

    Parameters
    ----------
    mask : ndarray of bool, shape (z, y, x)
    point : ndarray of float64, shape (3,)
        Index [k, j, i] in the mask.
    spacing_mm : tuple of float

    Returns
    -------
    ndarray of bool, shape (z, y, x), or None
        None if no part comes within ``MAXIMUM_DISTANCE_MM``.
    """
    voxels = np.argwhere(mask)
    if not len(voxels):
        return None
    # To the edges of voxels, not to their centres: slices may be thicker than a nodule.
    away = np.maximum(np.abs(voxels - point) - 0.5, 0) * np.array(spacing_mm)
    distances_mm = np.linalg.norm(away, axis=1)
    nearest = int(distances_mm.argmin())
    if distances_mm[nearest] > MAXIMUM_DISTANCE_MM:
        return None
    labels, _ = ndimage.label(mask, structure=_ALL_NEIGHBOURS)
    return np.asarray(labels == labels[tuple(voxels[nearest])])


def _is_cut_off(view: _View, geometry: Geometry, spec: NoduleInputSpec) -> bool:
    """Tell whether a part reaches the border of what was looked at, short of the volume's."""
    assert view.part is not None
    border_px = max(1.0, _BORDER * spec.spacing_mm / min(geometry.spacing_mm[1:]))
    margins = (1, int(np.ceil(border_px)), int(np.ceil(border_px)))
    occupied = [np.flatnonzero(view.part.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return any(
        (looked.start > 0 and found[0] < margin)
        or (looked.stop < whole and found[-1] >= looked.stop - looked.start - margin)
        for looked, whole, found, margin in zip(
            view.box, geometry.shape, occupied, margins, strict=True
        )
    )


def _outside(geometry: Geometry, prompt: Prompt) -> Problem:
    k, j, i = geometry.to_index(prompt.point_lps_mm)
    slices, rows, columns = geometry.shape
    return Problem(
        code="point-outside-volume",
        tag=_name(prompt),
        uid=prompt.sop_instance_uid,
        found=f"column {i:.1f}, row {j:.1f}, slice {k:.1f}",
        expected=f"within {columns} columns, {rows} rows and {slices} slices (from 0)",
        remedy="point into the series that is processed, in LPS millimetres of its frame",
    )


def _nothing(volume: Volume, prompt: Prompt, view: _View) -> Problem:
    hu = _mean_hu(volume, prompt)
    return Problem(
        code="nothing-at-point",
        tag=_name(prompt),
        uid=prompt.sop_instance_uid,
        found=(
            f"mean of {hu:.0f} HU within {_AIR_RADIUS_MM:g} mm, and no nodule within "
            f"{MAXIMUM_DISTANCE_MM:g} mm (highest probability {float(view.probability.max()):.2f})"
        ),
        expected="a point in a nodule, or close to one",
        remedy="point into the middle of the nodule",
    )


def _too_small(prompt: Prompt, spec: LesionSpec) -> Problem:
    return Problem(
        code="too-small-at-point",
        tag=_name(prompt),
        uid=prompt.sop_instance_uid,
        found="marks too small or too faint to count as a nodule",
        expected=(
            f"{spec.minimum_area_mm2:g} mm2 in one slice and probability {spec.minimum_peak:g}"
        ),
        remedy="judge this place by eye",
    )


def _mean_hu(volume: Volume, prompt: Prompt) -> float:
    point = volume.geometry.to_index(prompt.point_lps_mm)
    reach = _AIR_RADIUS_MM / np.array(volume.geometry.spacing_mm)
    first = np.maximum(np.rint(point - reach), 0).astype(int)
    last = np.minimum(np.rint(point + reach).astype(int), np.array(volume.geometry.shape) - 1)
    box = tuple(slice(a, max(a, b) + 1) for a, b in zip(first, last, strict=True))
    return float(volume.voxels[box].mean())


def _name(prompt: Prompt) -> str:
    return " ".join(part for part in (prompt.source, prompt.label) if part)
