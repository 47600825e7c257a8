"""Feature tables with a signal that an SVM can learn."""

from dataclasses import replace
from typing import Any

import numpy as np

from node.training.feature_table import FeatureTable
from node.training.recipe import ClassifierRecipe

QUICK = ClassifierRecipe(
    population=6, generations=3, folds=3, slices_per_patient=4, scaling="standard"
)


def make_table(
    patients: int = 60, slices: int = 3, features: int = 8, seed: int = 3, **changes: Any
) -> FeatureTable:
    """Three types, one malignant; features 0 and 1 carry the signal, the rest are noise.

    ``changes`` replace whole columns of the table.
    """
    rng = np.random.default_rng(seed)
    kinds = np.array(["meningioma", "glioma", "pituitary"])[np.arange(patients) % 3]
    rows = np.repeat(np.arange(patients), slices)
    values = rng.normal(size=(len(rows), features))
    values[:, 0] += 3.0 * (kinds[rows] == "glioma")
    values[:, 1] += 3.0 * (kinds[rows] == "pituitary")
    parts = np.array(["train", "train", "train", "validation", "test"])[
        (np.arange(patients) // 3) % 5
    ]
    table = FeatureTable(
        names=tuple(f"feature_{i}" for i in range(features)),
        identifiers=np.array([f"{i:04d}" for i in range(len(rows))]),
        patients=np.array([f"p{i:03d}" for i in rows]),
        parts=parts[rows],
        tumour_types=kinds[rows],
        malignant=kinds[rows] == "glioma",
        dice=np.ones(len(rows)),
        overlap=np.ones(len(rows)),
        lesion_count=np.ones(len(rows), np.int64),
        values=values,
    )
    return replace(table, **changes)
