"""Profiles in three dimensions: on volumes, on volumes that are too thin, and on bad ones."""

import numpy as np
import pytest
from factories_volumes import make_ball, make_geometry, make_head, make_volume
from scipy.ndimage import gaussian_filter

from node.radiomics.extract import ExtractionSpec, Extractor
from node.radiomics.measure import MAXIMUM_LEVELS
from node.radiomics.profiles import FULL, PLANAR_232, STANDARD_237
from node.segment.lesions import LesionSpec, find_lesions

SHAPE, SPACING_MM, RADIUS_MM = (16, 48, 50), (2.0, 0.8, 0.8), 9.0


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    """As for nodules on CT: cubes of one millimetre, HU as they are."""
    return Extractor(
        ExtractionSpec(
            profile=STANDARD_237,
            spacing_mm=1.0,
            slice_spacing_mm=1.0,
            bin_width=25,
            normalisation="none",
        )
    )


@pytest.fixture(scope="module")
def ball() -> np.ndarray:
    return make_ball(SHAPE, (8, 24, 25), RADIUS_MM, SPACING_MM)


@pytest.fixture(scope="module")
def nodule(ball) -> np.ndarray:
    """Textured tissue of 30 HU in lung of -800 HU."""
    texture = gaussian_filter(np.random.default_rng(1).normal(size=SHAPE), 1) * 200
    return np.where(ball, 30, -800).astype(float) + texture


def measure(extractor, voxels, mask, spacing_mm=SPACING_MM):
    vector = extractor.extract_volume(voxels, mask, spacing_mm=spacing_mm)
    assert vector.names == extractor.spec.profile.names
    return dict(zip(vector.names, vector.values, strict=True))


def missing(values):
    return {name for name, value in values.items() if np.isnan(value)}


def test_a_ball_has_the_size_of_a_ball(extractor, nodule, ball):
    value = measure(extractor, nodule, ball)
    assert not missing(value)
    assert value["original_shape_MeshVolume"] == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.05)
    assert value["original_shape_Maximum3DDiameter"] == pytest.approx(18, abs=2)
    assert value["original_shape_Elongation"] == pytest.approx(1, abs=0.05)
    assert value["original_shape_Flatness"] == pytest.approx(1, abs=0.08)


def test_hounsfield_units_are_used_as_they_are(extractor, nodule, ball):
    value = measure(extractor, nodule, ball)
    shifted = measure(extractor, nodule + 100, ball)
    assert value["original_firstorder_Median"] == pytest.approx(np.median(nodule[ball]), abs=25)
    assert shifted["original_firstorder_Mean"] - value["original_firstorder_Mean"] == (
        pytest.approx(100, abs=0.1)
    )
    assert value["original_firstorder_Maximum"] == round(value["original_firstorder_Maximum"])


def test_gain_does_not_matter_where_tissue_is_the_measure(ball):
    extractor = Extractor(
        ExtractionSpec(
            profile=STANDARD_237,
            spacing_mm=1.0,
            slice_spacing_mm=1.0,
            bin_width=10,
            foreground_fraction=0.08,
        )
    )
    head = make_head(SHAPE).astype(np.float32)
    first, second = (measure(extractor, head * gain, ball) for gain in (1, 5))
    assert list(first.values()) == pytest.approx(list(second.values()), rel=0.02, abs=0.02)


def test_the_cut_out_tells_the_same_as_the_whole(extractor, nodule, ball):
    """Training data are cut out round the lesion, in service the patient is whole."""
    around = np.pad(nodule, ((20, 20), (40, 40), (40, 40)), mode="edge")
    mask = np.pad(ball, ((20, 20), (40, 40), (40, 40)))
    value, whole = measure(extractor, nodule, ball), measure(extractor, around, mask)
    original = [name for name in value if name.startswith("original")]
    assert [value[name] for name in original] == pytest.approx(
        [whole[name] for name in original], rel=0.02, abs=0.01
    )


