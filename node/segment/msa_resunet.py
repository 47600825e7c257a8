"""MSA-ResUNet and the plain U-Net in Keras 3, of layers only: any backend trains and serves it.

Every part beyond the plain U-Net can be switched off, so that an ablation compares like with like.
ADR 004 names the source of each part and why it is built as it is.

References
----------
Ronneberger, Fischer, Brox: U-Net. MICCAI 2015, doi:10.1007/978-3-319-24574-4_28.
He, Zhang, Ren, Sun: Identity mappings in deep residual networks. ECCV 2016,
doi:10.1007/978-3-319-46493-0_38 (residual blocks).
Huang et al.: UNet 3+. ICASSP 2020, doi:10.1109/ICASSP40776.2020.9053405 (full-scale fusion).
Li, Wang, Hu, Yang: Selective kernel networks. CVPR 2019, doi:10.1109/CVPR.2019.00060.
Oktay et al.: Attention U-Net. MIDL 2018, arXiv:1804.03999 (attention gates).
Lee et al.: Deeply-supervised nets. AISTATS 2015, arXiv:1409.5185 (deep supervision).
"""

from dataclasses import dataclass
from typing import Any

#: Levels, from full resolution down, whose decoders also give logits under deep supervision.
SUPERVISED_LEVELS = (1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Size of the network and its parts.

    Parameters
    ----------
    filters : tuple of int
        Channels of each level, from full resolution down.
    channels : int
        Of the input.
    dropout : float
        Spatial dropout at the two deepest levels.
    residual : bool
        Residual blocks instead of two convolutions in a row.
    fusion : bool
        Every decoder level sees all encoder levels above it and all decoder levels below it.
    fusion_channels : int
        To which each of them is reduced first.
    selective_from : int or None
        Blocks from this level down choose between a 3x3 and a 5x5 field of view; None for no
        selective kernels.
    gates : bool
        Attention gates on the skip connections.
    supervision : bool
        Coarser decoder levels give logits too, in training.
    """

    filters: tuple[int, ...] = (16, 32, 64, 128, 192)
    channels: int = 1
    dropout: float = 0.1
    residual: bool = True
    fusion: bool = True
    fusion_channels: int = 16
    selective_from: int | None = 1
    gates: bool = True
    supervision: bool = True


def build_network(spec: NetworkSpec) -> Any:
    """Build the network for training.

    Returns
    -------
    keras.Model
        Maps float32 (batch, rows, columns, channels), rows and columns multiples of
        ``2 ** (len(filters) - 1)``, to float32 logits (batch, rows, columns, 1 + n): the first
        channel is the answer, the others are those of the coarser levels, enlarged.
    """
    import keras  # deferred: importing Keras takes seconds and only workers and training need it
    from keras import layers

    image = keras.Input((None, None, spec.channels), name="image")
    encoded, pooled = _encode(image, spec)
    decoded: dict[int, Any] = {len(spec.filters) - 1: encoded[-1]}
    for depth in reversed(range(len(spec.filters) - 1)):
        decoded[depth] = _decode(depth, encoded, pooled, decoded, spec)
    heads = [_head(decoded[0], "logits")]
    if spec.supervision:
        for depth in SUPERVISED_LEVELS:
            if depth in decoded and depth < len(spec.filters) - 1:
                coarse = _head(decoded[depth], f"logits{depth}")
                heads.append(
                    layers.UpSampling2D(2**depth, name=f"enlarge{depth}", dtype="float32")(coarse)
                )
    out = layers.Concatenate(name="heads", dtype="float32")(heads) if heads[1:] else heads[0]
    return keras.Model(image, out, name="msa_resunet")


def keep_answer(model: Any) -> Any:
    """Return the model without the logits of coarser levels, sharing its weights."""
    import keras

    return keras.Model(model.inputs, model.get_layer("logits").output, name=model.name)


def _head(x: Any, name: str) -> Any:
    from keras import layers

    return layers.Conv2D(1, 1, dtype="float32", name=name)(_norm_relu(x, f"{name}_in"))


def _norm_relu(x: Any, name: str) -> Any:
    from keras import layers

    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _conv(x: Any, filters: int, size: int, name: str, **more: Any) -> Any:
    from keras import layers

    return layers.Conv2D(filters, size, padding="same", use_bias=False, name=name, **more)(x)


def _encode(image: Any, spec: NetworkSpec) -> tuple[list[Any], list[Any]]:
    """Return the output of each level, and the same halved, as the next level sees it."""
    from keras import layers

    x = _conv(image, spec.filters[0], 3, "stem") if spec.residual else image
    encoded: list[Any] = []
    pooled: list[Any] = []
    for depth, filters in enumerate(spec.filters):
        if depth:
            x = layers.MaxPooling2D(2, name=f"pool{depth}")(x)
            pooled.append(x)
        x = _block(x, filters, depth, f"down{depth}", spec)
        if spec.dropout and depth >= len(spec.filters) - 2:
            x = layers.SpatialDropout2D(spec.dropout, name=f"drop{depth}")(x)
        encoded.append(x)
    return encoded, pooled


def _decode(
    depth: int,
    encoded: list[Any],
    pooled: list[Any],
    decoded: dict[int, Any],
    spec: NetworkSpec,
) -> Any:
    from keras import layers

    filters = spec.filters[depth]
    below = decoded[depth + 1]
    skip = encoded[depth]
    if spec.gates:
        skip = _gate(skip, pooled[depth], below, max(8, filters // 2), f"gate{depth}")
    rise = layers.UpSampling2D(2, name=f"rise{depth}")(_conv(below, filters, 1, f"shrink{depth}"))
    joined = [skip, rise]
    if spec.fusion:
        joined += _gather(depth, pooled, decoded, spec)
    x = layers.Concatenate(name=f"join{depth}")(joined)
    return _block(x, filters, depth, f"up{depth}", spec)


def _gather(depth: int, pooled: list[Any], decoded: dict[int, Any], spec: NetworkSpec) -> list[Any]:
    """Bring encoder levels above and decoder levels below (not the next) to this level's grid."""
    from keras import layers

    found = []
    for above in range(depth):
        name = f"fuse{above}to{depth}"
        further = 2 ** (depth - above - 1)
        x = pooled[above]
        if further > 1:
            x = layers.MaxPooling2D(further, name=f"{name}_pool")(x)
        found.append(_conv(x, spec.fusion_channels, 1, name))
    for below in range(depth + 2, len(spec.filters)):
        name = f"fuse{below}to{depth}"
        shrunk = _conv(decoded[below], spec.fusion_channels, 1, name)
        found.append(layers.UpSampling2D(2 ** (below - depth), name=f"{name}_rise")(shrunk))
    return found


def _gate(skip: Any, halved: Any, below: Any, filters: int, name: str) -> Any:
    """Weight every pixel of a skip connection by what the level below makes of it.

    The weights are found on the grid of the level below; ``halved`` is the skip on that grid.
    """
    from keras import layers

    seen = _conv(halved, filters, 1, f"{name}_skip")
    asked = _conv(below, filters, 1, f"{name}_below")
    x = layers.Activation("relu", name=f"{name}_relu")(
        layers.Add(name=f"{name}_add")([seen, asked])
    )
    weight = layers.Conv2D(1, 1, activation="sigmoid", name=f"{name}_weight")(x)
    weight = layers.UpSampling2D(2, name=f"{name}_rise")(weight)
    return layers.Multiply(name=f"{name}_out")([skip, weight])


def _block(x: Any, filters: int, depth: int, name: str, spec: NetworkSpec) -> Any:
    from keras import layers

    selective = spec.selective_from is not None and depth >= spec.selective_from
    if not spec.residual:
        for step in (1, 2):
            second = selective and step == 2
            x = (_select if second else _conv3)(x, filters, f"{name}_conv{step}")
            x = _norm_relu(x, f"{name}_{step}")
        return x
    shortcut = x if x.shape[-1] == filters else _conv(x, filters, 1, f"{name}_project")
    for step in (1, 2):
        x = _norm_relu(x, f"{name}_{step}")
        second = selective and step == 2
        x = (_select if second else _conv3)(x, filters, f"{name}_conv{step}")
    return layers.Add(name=f"{name}_add")([x, shortcut])


def _conv3(x: Any, filters: int, name: str) -> Any:
    return _conv(x, filters, 3, name)


def _select(x: Any, filters: int, name: str) -> Any:
    """Blend a 3x3 and a dilated 3x3 (5x5 field) convolution, channel by channel.

    The softmax over two branches is written as a sigmoid of their difference.
    """
    from keras import layers

    near = _conv(x, filters, 3, f"{name}_near")
    far = _conv(x, filters, 3, f"{name}_far", dilation_rate=2)
    both = layers.Add(name=f"{name}_both")([near, far])
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(both)
    squeezed = layers.Conv2D(max(8, filters // 4), 1, activation="relu", name=f"{name}_squeeze")(
        squeezed
    )
    share = layers.Conv2D(filters, 1, activation="sigmoid", name=f"{name}_share")(squeezed)
    gap = layers.Subtract(name=f"{name}_gap")([near, far])
    return layers.Add(name=f"{name}_out")(
        [far, layers.Multiply(name=f"{name}_scaled")([gap, share])]
    )
