"""A bundle of the kind "nodule" whose network marks soft tissue, so that no training is needed."""

from pathlib import Path
from typing import Any

import numpy as np
from factories_nodules import CENTRE, ball, ct_of

from node.domain.prompt import Prompt
from node.pipeline import open_toolbox, run_golden
from node.registry.golden import GoldenInput, save_golden
from node.training.package import seal_bundle

NAME = "tiny-nodule"


def write_nodule_bundle(models: Path) -> str:
    """Write the bundle, with its golden case, and return its name."""
    import keras

    image = keras.Input((None, None, 4))
    layer = keras.layers.Conv2D(1, 1, dtype="float32")
    network = keras.Model(image, layer(image))
    weights = np.zeros((1, 1, 4, 1), np.float32)
    weights[..., 1, 0] = 20.0  # the slice itself, not the context slices
    layer.set_weights([weights, np.array([3.0])])
    folder = models / NAME / "0.0.1"
    folder.mkdir(parents=True)
    network.save(folder / "segmenter.keras")
    manifest: dict[str, Any] = {
        "name": NAME,
        "version": "0.0.1",
        "title": "Soft tissue at a point",
        "manufacturer": "tests",
        "licence": "none",
        "data": "none",
        "limitations": "Sees nothing but density.",
        "kind": "nodule",
        "segmenter_name": "one convolution",
        "anatomic_region": {"value": "39607008", "scheme": "SCT", "meaning": "Lung"},
        "finding_type": {"value": "27925004", "scheme": "SCT", "meaning": "Nodule"},
        "accepts": {"modality": ["CT"], "body_part": ["CHEST"], "minimum_extent_mm": 10.0},
        "input": {"spacing_mm": 0.7, "size": 32, "reach_mm": 15.0},
        "lesions": {"threshold": 0.5, "minimum_area_mm2": 4.0, "minimum_peak": 0.6},
        "made_with": {},
    }
    bundle = seal_bundle(folder, manifest)
    volume, _ = ct_of(ball(5.0), shape=(9, 40, 40))
    x, y, z = CENTRE
    given = GoldenInput(channels=(volume,), prompts=(Prompt(point_lps_mm=(x, y, z)),))
    save_golden(folder / "golden", given, run_golden(open_toolbox(bundle), given))
    seal_bundle(folder, manifest)
    return NAME
