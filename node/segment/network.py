"""Run the trained network over the slices of a volume, or of several on one grid."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.volume import Volume
from node.segment.preprocess import InputSpec, plan_preparation


class Network:
    """A trained segmenter, ready to predict.

    Parameters
    ----------
    model : keras.Model
        Maps (batch, rows, columns, channels) to logits.
    spec : InputSpec
        Preparation that it was trained with.
    batch : int
        Slices per call, each with its mirror image.
    """

    def __init__(self, model: Any, spec: InputSpec, *, batch: int = 4) -> None:
        self.model = model
        self.spec = spec
        self.batch = batch

    @classmethod
    def load(cls, path: Path, spec: InputSpec) -> "Network":
        """Load a Keras file; needs TensorFlow."""
        import keras  # deferred: only worker processes pay for TensorFlow

        return cls(keras.models.load_model(path, compile=False), spec)

    def predict(self, channels: Volume | Sequence[Volume]) -> NDArray[np.float16]:
        """Return the tumour probability of every voxel.

        Parameters
        ----------
        channels : Volume or sequence of Volume
            One for each role, in the order of the bundle's roles and on one grid; the first is
            the reference.

        Returns
        -------
        ndarray of float16, shape (z, y, x)
            On the grid of the volumes; 0 in slices that hold no tissue in the reference. Half
            precision keeps a 2,000-slice series within memory and is exact to 0.0005.

        Raises
        ------
        ValueError
            If the volumes lie on different grids.
        """
        channels = (channels,) if isinstance(channels, Volume) else tuple(channels)
        preparation = plan_preparation(channels[0], self.spec)
        out = np.zeros(channels[0].voxels.shape, np.float16)
        evaluable = np.flatnonzero(preparation.evaluable)
        # A batch of constant size within a volume, so that the graph is traced once.
        batch = min(self.batch, len(evaluable))
        for start in range(0, len(evaluable), batch or 1):
            chosen = evaluable[start : start + batch]
            images = np.zeros((batch, *preparation.padded, len(channels)), np.float32)
            for place, k in enumerate(chosen):
                images[place] = preparation.apply_channels(channels, k)
            planes = self._predict(images)
            for k, plane in zip(chosen, planes, strict=False):  # a last batch is filled up
                out[k] = preparation.undo(plane)
        return out

    def _predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        # The mean over the image and its mirror image steadies the outline.
        both = np.concatenate([images, images[:, :, ::-1]])
        logits, mirrored = np.split(np.asarray(self.model.predict_on_batch(both)), 2)
        probability = (_sigmoid(logits) + _sigmoid(mirrored[:, :, ::-1])) / 2
        return np.asarray(probability[..., 0], np.float32)


def _sigmoid(logits: Any) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(np.asarray(logits, np.float32), -30, 30))))
