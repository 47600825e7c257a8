"""How a slice is shown to a reader: which side is up, which letters, which greys."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.geometry import Geometry
from node.domain.volume import Volume

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))  # LPS: towards plus, towards minus
_LUNG = "39607008"


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """Turns stored slices the way that readers expect, by flips and a transposition only.

    Left of the patient (in sagittal stacks: the back) is on the right side of the screen, and the
    back (in sagittal and coronal stacks: the feet) is down.

    Parameters
    ----------
    transpose, flip_rows, flip_columns : bool
        Applied in this order.
    row_mm, column_mm : float
        Size of a pixel on the screen.
    right, down : ndarray of float, shape (3,)
        LPS directions of the screen's axes.
    """

    transpose: bool
    flip_rows: bool
    flip_columns: bool
    row_mm: float
    column_mm: float
    right: NDArray[np.float64]
    down: NDArray[np.float64]

    @classmethod
    def of(cls, geometry: Geometry) -> "View":
        """View for the slices of a grid."""
        _, down, right = geometry.direction.T
        _, row_mm, column_mm = geometry.spacing_mm
        transpose = bool(_main_axis(right) > _main_axis(down))
        if transpose:
            right, down = down, right
            row_mm, column_mm = column_mm, row_mm
        flip_columns = bool(right[_main_axis(right)] < 0)
        axis = _main_axis(down)
        flip_rows = bool(down[axis] > 0) if axis == 2 else bool(down[axis] < 0)
        return cls(
            transpose=transpose,
            flip_rows=flip_rows,
            flip_columns=flip_columns,
            row_mm=row_mm,
            column_mm=column_mm,
            right=-right if flip_columns else right,
            down=-down if flip_rows else down,
        )

    def show(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Turn one stored slice, shape (y, x), for the screen."""
        turned = plane.T if self.transpose else plane
        turned = turned[::-1] if self.flip_rows else turned
        return turned[:, ::-1] if self.flip_columns else turned

    def letters(self) -> dict[str, str]:
        """Orientation letters for the sides left, right, top and bottom."""
        return {
            "left": orientation_letters(-self.right),
            "right": orientation_letters(self.right),
            "top": orientation_letters(-self.down),
            "bottom": orientation_letters(self.down),
        }


def orientation_letters(direction: NDArray[np.float64]) -> str:
    """Letters of an LPS direction, the main one first; a second one from about 15 degrees on."""
    order = np.argsort(-np.abs(direction))
    strong = [axis for axis in order[:2] if abs(direction[axis]) > 0.25]
    return "".join(_LETTERS[axis][0 if direction[axis] > 0 else 1] for axis in strong)


def grey_window(volume: Volume, region_code: str) -> tuple[float, float]:
    """Intensities that are shown as black and as white.

    CT has lung or soft tissue windows by the region that the model looks at; MR, which has no
    units, the range between percentiles of what is not air.
    """
    if volume.modality == "CT":
        centre, width = (-600, 1500) if region_code == _LUNG else (40, 400)
        return centre - width / 2, centre + width / 2
    sample = volume.voxels[:: max(1, len(volume.voxels) // 64), ::2, ::2]
    tissue = sample[sample > np.percentile(sample, 50)]
    if not tissue.size:
        tissue = sample
    low, high = float(np.percentile(sample, 5)), float(np.percentile(tissue, 98))
    return low, high if high > low else low + 1


def smooth_outline(mask: NDArray[np.bool_], finer: int = 4) -> tuple[NDArray[np.float64], float]:
    """Field and level whose contour is the smoothed border of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (y, x)
    finer : int
        How many samples stand for one pixel.

    Returns
    -------
    field : ndarray of float, shape (y * finer, x * finer)
    level : float
        Low enough that lesions of a few pixels keep an outline.
    """
    fine = np.repeat(np.repeat(mask.astype(float), finer, axis=0), finer, axis=1)
    field = ndimage.gaussian_filter(fine, 0.55 * finer)
    return field, min(0.5, 0.5 * float(field.max()))


def scale_length_mm(width_mm: float) -> int:
    """Round length for a scale bar, at most a quarter of the picture."""
    for length in (100, 50, 20, 10, 5, 2):
        if length <= width_mm / 4:
            return length
    return 1


def dice(mask: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Dice coefficient of two masks; 1 where both are empty."""
    total = int(mask.sum()) + int(reference.sum())
    return 2 * int((mask & reference).sum()) / total if total else 1.0


def _main_axis(direction: NDArray[np.float64]) -> int:
    return int(np.abs(direction).argmax())
