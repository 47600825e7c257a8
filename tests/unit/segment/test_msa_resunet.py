"""The network and its parts: sizes, switches, and what is served of it."""

import numpy as np
import pytest

from node.segment.msa_resunet import NetworkSpec, build_network, keep_answer

SMALL = {"filters": (4, 8, 8, 8), "fusion_channels": 2, "selective_from": 1}
OFF = {
    "residual": False,
    "fusion": False,
    "selective_from": None,
    "gates": False,
    "supervision": False,
}
WEIGHTED = ("conv2d", "batch_normalization")


def layer_names(spec):
    return [layer.name for layer in build_network(spec).layers]


@pytest.mark.parametrize("channels", [1, 4])
def test_logits_are_as_large_as_the_image_with_one_channel_for_each_level(channels):
    model = build_network(NetworkSpec(channels=channels, **SMALL))
    image = np.zeros((2, 16, 24, channels), np.float32)
    assert model.predict_on_batch(image).shape == (2, 16, 24, 3)
    assert keep_answer(model).predict_on_batch(image).shape == (2, 16, 24, 1)


def test_the_answer_is_the_first_channel_of_training():
    model = build_network(NetworkSpec(**SMALL))
    image = np.random.default_rng(1).normal(size=(1, 16, 16, 1)).astype(np.float32)
    both = model.predict_on_batch(image), keep_answer(model).predict_on_batch(image)
    np.testing.assert_allclose(both[0][..., :1], both[1], atol=1e-5)


@pytest.mark.parametrize(
    ("switch", "mark"),
    [
        ("residual", "down1_add"),
        ("fusion", "fuse0to1"),
        ("selective_from", "_share"),
        ("gates", "gate"),
        ("supervision", "logits1"),
    ],
)
def test_each_part_can_be_switched_off_by_itself(switch, mark):
    on = layer_names(NetworkSpec(**SMALL))
    off = layer_names(NetworkSpec(**{**SMALL, switch: OFF[switch]}))
    assert any(mark in name for name in on)
    assert not any(mark in name for name in off)


def test_without_its_parts_it_is_the_plain_u_net():
    model = build_network(NetworkSpec(**{**SMALL, **OFF}))
    names = {type(layer).__name__ for layer in model.layers}
    assert names == {
        "InputLayer", "Conv2D", "BatchNormalization", "Activation", "MaxPooling2D",
        "SpatialDropout2D", "UpSampling2D", "Concatenate",
    }  # fmt: skip
    assert model.output_shape == (None, None, None, 1)


def test_selective_kernels_choose_by_what_they_see():
    """The share of the wide field differs between images: the receptive field adapts."""
    import keras

    # with some few weights of so small a network no unit is alive, and all shares are a half
    keras.utils.set_random_seed(0)
    model = build_network(NetworkSpec(**SMALL))
    shares = keras.Model(model.inputs, model.get_layer("down2_conv2_share").output)
    rng = np.random.default_rng(2)
    images = np.stack([rng.normal(size=(32, 32, 1)), np.ones((32, 32, 1))]).astype(np.float32)
    first, second = np.asarray(shares.predict_on_batch(images))
    assert not np.allclose(first, second)
    assert ((first > 0) & (first < 1)).all()