def test_a_lesion_of_a_segmentation_is_taken_whole(extractor, nodule, ball):
    volume = make_volume(nodule, make_geometry(SHAPE, SPACING_MM))
    found = find_lesions(volume, ball.astype(np.float16), LesionSpec(), model_digest="")
    vector = extractor.extract(volume, found, found.lesions[0])
    alone = extractor.extract_volume(nodule, ball, spacing_mm=SPACING_MM)
    assert np.array_equal(vector.values, alone.values)
    assert vector.profile == "standard-237"


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_thin_volumes_lose_what_the_profile_says(nodule, ball, slices):
    extractor = Extractor(
        ExtractionSpec(profile=STANDARD_237, spacing_mm=1.0, bin_width=25, normalisation="none")
    )
    part = slice(8, 8 + slices)
    value = measure(extractor, nodule[part], ball[part])
    undefined = STANDARD_237.undefined((slices, 38, 40), (slices, 18, 18), (2.0, 1.0, 1.0))
    assert undefined
    assert missing(value) == set(undefined)


def test_a_lesion_in_one_slice_of_a_volume(nodule, ball):
    extractor = Extractor(
        ExtractionSpec(profile=STANDARD_237, spacing_mm=1.0, bin_width=25, normalisation="none")
    )
    mask = ball.copy()
    mask[np.arange(SHAPE[0]) != 0] = False
    mask[0] = ball[8]
    value = measure(extractor, nodule, mask)
    assert missing(value) == {"original_shape_Flatness", "original_shape_LeastAxisLength"}


def test_a_slice_is_a_volume_of_one_slice(extractor, nodule, ball):
    vector = extractor.extract_slice(nodule[8], ball[8], spacing_mm=(0.8, 0.8))
    value = dict(zip(vector.names, vector.values, strict=True))
    assert missing(value) == set(STANDARD_237.undefined((1, 38, 40), (1, 18, 18)))


@pytest.mark.parametrize(
    ("voxels", "mask"),
    [
        ("flat", "ball"),
        ("nodule", "none"),
        ("nodule", "one"),
        ("nodule", "two"),
        ("nodule", "all"),
        ("not-a-number", "ball"),
    ],
)
def test_nothing_raises(extractor, nodule, ball, voxels, mask):
    images = {
        "flat": np.zeros(SHAPE),
        "nodule": nodule,
        "not-a-number": np.full(SHAPE, np.nan),
    }
    one, two = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    one[8, 24, 25] = True
    two[8, 24, 25:27] = True
    masks = {"ball": ball, "none": ~np.ones(SHAPE, bool), "one": one, "two": two}
    masks["all"] = np.ones(SHAPE, bool)
    value = measure(extractor, images[voxels], masks[mask])
    assert len(value) == 237
    if mask == "none":
        assert len(missing(value)) == 237
    if voxels == "flat":
        assert value["original_shape_MeshVolume"] > 0
    if voxels == "not-a-number":
        assert len(missing(value)) == 237


def test_endless_grey_levels_are_refused(extractor, nodule, ball):
    wild = nodule.copy()
    wild[8, 24, 25] = 25.0 * 2 * MAXIMUM_LEVELS
    value = measure(extractor, wild, ball)
    assert "original_glcm_Contrast" in missing(value)
    assert value["original_shape_MeshVolume"] > 0


def test_a_planar_profile_takes_the_largest_slice_of_a_volume(nodule, ball):
    extractor = Extractor(
        ExtractionSpec(profile=PLANAR_232, spacing_mm=1.0, bin_width=25, normalisation="none")
    )
    vector = extractor.extract_volume(nodule, ball, spacing_mm=SPACING_MM)
    alone = extractor.extract_slice(nodule[8], ball[8], spacing_mm=SPACING_MM[1:])
    assert np.array_equal(vector.values, alone.values)
    assert not np.isnan(vector.values).any()


def test_the_full_profile_has_a_value_for_everything(nodule, ball):
    extractor = Extractor(
        ExtractionSpec(
            profile=FULL,
            spacing_mm=1.0,
            slice_spacing_mm=1.0,
            bin_width=25,
            normalisation="none",
        )
    )
    value = measure(extractor, nodule, ball)
    assert len(value) == 2217
    assert not missing(value)
