"""Our diameters are those of PyRadiomics' mesh."""

import numpy as np
import pytest
import SimpleITK as sitk
from factories_volumes import make_ball, make_geometry
from radiomics.featureextractor import RadiomicsFeatureExtractor

from node.segment.diameters import (
    measure_in_plane_axes,
    measure_maximum_diameter,
    outline_points,
)

SHAPE, SPACING_MM = (14, 40, 44), (3.0, 0.8, 1.1)


def make_blob() -> np.ndarray:
    """Two balls that touch: no symmetry to hide behind."""
    first = make_ball(SHAPE, (5, 15, 15), 7, SPACING_MM)
    return first | make_ball(SHAPE, (7, 24, 22), 9, SPACING_MM)


def test_maximum_3d_diameter_is_that_of_the_mesh():
    mask = make_blob()
    image = sitk.GetImageFromArray(np.zeros(SHAPE))
    label = sitk.GetImageFromArray(mask.astype(np.uint8))
    for each in (image, label):
        each.SetSpacing(SPACING_MM[::-1])
    extractor = RadiomicsFeatureExtractor(additionalInfo=False)
    extractor.disableAllFeatures()
    extractor.enableFeaturesByName(shape=["Maximum3DDiameter"])
    expected = float(extractor.execute(image, label)["original_shape_Maximum3DDiameter"])
    geometry = make_geometry(SHAPE, SPACING_MM)
    found = measure_maximum_diameter(outline_points(mask), geometry)
    assert found == pytest.approx(expected, rel=1e-6)


def test_axes_of_a_rectangle():
    mask = np.zeros(SHAPE, bool)
    mask[3, 10:20, 5:9] = True
    long_axis, short_axis = measure_in_plane_axes(mask, make_geometry(SHAPE, (3.0, 1.0, 1.0)))
    # Outline points lie on the edges' middles: (10, 3) and (9, 4) apart at the far corners.
    assert long_axis == pytest.approx(np.hypot(10, 3))
    assert 4 <= short_axis <= np.hypot(9, 4)


def test_axes_do_not_change_when_the_grid_is_turned():
    mask = make_blob()
    geometry = make_geometry(SHAPE, SPACING_MM)
    angle = np.deg2rad(25)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    turned = type(geometry)(affine=turn @ geometry.affine, shape=SHAPE)
    assert measure_in_plane_axes(mask, turned) == pytest.approx(
        measure_in_plane_axes(mask, geometry)
    )
