"""Several volumes on one grid become the channels of a slice, each prepared by itself."""

from types import SimpleNamespace

import numpy as np
import pytest
from factories_volumes import make_head, make_volume

from node.segment.network import Network
from node.segment.preprocess import InputSpec, plan_preparation, prepare_slices

SPEC = InputSpec(spacing_mm=1.0)
VOLUMES = [make_volume(make_head((5, 90, 70), seed=seed) * (seed + 1)) for seed in range(3)]


def network_of(weights: list[float]) -> Network:
    """Logits that are a weighted sum of the channels."""
    model = SimpleNamespace(
        predict_on_batch=lambda images: (images * np.array(weights)).sum(axis=-1, keepdims=True)
    )
    return Network(model, SPEC, batch=2)


def test_every_channel_is_prepared_as_if_it_were_alone() -> None:
    slices = prepare_slices(VOLUMES, SPEC)
    assert slices.shape == (5, 96, 80, 3)
    for place, volume in enumerate(VOLUMES):
        alone = plan_preparation(volume, SPEC)
        for k in range(5):
            assert np.array_equal(slices[k, ..., place], alone.apply(volume.voxels[k]))


def test_channels_keep_their_order() -> None:
    for place, volume in enumerate(VOLUMES):
        weights = [float(n == place) for n in range(3)]
        found = network_of(weights).predict(VOLUMES)
        alone = network_of([1.0]).predict(volume)
        assert np.array_equal(found, alone)


def test_the_reference_tells_which_slices_hold_tissue() -> None:
    reference, other = (volume.voxels.copy() for volume in VOLUMES[:2])
    reference[0], other[1] = 0, 0
    found = network_of([1.0, 1.0]).predict([make_volume(reference), make_volume(other)])
    assert not found[0].any()
    assert found[1].any()


def test_other_grids_are_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="several shapes"):
        network_of([1.0, 1.0]).predict([VOLUMES[0], make_volume(make_head((5, 80, 70)))])
