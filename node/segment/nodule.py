"""Refine a nodule that somebody pointed at: points in, one lesion for each of them out.

A point, and not an outline, is what the network starts from, so that every kind of pointing object
is worth the same. What it marks round the point is searched for the connected part that holds the
point or lies nearest to it; that part is the lesion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.errors import Problem
from node.domain.geometry import Geometry, Vector
from node.domain.prompt import Prompt
from node.domain.segmentation import Segmentation
from node.domain.volume import Volume
from node.segment.lesions import LesionSpec, find_lesions
from node.segment.nodule_patches import Box, NoduleInputSpec, NodulePatches, prepare_patches

#: A point is not further from its nodule than this.
MAXIMUM_DISTANCE_MM = 5.0
#: Extents that are tried, in those of the spec: masses are larger than nodules.
WIDENINGS = (1.0, 2.0, 4.0)
#: Pixels from the border of a patch at which a lesion counts as cut off.
_BORDER = 2
_ALL_NEIGHBOURS = np.ones((3, 3, 3), np.int8)
_AIR_RADIUS_MM = 2.0


class NoduleNetwork:
    """A trained network that sees the surroundings of a point.

    Parameters
    ----------
    model : keras.Model
        Maps (batch, size, size, 4) to logits.
    spec : NoduleInputSpec
        Preparation that it was trained with.
    batch : int
        Patches per call, each with its three mirror images.
    """

    def __init__(self, model: Any, spec: NoduleInputSpec, *, batch: int = 8) -> None:
        self.model = model
        self.spec = spec
        self.batch = batch

    @classmethod
    def load(cls, path: Path, spec: NoduleInputSpec) -> "NoduleNetwork":
        """Load a Keras file; needs TensorFlow."""
        import keras  # deferred: only worker processes pay for TensorFlow

        return cls(keras.models.load_model(path, compile=False), spec)

    def predict(self, volume: Volume, prompts: Sequence[Prompt]) -> NDArray[np.float16]:
        """Return the nodule probability of every voxel, seen from each of the points.

        Returns
        -------
        ndarray of float16, shape (z, y, x)
            0 out of reach of all points. Of several points the highest one counts.
        """
        out = np.zeros(volume.voxels.shape, np.float16)
        for prompt in prompts:
            if is_inside(volume.geometry, prompt):
                box, seen = self.predict_point(volume, prompt)
                np.maximum(out[box], seen, out=out[box])
        return out

    def predict_point(
        self, volume: Volume, prompt: Prompt, *, widening: float = 1.0
    ) -> tuple[Box, NDArray[np.float16]]:
        """Return what is within reach of one point, and the nodule probability there.

        Parameters
        ----------
        volume : Volume
        prompt : Prompt
            Within the volume.
        widening : float
            Show this many times the extent in as many pixels.

        Returns
        -------
        Box
            Slices, rows and columns of the volume.
        ndarray of float16, of the box's shape
        """
        patches = prepare_patches(volume, prompt.point_lps_mm, self.spec.widen(widening))
        block = patches.placement.restore(self._predict(patches))
        return patches.placement.box, block.astype(np.float16)

    def _predict(self, patches: NodulePatches) -> NDArray[np.float32]:
        count = len(patches.images)
        planes = np.empty(patches.images.shape[:3], np.float32)
        for start in range(0, count, self.batch):
            chosen = patches.images[start : start + self.batch]
            images = np.zeros((self.batch, *chosen.shape[1:]), np.float32)  # traced once
            images[: len(chosen)] = chosen
            planes[start : start + len(chosen)] = self._average(images)[: len(chosen)]
        return planes

    def _average(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean over the image and its mirror images, which steadies the outline."""
        turns = [(rows, columns) for rows in (1, -1) for columns in (1, -1)]
        stack = np.concatenate([images[:, ::rows, ::columns] for rows, columns in turns])
        logits = np.asarray(self.model.predict_on_batch(stack), np.float32)[..., 0]
        probability = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        parts = np.split(probability, len(turns))
        back = [part[:, ::r, ::c] for part, (r, c) in zip(parts, turns, strict=True)]
        return np.asarray(np.mean(back, axis=0), np.float32)


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


def is_inside(geometry: Geometry, prompt: Prompt) -> bool:
    """Tell whether a point lies within the outer edges of a grid."""
    index = geometry.to_index(prompt.point_lps_mm)
    return bool((index >= -0.5).all() and (index <= np.array(geometry.shape) - 0.5).all())


@dataclass(frozen=True, kw_only=True, eq=False)
class _View:
    """What was looked at round a point: its place, the probability, the part of the point."""

    box: Box
    probability: NDArray[np.float16]
    part: NDArray[np.bool_] | None


def _look(volume: Volume, prompt: Prompt, network: NoduleNetwork, threshold: float) -> _View:
    """Look round a point as wide as its nodule needs."""
    best: _View | None = None
    for widening in WIDENINGS:
        box, seen = network.predict_point(volume, prompt, widening=widening)
        point = volume.geometry.to_index(prompt.point_lps_mm) - [axis.start for axis in box]
        part = choose_part(seen >= threshold, point, volume.geometry.spacing_mm)
        view = _View(box=box, probability=seen, part=part)
        if best is None or part is not None:
            best = view
        if part is None or not _is_cut_off(view, volume.geometry, network.spec.widen(widening)):
            break
    assert best is not None
    return best


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
