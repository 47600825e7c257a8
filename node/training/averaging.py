"""Running average of the weights: smoother than the last step, and good at any epoch.

References
----------
Tarvainen, Valpola: Mean teachers. NeurIPS 2017, arXiv:1703.01780 (exponential average).
"""

from pathlib import Path
from typing import Any

import numpy as np


class WeightAverage:
    """Exponential moving average of all weights of a model, statistics of normalisation included.

    Parameters
    ----------
    model : keras.Model
    momentum : float
        0 follows the model at once.
    """

    def __init__(self, model: Any, *, momentum: float) -> None:
        self.model = model
        self.momentum = momentum
        self.steps = 0
        self.weights = [np.array(w, np.float32) for w in model.get_weights()]

    def update(self) -> None:
        """Take in the weights after a step; early steps count more, as there is nothing yet."""
        self.steps += 1
        keep = min(self.momentum, self.steps / (self.steps + 10))
        self.weights = [
            keep * mean + (1 - keep) * np.asarray(now, np.float32)
            for mean, now in zip(self.weights, self.model.get_weights(), strict=True)
        ]

    def swap(self) -> None:
        """Exchange the model's weights and the average; a second call undoes the first."""
        current = [np.array(w, np.float32) for w in self.model.get_weights()]
        self.model.set_weights(self.weights)
        self.weights = current

    def save(self, path: Path) -> None:
        """Write as npz."""
        arrays = {f"w{i}": w for i, w in enumerate(self.weights)}
        np.savez(path, steps=np.array(self.steps), **arrays)  # type: ignore[arg-type]  # numpy's stubs take the names for options

    def load(self, path: Path) -> None:
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as content:
            self.steps = int(content["steps"])
            self.weights = [content[f"w{i}"] for i in range(len(content.files) - 1)]
