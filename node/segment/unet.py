"""A residual U-Net in Keras 3, written with layers only so that any backend can train it.

References
----------
Ronneberger, Fischer, Brox: U-Net. MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.
He, Zhang, Ren, Sun: Identity mappings in deep residual networks. ECCV 2016,
doi:10.1007/978-3-319-46493-0_38.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class UNetSpec:
    """Size of the network.

    Parameters
    ----------
    filters : tuple of int
        Channels of each level, from full resolution down.
    blocks : int
        Residual blocks per level and side.
    dropout : float
        Spatial dropout at the two deepest levels.
    """

    filters: tuple[int, ...] = (16, 32, 64, 128, 192)
    blocks: int = 1
    dropout: float = 0.1


def _residual(x: Any, filters: int, name: str) -> Any:
    from keras import layers

    shortcut = x
    if x.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(x)
    for step in (1, 2):
        x = layers.BatchNormalization(name=f"{name}_norm{step}")(x)
        x = layers.Activation("relu", name=f"{name}_relu{step}")(x)
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv{step}")(x)
    return layers.Add(name=f"{name}_add")([x, shortcut])


def _level(x: Any, filters: int, blocks: int, name: str) -> Any:
    for block in range(blocks):
        x = _residual(x, filters, f"{name}_{block}")
    return x


def build_unet(spec: UNetSpec) -> Any:
    """Build the network.

    Returns
    -------
    keras.Model
        Maps float32 (batch, rows, columns, 1), rows and columns multiples of
        ``2 ** (len(filters) - 1)``, to float32 logits of the same size.
    """
    import keras  # deferred: importing Keras takes seconds and only workers and training need it
    from keras import layers

    image = keras.Input((None, None, 1), name="image")
    x = layers.Conv2D(spec.filters[0], 3, padding="same", use_bias=False, name="stem")(image)
    deepest = len(spec.filters) - 1
    skips = []
    for depth, filters in enumerate(spec.filters):
        if depth:
            x = layers.MaxPooling2D(2, name=f"pool{depth}")(x)
        x = _level(x, filters, spec.blocks, f"down{depth}")
        if spec.dropout and depth >= deepest - 1:
            x = layers.SpatialDropout2D(spec.dropout, name=f"drop{depth}")(x)
        if depth < deepest:
            skips.append(x)
    for depth in reversed(range(deepest)):
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"rise{depth}")(x)
        x = layers.Conv2D(
            spec.filters[depth], 3, padding="same", use_bias=False, name=f"shrink{depth}"
        )(x)
        x = layers.Concatenate(name=f"join{depth}")([x, skips[depth]])
        x = _level(x, spec.filters[depth], spec.blocks, f"up{depth}")
    x = layers.BatchNormalization(name="last_norm")(x)
    x = layers.Activation("relu", name="last_relu")(x)
    logits = layers.Conv2D(1, 1, dtype="float32", name="logits")(x)
    return keras.Model(image, logits, name="residual_unet")
