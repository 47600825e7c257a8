"""Filters of our own: laws that they must keep."""

from itertools import product

import numpy as np
import pytest
import pywt
import SimpleITK as sitk
from factories_volumes import make_ball
from radiomics.featureextractor import RadiomicsFeatureExtractor
from radiomics.imageoperations import checkMask
from scipy.ndimage import gaussian_filter

from node.radiomics.filters import FILTERS
from node.radiomics.gabor import make_kernel
from node.radiomics.profiles import FULL, PLANAR_232, STANDARD_237
from node.radiomics.region import Region

SHAPE = (20, 40, 44)
COIF = {"wavelet": "coif1", "level": 2}


def make_region(voxels, mask, spacing_mm=(1.0, 1.0, 1.0), *, planar=False) -> Region:
    image = sitk.GetImageFromArray(np.asarray(voxels, float))
    label = sitk.GetImageFromArray(np.asarray(mask, np.uint32))
    for each in (image, label):
        each.SetSpacing(spacing_mm[::-1])
    box, _ = checkMask(image, label, label=1, minimumROIDimensions=1)
    return Region(image=image, mask=label, box=box, planar=planar)


def make_texture(shape=SHAPE, seed=3) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.0) * 300


def apply(name, region, **settings):
    return {key: sitk.GetArrayFromImage(value) for key, value in FILTERS[name](region, settings)}


@pytest.fixture(scope="module")
def ball() -> np.ndarray:
    return make_ball(SHAPE, (10, 20, 22), 5, (1, 1, 1))


@pytest.mark.parametrize("profile", [STANDARD_237, FULL], ids=lambda each: each.name)
def test_every_image_that_a_profile_names_is_made(profile, ball):
    region = make_region(make_texture(), ball)
    for kind in profile.image_types:
        made = apply(kind.filter, region, **kind.settings)
        assert set(made) == set(kind.images)
        assert {image.shape for image in made.values()} == {region.lesion_shape}


def test_every_image_of_the_planar_profile_is_made(ball):
    region = make_region(make_texture()[10:11], ball[10:11], planar=True)
    for kind in PLANAR_232.image_types:
        made = apply(kind.filter, region, **kind.settings)
        assert set(made) == set(kind.images)
        assert {image.shape for image in made.values()} == {region.lesion_shape}


def test_energies_of_packets_add_up_to_that_of_the_image():
    """Parseval: over a whole period, where the mirrored image has no edge to lose energy at."""
    plane = make_texture((1, 32, 32))
    plane = np.block([[[plane[0], plane[0, :, ::-1]], [plane[0, ::-1], plane[0, ::-1, ::-1]]]])
    region = make_region(plane, np.ones(plane.shape), planar=True)
    packets = apply("wavelet-packet", region, wavelet="coif1", level=3)
    assert len(packets) == 64
    energy = sum(float(np.mean(packet**2)) for packet in packets.values())
    assert energy == pytest.approx(float(np.mean(plane**2)), rel=1e-6)


def test_packets_of_one_level_are_those_of_pywavelets():
    voxels, mask = make_texture((32, 40, 48)), np.zeros((32, 40, 48), bool)
    mask[12:17, 15:25, 20:29] = True
    region = make_region(voxels, mask)
    packets = apply("wavelet-packet", region, wavelet="coif1", level=1)
    (expected,) = pywt.swtn(voxels, "coif1", level=1)
    for key, theirs in expected.items():  # keys have z first
        name = "wavelet-packet-" + key[::-1].translate(str.maketrans("ad", "LH"))
        assert np.allclose(packets[name], theirs[12:17, 15:25, 20:29] / 8**0.5)


def test_packets_move_with_the_image(ball):
    voxels = make_texture()
    first = apply("wavelet-packet", make_region(voxels, ball), **COIF)
    moved = apply(
        "wavelet-packet",
        make_region(np.roll(voxels, 1, axis=2), np.roll(ball, 1, axis=2)),
        **COIF,
    )
    assert all(np.allclose(first[name], moved[name], atol=1e-6) for name in first)


def test_packets_do_not_see_beyond_the_margin(ball):
    voxels = make_texture()
    far = voxels.copy()
    far[:, :2] += 1e4  # 13 rows above the ball
    first = apply("wavelet-packet", make_region(voxels, ball), **COIF)
    second = apply("wavelet-packet", make_region(far, ball), **COIF)
    assert all(np.allclose(first[name], second[name], atol=1e-6) for name in first)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_letters_of_a_packet_are_in_the_order_x_y_z(ball, axis):
    """An alternation along one axis is high-pass there and constant along the others."""
    shape = [1, 1, 1]
    shape[axis] = -1
    stripes = np.broadcast_to(((-1.0) ** np.arange(SHAPE[axis])).reshape(shape), SHAPE)
    packets = apply("wavelet-packet", make_region(stripes, ball), wavelet="coif1", level=1)
    strongest = max(packets, key=lambda name: np.abs(packets[name]).mean())
    assert strongest.removeprefix("wavelet-packet-")[::-1][axis] == "H"
    assert strongest.count("H") == 1


