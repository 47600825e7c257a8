"""Three sequences of one head, and a bundle of three channels that marks what is bright in one.

The bundle's network is one convolution with known weights: a result tells at once whether every
role came to its own channel, and no training is needed.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from factories_volumes import make_ball, make_geometry, make_head, make_volume

from node.domain.geometry import Geometry
from node.domain.volume import Volume
from node.pipeline import open_toolbox, run_golden
from node.registry.golden import GoldenInput, save_golden
from node.training.package import seal_bundle

ROLES = ("flair", "t1", "t1ce")
SHAPE, SPACING_MM = (6, 160, 144), (5.0, 1.0, 1.0)
CENTRE, RADIUS_MM = (3, 70, 80), 12.0


def lesion(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """The ball that is bright in FLAIR."""
    return make_ball(shape, CENTRE, RADIUS_MM, SPACING_MM)


def make_sequences(*, bright: str = "flair", geometry: Geometry | None = None) -> dict[str, Volume]:
    """Volumes by role; the ball is bright in one of them and dark in the others."""
    geometry = geometry or make_geometry(SHAPE, SPACING_MM)
    volumes = {}
    for seed, role in enumerate(ROLES):
        voxels = make_head(SHAPE, seed=seed)
        voxels[:, ::2][voxels[:, ::2] > 200] += 90  # so that noise is no outlier
        voxels[lesion()] = 800 if role == bright else 100
        volumes[role] = make_volume(voxels, geometry)
    return volumes


def write_tiny_bundle(
    models: Path,
    *,
    name: str = "tiny-three",
    roles: Sequence[str] = ROLES,
    bright: str = "flair",
) -> str:
    """Write the bundle, with its golden case, and return its name."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, len(ROLES)))
    layer = keras.layers.Conv2D(1, 1, dtype="float32")
    network = keras.Model(image, layer(image))
    weights = np.zeros((1, 1, len(roles), 1), np.float32)
    weights[..., roles.index(bright), :] = 6.0
    # Tissue has a mean of 0 and a deviation of 1; the ball lies above 3.5 deviations.
    layer.set_weights([weights, np.array([-16.5])])
    folder = models / name / "0.0.1"
    folder.mkdir(parents=True)
    network.save(folder / "segmenter.keras")
    manifest = {
        "name": name,
        "version": "0.0.1",
        "title": "Bright balls in FLAIR",
        "manufacturer": "tests",
        "licence": "none",
        "data": "none",
        "limitations": "Sees nothing but brightness.",
        "segmenter_name": "one convolution",
        "roles": [{"name": role} for role in roles],
        "anatomic_region": {"value": "12738006", "scheme": "SCT", "meaning": "Brain"},
        "finding_type": {"value": "108369006", "scheme": "SCT", "meaning": "Neoplasm"},
        "accepts": {"modality": ["MR"], "body_part": ["BRAIN"], "minimum_extent_mm": 50.0},
        "input": {"spacing_mm": 1.0, "multiple": 16},
        "lesions": {"threshold": 0.5},
        "made_with": {},
    }
    bundle = seal_bundle(folder, manifest)
    given = GoldenInput(channels=tuple(make_sequences(bright=bright)[role] for role in roles))
    save_golden(folder / "golden", given, run_golden(open_toolbox(bundle), given))
    seal_bundle(folder, manifest)
    return name
