"""The golden case of a bundle: a small real input and what must come out of it.

``golden/input.npz`` holds one slice; ``golden/expected.npz`` what the bundle made of it when it was
packaged. A difference means other weights, another library or a processor that computes otherwise.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Problem, SetupFault
from node.domain.geometry import Geometry
from node.domain.volume import Volume

MINIMUM_DICE = 0.98
RELATIVE_TOLERANCE = 0.05
PROBABILITY_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class GoldenOutput:
    """What a bundle makes of its golden input.

    Parameters
    ----------
    mask : ndarray of bool, shape (z, y, x)
    values : ndarray of float64, shape (features,)
        Of the largest lesion.
    probability : float
        Of malignancy.
    """

    mask: NDArray[np.bool_]
    values: NDArray[np.float64]
    probability: float


def save_golden(directory: Path, volume: Volume, output: GoldenOutput) -> None:
    """Write input and expected output."""
    directory.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        directory / "input.npz",
        voxels=volume.voxels,
        affine=volume.geometry.affine,
        modality=np.array(volume.modality),
    )
    np.savez_compressed(
        directory / "expected.npz",
        mask=np.packbits(output.mask),
        values=output.values,
        probability=np.array(output.probability),
    )


def read_golden(directory: Path) -> tuple[Volume, GoldenOutput]:
    """Read input and expected output."""
    with np.load(directory / "input.npz", allow_pickle=False) as content:
        voxels, affine = content["voxels"], content["affine"]
        modality = str(content["modality"])
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
    return volume, output


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
            abs(found.probability - expected.probability) <= PROBABILITY_TOLERANCE,
            f"{found.probability:.4f}",
            f"{expected.probability:.4f} within {PROBABILITY_TOLERANCE}",
        ),
    ]
    if found.values.shape == expected.values.shape:
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
