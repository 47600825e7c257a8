"""A bundle of the kind "nodule" whose network marks soft tissue, so that no training is needed."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from factories_nodules import CENTRE, ball, ct_of

from node.domain.prompt import Prompt
from node.pipeline import open_toolbox, run_golden
from node.registry.bundle import load_bundle
from node.registry.golden import GoldenInput, save_golden

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
    _seal(folder, manifest)
    volume, _ = ct_of(ball(5.0), shape=(9, 40, 40))
    x, y, z = CENTRE
    given = GoldenInput(channels=(volume,), prompts=(Prompt(point_lps_mm=(x, y, z)),))
    save_golden(folder / "golden", given, run_golden(open_toolbox(load_bundle(folder)), given))
    _seal(folder, manifest)
    return NAME


def _seal(folder: Path, manifest: dict[str, Any]) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "bundle.yaml")
    manifest["files"] = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest))