def test_log_is_pyradiomics_on_the_whole_image(ball):
    """Cutting the surroundings down to five sigmas changes nothing that counts."""
    voxels = make_texture((60, 90, 90))
    mask = np.zeros(voxels.shape, bool)
    mask[20:40, 30:50, 34:50] = True
    region = make_region(voxels, mask, (1.5, 0.8, 1.1))
    extractor = RadiomicsFeatureExtractor(binWidth=10, additionalInfo=False)
    extractor.disableAllFeatures()
    extractor.enableFeatureClassByName("firstorder")
    extractor.disableAllImageTypes()
    extractor.enableImageTypeByName("LoG", customArgs={"sigma": [3.0]})
    expected = extractor.execute(region.image, region.mask)
    (response,) = apply("log-3D", region, sigma_mm=3.0).values()
    mean = float(expected["log-sigma-3-0-mm-3D_firstorder_Mean"])
    spread = float(expected["log-sigma-3-0-mm-3D_firstorder_Variance"]) ** 0.5
    assert response.mean() == pytest.approx(mean, abs=1e-3 * spread)
    assert response.std() == pytest.approx(spread, rel=1e-3)


def test_planar_log_is_that_of_a_volume_that_does_not_change_across_slices():
    plane = make_texture((1, 60, 60))
    mask = np.zeros(plane.shape, bool)
    mask[0, 25:35, 25:35] = True
    flat = apply("log-2D", make_region(plane, mask, planar=True), sigma_mm=2.0)
    column = make_region(np.repeat(plane, 25, axis=0), np.repeat(mask, 25, axis=0))
    deep = apply("log-3D", column, sigma_mm=2.0)
    assert np.allclose(
        flat["log-sigma-2-0-mm-2D"][0], deep["log-sigma-2-0-mm-3D"][12], rtol=0.01, atol=0.05
    )


def test_lbp_in_slices_does_not_decide_by_rounding(ball):
    noise = 1e-6 * np.random.default_rng(0).normal(size=SHAPE)
    (codes,) = apply("lbp-2D", make_region(np.full(SHAPE, 50.0) + noise, ball)).values()
    assert (codes == 8).all()  # uniform pattern: all eight neighbours are as bright


def test_lbp_on_a_sphere_of_a_flat_image_has_no_direction(ball):
    found = apply("lbp-3D", make_region(np.full(SHAPE, 50.0), ball))
    inside = ball[ball.any(axis=(1, 2))][:, ball.any(axis=(0, 2))][:, :, ball.any(axis=(0, 1))]
    # All 42 vertices count: 42 Y00 times Y00, over 42 vertices, Y00 squared being 1 / 4 pi.
    assert found["lbp-3D-m1"][inside] == pytest.approx(42 * 42**0.5 / (4 * np.pi))
    assert found["lbp-3D-m2"][inside] == pytest.approx(0, abs=1e-9)
    assert (found["lbp-3D-k"] == 0).all()


def test_lbp_on_a_sphere_does_not_care_for_the_direction_of_an_edge(ball):
    cube = (31, 31, 31)
    mask = make_ball(cube, (15, 15, 15), 5, (1, 1, 1))
    means = []
    for axis in range(3):
        ramp = np.moveaxis(np.broadcast_to(np.arange(31.0)[:, None, None], cube), 0, axis)
        found = apply("lbp-3D", make_region(ramp, mask))
        means.append(found["lbp-3D-m2"][5, 5, 5])
    assert min(means) > 4
    assert np.ptp(means) < 0.1 * min(means)


def test_gabor_answers_to_stripes_of_its_wavelength(ball):
    columns = np.arange(SHAPE[2])
    answers = {
        (stripe_mm, filter_mm): apply(
            "gabor",
            make_region(np.broadcast_to(np.cos(2 * np.pi * columns / stripe_mm), SHAPE), ball),
            wavelength_mm=filter_mm,
        )[f"gabor-lambda-{filter_mm}-0-mm"].mean()
        for stripe_mm, filter_mm in product((4, 8), repeat=2)
    }
    assert answers[4, 4] > 3 * answers[8, 4]
    assert answers[8, 8] > 3 * answers[4, 8]


def test_gabor_does_not_see_brightness(ball):
    (response,) = apply("gabor", make_region(np.full(SHAPE, 700.0), ball), wavelength_mm=8).values()
    assert np.abs(response).max() < 1e-8
    assert abs(make_kernel(8.0, 0.3).sum()) < 1e-12
