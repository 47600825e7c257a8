"""The golden case of a bundle: a small real input and what must come out of it.

``golden/input.npz`` holds a slice or a small block of each role; ``golden/expected.npz`` what the
bundle made of it when it was packaged. A difference means other weights, another library or a
processor that computes otherwise.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Problem, SetupFault
from node.domain.geometry import Geometry
from node.domain.prompt import Prompt
from node.domain.volume import Volume

MINIMUM_DICE = 0.98
RELATIVE_TOLERANCE = 0.05
PROBABILITY_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldenInput:
    """What a bundle is proven on.

    Parameters
    ----------
    channels : tuple of Volume
        One for each role of the bundle, on one grid.
    prompts : tuple of Prompt
        Where the lesion is, for bundles that are told.
    """

    channels: tuple[Volume, ...]
    prompts: tuple[Prompt, ...] = ()

    @property
    def volume(self) -> Volume:
        """The reference: the volume of the first role."""
        return self.channels[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldenOutput:
    """What a bundle makes of its golden input.

    Parameters
    ----------
    mask : ndarray of bool, shape (z, y, x)
    values : ndarray of float64, shape (features,)
        Of the largest lesion; empty if the bundle does not classify.
    probability : float
        Of malignancy; NaN if the bundle does not tell.
    """

    mask: NDArray[np.bool_]
    values: NDArray[np.float64]
    probability: float


def save_golden(directory: Path, given: GoldenInput, output: GoldenOutput) -> None:
    """Write input and expected output."""
    directory.mkdir(parents=True, exist_ok=True)
    more: dict[str, Any] = {
        f"voxels_{number}": channel.voxels
        for number, channel in enumerate(given.channels[1:], start=1)
    }
    if given.prompts:
        more["points_lps_mm"] = np.array([prompt.point_lps_mm for prompt in given.prompts])
        more["extents_mm"] = np.array(
            [math.nan if p.extent_mm is None else p.extent_mm for p in given.prompts]
        )
    np.savez_compressed(
        directory / "input.npz",
        voxels=given.volume.voxels,
        affine=given.volume.geometry.affine,
        modality=np.array(given.volume.modality),
        **more,
    )
    np.savez_compressed(
        directory / "expected.npz",
        mask=np.packbits(output.mask),
        values=output.values,
        probability=np.array(output.probability),
    )


def read_golden(directory: Path) -> tuple[GoldenInput, GoldenOutput]:
    """Read input and expected output."""
    with np.load(directory / "input.npz", allow_pickle=False) as content:
        voxels, affine = content["voxels"], content["affine"]
        modality = str(content["modality"])
        others = [content[f"voxels_{n}"] for n in range(1, 100) if f"voxels_{n}" in content]
        prompts = _read_prompts(content) if "points_lps_mm" in content else ()
    volume = Volume(
        voxels=voxels,
        geometry=Geometry(affine=affine, shape=voxels.shape),
        modality=modality,
        study_instance_uid="",
        series_instance_uid="golden",
        frame_of_reference_uid="",
        source_uids=tuple(f"golden.{k}" for k in range(voxels.shape[0])),
        source_frames=(1,) * voxels.shape[0],
    )
    with np.load(directory / "expected.npz", allow_pickle=False) as content:
        bits = np.unpackbits(content["mask"])[: voxels.size]
        output = GoldenOutput(
            mask=bits.reshape(voxels.shape) > 0,
            values=content["values"],
            probability=float(content["probability"]),
        )
    channels = (volume, *(replace(volume, voxels=other) for other in others))
    return GoldenInput(channels=channels, prompts=prompts), output


def _read_prompts(content: Any) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(
            point_lps_mm=(float(x), float(y), float(z)),
            extent_mm=None if math.isnan(extent) else float(extent),
        )
        for (x, y, z), extent in zip(content["points_lps_mm"], content["extents_mm"], strict=True)
    )


def compare_golden(found: GoldenOutput, expected: GoldenOutput, *, bundle: str) -> None:
    """Check an output against the expected one.

    Raises
    ------
    SetupFault
        Telling every difference.
    """
    both = int((found.mask & expected.mask).sum())
    dice = 2 * both / max(1, int(found.mask.sum()) + int(expected.mask.sum()))
    checks = [
        ("mask", dice >= MINIMUM_DICE, f"Dice {dice:.4f}", f"at least {MINIMUM_DICE}"),
        (
            "probability",
            math.isnan(found.probability) == math.isnan(expected.probability)
            and not abs(found.probability - expected.probability) > PROBABILITY_TOLERANCE,
            f"{found.probability:.4f}",
            f"{expected.probability:.4f} within {PROBABILITY_TOLERANCE}",
        ),
    ]
    if found.values.shape == expected.values.shape and not expected.values.size:
        pass  # the bundle does not classify
    elif found.values.shape == expected.values.shape:
        scale = np.maximum(np.abs(expected.values), 1e-6)
        apart = np.abs(found.values - expected.values) / scale
        share = float((apart <= RELATIVE_TOLERANCE).mean())
        checks.append(
            (
                "features",
                share >= 0.9,
                f"{share:.0%} of the features within {RELATIVE_TOLERANCE:.0%}",
                "at least 90%",
            )
        )
    else:
        checks.append(
            ("features", False, f"{found.values.size} values", f"{expected.values.size} values")
        )
    problems = [
        Problem(
            code="golden-output",
            found=seen,
            expected=wanted,
            remedy="install the locked versions; if they are, the bundle must be packaged again",
            tag=f"{bundle}:{name}",
        )
        for name, right, seen, wanted in checks
        if not right
    ]
    if problems:
        raise SetupFault("\n".join(str(problem) for problem in problems))
