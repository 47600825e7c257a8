"""Programs of others that judge DICOM objects; a test that needs a missing one is skipped."""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from tools import require_tool

from node.domain.geometry import Geometry

PIXELMED_JAR = Path(os.environ.get("PIXELMED_JAR", "/usr/share/java/pixelmed.jar"))


def dciodvfy_errors(path: Path) -> list[str]:
    """Errors that dciodvfy finds in one object."""
    return _errors([require_tool("dciodvfy"), "-new", str(path)])


def dcentvfy_errors(paths: Sequence[Path]) -> list[str]:
    """Errors that dcentvfy finds between objects of one study."""
    return _errors([require_tool("dcentvfy"), *map(str, paths)])


def pixelmed_sr_errors(path: Path) -> list[str]:
    """Errors that PixelMed's validator finds in a structured report."""
    java = require_tool("java")
    if not PIXELMED_JAR.exists():
        pytest.skip("pixelmed.jar is not installed")
    limits = [f"-Djdk.xml.xpath{name}Limit=0" for name in ("TotalOp", "ExprOp", "ExprGrp")]
    validator = "com.pixelmed.validate.DicomSRValidator"
    command = [java, *limits, "-Xmx4g", "-cp", str(PIXELMED_JAR), validator, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    said = done.stdout + done.stderr
    assert "IOD is" in said or "Found" in said, f"the validator said nothing: {said[:500]}"
    return [line for line in said.splitlines() if "Error" in line or "Exception" in line]


def decode_with_dcmqi(seg: Path, folder: Path, geometry: Geometry) -> tuple[NDArray[np.uint8], int]:
    """Decode a SEG with segimage2itkimage and carry it to the grid of its source.

    Returns
    -------
    labels : ndarray of uint8, shape of the geometry
        Segment number of every voxel.
    astray : int
        Foreground voxels that dcmqi places between the voxels of the grid, or outside it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [require_tool("segimage2itkimage"), "--inputDICOM", str(seg)]
    command += ["--outputDirectory", str(folder), "--outputType", "nrrd"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    images = sorted(folder.glob("*.nrrd"))
    assert images, f"dcmqi wrote nothing (exit code {done.returncode}): {done.stderr[-500:]}"
    assert json.loads(next(folder.glob("*.json")).read_text())["segmentAttributes"]
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    astray = 0
    for image in map(sitk.ReadImage, images):
        values = sitk.GetArrayFromImage(image)
        where = np.argwhere(values > 0)
        direction = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
        lps_mm = np.array(image.GetOrigin()) + where[:, ::-1] @ direction.T
        index = geometry.to_index(lps_mm)
        voxel = np.rint(index).astype(int)
        inside = ((voxel >= 0) & (voxel < geometry.shape)).all(axis=1)
        on_grid = np.abs(index - voxel).max(axis=1) < 0.05
        good = inside & on_grid
        astray += int((~good).sum())
        labels[tuple(voxel[good].T)] = values[tuple(where[good].T)]
    return labels, astray


def _errors(command: list[str]) -> list[str]:
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )
    said = (done.stdout + done.stderr).splitlines()
    return [line for line in said if re.match(r"(Error|ERROR|Abort)", line)]
