"""PyRadiomics behind a fixed list of names."""

import numpy as np
import pytest
import SimpleITK as sitk
from factories_volumes import make_geometry, make_head, make_volume
from radiomics.featureextractor import RadiomicsFeatureExtractor

from node.domain.intensity import normalise_over_tissue
from node.radiomics.extract import SCALE, ExtractionSpec, Extractor
from node.radiomics.names import INTENSITY_CLASSES
from node.radiomics.profiles import PLANAR_102
from node.segment.lesions import LesionSpec, find_lesions

SHAPE = (3, 120, 110)


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(
        ExtractionSpec(profile=PLANAR_102, spacing_mm=1.0, bin_width=10, foreground_fraction=0.08)
    )


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    y, x = np.ogrid[: SHAPE[1], : SHAPE[2]]
    return (y - 60) ** 2 + (x - 50) ** 2 <= 12**2


def test_names_are_fixed(extractor):
    assert len(extractor.names) == len(set(extractor.names)) == 102
    assert extractor.names[0] == "original_shape2D_Elongation"
    classes = [name.split("_")[1] for name in extractor.names]
    assert list(dict.fromkeys(classes)) == ["shape2D", *INTENSITY_CLASSES]


def test_a_disc_has_the_shape_of_a_disc(extractor, disc):
    vector = extractor.extract_slice(make_head(SHAPE)[1], disc, spacing_mm=(1.0, 1.0))
    value = dict(zip(vector.names, vector.values, strict=True))
    assert value["original_shape2D_PixelSurface"] == pytest.approx(np.pi * 12**2, rel=0.03)
    assert value["original_shape2D_Elongation"] == pytest.approx(1, abs=0.02)
    assert not np.isnan(vector.values).any()


def test_intensity_is_told_in_deviations_of_the_tissue(extractor, disc):
    slice_ = make_head(SHAPE)[1].astype(np.float32)
    tissue = slice_[slice_ > 0.08 * np.percentile(slice_, 99.5)]
    slice_[disc] += 3 * tissue.std()
    vector = extractor.extract_slice(slice_, disc, spacing_mm=(1.0, 1.0))
    value = dict(zip(vector.names, vector.values, strict=True))
    brighter = slice_[slice_ > 0.08 * np.percentile(slice_, 99.5)]
    expected = SCALE * (slice_[disc].mean() - brighter.mean()) / brighter.std()
    assert value["original_firstorder_Mean"] == pytest.approx(expected, rel=0.02)


def test_gain_does_not_change_features(extractor, disc):
    slice_ = make_head(SHAPE)[1].astype(np.float32)
    first = extractor.extract_slice(slice_, disc, spacing_mm=(1.0, 1.0)).values
    second = extractor.extract_slice(slice_ * 5, disc, spacing_mm=(1.0, 1.0)).values
    assert np.allclose(first, second, rtol=0.02)


def test_a_lesion_is_read_from_its_largest_slice(extractor, disc):
    probability = np.zeros(SHAPE, np.float16)
    probability[1][disc] = 0.9
    probability[0, 55:60, 45:50] = 0.9
    volume = make_volume(make_head(SHAPE), make_geometry(SHAPE))
    found = find_lesions(volume, probability, LesionSpec(), model_digest="")
    vector = extractor.extract(volume, found, found.lesions[0])
    alone = extractor.extract_slice(volume.voxels[1], disc, spacing_mm=(1.0, 1.0))
    assert np.array_equal(vector.values, alone.values)


def test_planar_102_is_what_pyradiomics_says_in_one_call(extractor, disc):
    """Bundles in service rely on it: same names, same values, to the last bit."""
    slice_ = make_head(SHAPE)[1].astype(np.float32)
    scaled = normalise_over_tissue(slice_, foreground_fraction=0.08) * np.float32(SCALE)
    images = [sitk.GetImageFromArray(each[None]) for each in (scaled, disc.astype(np.uint8))]
    for image in images:
        image.SetSpacing((1.3, 0.7, 1.0))
    library = RadiomicsFeatureExtractor(
        binWidth=10,
        resampledPixelSpacing=[1.0, 1.0, 0],
        force2D=True,
        additionalInfo=False,
        minimumROIDimensions=1,
    )
    library.enableFeatureClassByName("shape2D")
    library.enableFeatureClassByName("shape", False)
    expected = library.execute(*images)
    vector = extractor.extract_slice(slice_, disc, spacing_mm=(0.7, 1.3))
    assert set(vector.names) == set(expected)
    assert [float(expected[name]) for name in vector.names] == vector.values.tolist()


def test_undefined_features_are_nan_and_not_an_error(extractor):
    mask = np.zeros(SHAPE[1:], bool)
    assert np.isnan(
        extractor.extract_slice(make_head(SHAPE)[1], mask, spacing_mm=(1, 1)).values
    ).all()
    mask[60, 50] = True
    one_pixel = extractor.extract_slice(make_head(SHAPE)[1], mask, spacing_mm=(1.0, 1.0))
    assert len(one_pixel.values) == 102
    flat = np.zeros(SHAPE[1:], np.int16)
    assert np.isnan(extractor.extract_slice(flat, mask, spacing_mm=(1.0, 1.0)).values).all()
