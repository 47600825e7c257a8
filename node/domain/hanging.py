"""Turn slices as radiologists hang them, so that network and features see the head one way.

Axial: anterior up, patient's right on the left. Coronal: head up, patient's right on the left.
Sagittal: head up, anterior on the left.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Geometry

# Dominant LPS axis of the slice normal -> LPS axis and sign of increasing rows and columns.
DISPLAY = {
    2: ((1, +1), (0, +1)),  # axial: rows run to posterior, columns to the patient's left
    1: ((2, -1), (0, +1)),  # coronal: rows run to the feet, columns to the patient's left
    0: ((2, -1), (1, +1)),  # sagittal: rows run to the feet, columns to posterior
}


@dataclass(frozen=True, kw_only=True)
class Hanging:
    """Exact in-plane turn: a transposition, then flips of rows and columns."""

    transpose: bool
    flip_rows: bool
    flip_columns: bool
    flip_slices: bool = False
    """Whether the slices run to the right, to anterior or to the feet; ``stack`` turns them."""

    def stack(self, block: NDArray[Any]) -> NDArray[Any]:
        """Turn a whole block (z, y, x), its slices to the left, to posterior or to the head."""
        return self.apply(block[:: -1 if self.flip_slices else 1])

    def spacing(self, spacing_mm: tuple[float, float, float]) -> tuple[float, float, float]:
        """Turn distances of slices, rows and columns likewise."""
        z, y, x = spacing_mm
        return (z, x, y) if self.transpose else (z, y, x)

    def apply(self, block: NDArray[Any]) -> NDArray[Any]:
        """Turn the last two axes of a block (..., y, x)."""
        if self.transpose:
            block = np.swapaxes(block, -1, -2)
        return block[..., :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def undo(self, block: NDArray[Any]) -> NDArray[Any]:
        """Turn a block back."""
        block = block[..., :: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        return np.swapaxes(block, -1, -2) if self.transpose else block


def plane_axis(geometry: Geometry) -> int:
    """Return the LPS axis (0, 1, 2) nearest to the slice normal: sagittal, coronal, axial."""
    normal = np.cross(geometry.direction[:, 2], geometry.direction[:, 1])
    return int(np.abs(normal).argmax())


def find_hanging(geometry: Geometry) -> Hanging:
    """Find the turn that brings a grid into the display convention of its nearest plane."""
    (row_axis, row_sign), (column_axis, column_sign) = DISPLAY[plane_axis(geometry)]
    rows, columns = geometry.direction[:, 1], geometry.direction[:, 2]
    transpose = bool(
        abs(rows[row_axis]) + abs(columns[column_axis])
        < abs(rows[column_axis]) + abs(columns[row_axis])
    )
    if transpose:
        rows, columns = columns, rows
    return Hanging(
        transpose=transpose,
        flip_rows=bool(rows[row_axis] * row_sign < 0),
        flip_columns=bool(columns[column_axis] * column_sign < 0),
        flip_slices=bool(geometry.direction[plane_axis(geometry), 0] < 0),
    )
