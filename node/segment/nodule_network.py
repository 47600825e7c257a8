"""Run a trained network on the surroundings of a point."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Geometry
from node.domain.prompt import Prompt
from node.domain.volume import Volume
from node.segment.nodule_patches import Box, NoduleInputSpec, NodulePatches, prepare_patches


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


def is_inside(geometry: Geometry, prompt: Prompt) -> bool:
    """Tell whether a point lies within the outer edges of a grid."""
    index = geometry.to_index(prompt.point_lps_mm)
    return bool((index >= -0.5).all() and (index <= np.array(geometry.shape) - 0.5).all())
