"""Surface figures against values published with the method, and against SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import binary_erosion, distance_transform_edt

from node.evaluation.surface import measure_masks


def test_slabs_that_differ_by_one_slice():
    # Expected: test_two_cubes_shifted_by_one_pixel of the reference implementation of
    # Nikolov et al., doi:10.2196/26151.
    first, second = np.zeros((2, 100, 100, 100), bool)
    first[:50], second[:51] = True, True
    found = measure_masks(first, second, (2, 1, 1), tolerance_mm=1)
    assert found.hd95_mm == pytest.approx(2.0)
    assert found.surface_dice == pytest.approx(0.836, abs=5e-4)
    assert found.dice == pytest.approx(0.990, abs=5e-4)


@pytest.mark.parametrize("depth", [1, 9])
def test_two_voxels_2_mm_apart(depth):
    # Expected: test_on_2_pixels_2mm_away, in 2D and 3D.
    first, second = np.zeros((2, depth, 32, 32), bool)
    first[depth // 2, 12, 12], second[depth // 2, 12, 14] = True, True
    found = measure_masks(first, second, (3, 2, 1), tolerance_mm=1)
    assert (found.hd95_mm, found.surface_dice) == (2.0, 0.5)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (3.0, 0.8, 0.8)])
def test_spheres_against_boundary_voxels_of_an_independent_distance_map(spacing_mm):
    k, j, i = np.indices((24, 60, 60)) * np.array(spacing_mm)[:, None, None, None]
    centre = np.array([23, 59, 59]) * spacing_mm / np.array([2.0])
    distance_mm = np.sqrt((k - centre[0]) ** 2 + (j - centre[1]) ** 2 + (i - centre[2]) ** 2)
    small, large = distance_mm <= 7, distance_mm <= 10
    found = measure_masks(small, large, spacing_mm)

    surface = large & ~binary_erosion(large)
    to_small = distance_transform_edt(~(small & ~binary_erosion(small)), sampling=spacing_mm)
    voxel_mm = float(np.linalg.norm(spacing_mm))
    assert found.hd95_mm == pytest.approx(np.percentile(to_small[surface], 95), abs=voxel_mm / 2)

    images = []
    for mask in (small, large):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        image.SetSpacing(spacing_mm[::-1])
        images.append(image)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    assert found.dice == pytest.approx(overlap.GetDiceCoefficient())
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*images)
    assert found.hd95_mm <= hausdorff.GetHausdorffDistance() + voxel_mm / 2
    assert found.reference_ml == pytest.approx(4 / 3 * np.pi * 7**3 / 1000, rel=0.03)
    assert found.predicted_ml == pytest.approx(4 / 3 * np.pi * 10**3 / 1000, rel=0.03)
