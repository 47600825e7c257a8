"""Weights in half precision come back as float32, nearly the same."""

import keras
import numpy as np

from node.segment.msa_resunet import NetworkSpec, build_network
from node.training.half_precision import halve_weights


def test_half_the_size_and_the_same_answer(tmp_path):
    keras.utils.set_random_seed(0)
    model = build_network(NetworkSpec(filters=(8, 32), fusion_channels=2, selective_from=None))
    path = tmp_path / "network.keras"
    model.save(path)
    before = path.stat().st_size
    halve_weights(path)
    halved = path.read_bytes()
    assert len(halved) < 0.6 * before
    again = keras.models.load_model(path, compile=False)
    assert {weight.dtype for weight in again.weights} == {"float32"}
    image = np.random.default_rng(4).normal(size=(1, 16, 16, 1)).astype(np.float32)
    np.testing.assert_allclose(
        again.predict_on_batch(image), model.predict_on_batch(image), atol=0.01
    )
    halve_weights(path)
    assert path.read_bytes() == halved
