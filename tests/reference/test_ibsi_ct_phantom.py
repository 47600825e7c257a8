"""IBSI 1, configurations A to E on the CT phantom: our resampling, then PyRadiomics' features.

What PyRadiomics cannot do, and is therefore not compared: features of single slices that are
averaged over the slices (``_2D_avg``, ``_2D_comb``; it merges the matrices of all slices, which is
``_2_5D``), distance zones, local peaks, intensity-volume histograms, Moran's I and Geary's C.
"""

from dataclasses import dataclass

import pytest
import SimpleITK as sitk
from ibsi_phantoms import find_deviations, measure_rows, read_phantom, read_published, resegment

from node.radiomics.grid import resample_region

#: Row -> why PyRadiomics differs from IBSI, in all configurations.
ALWAYS = {"stat_kurt": "PyRadiomics does not subtract 3"}
#: PyRadiomics numbers bins of a fixed width from the lowest grey level that occurs, IBSI from the
#: lower end of the range that was asked for. In configuration C those are two bins apart, so all
#: features differ that weigh with the number of the grey level itself.
GREY_LEVEL_NUMBERS = {
    *(
        f"cm_{name}_3D_{way}"
        for name in ("joint_avg", "sum_avg", "auto_corr")
        for way in ("avg", "comb")
    ),
    *(
        f"rlm_{name}_3D_{way}"
        for name in ("lgre", "hgre", "srlge", "srhge", "lrlge", "lrhge")
        for way in ("avg", "comb")
    ),
    *(f"szm_{name}_3D" for name in ("lgze", "hgze", "szlge", "szhge", "lzlge", "lzhge")),
    *(f"ngl_{name}_3D" for name in ("lgce", "hgce", "ldlge", "ldhge", "hdlge", "hdhge")),
    "ngt_busyness_3D",
}


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What IBSI prescribes, in the words of its table of configurations."""

    name: str
    aggregation: str
    settings: dict
    spacing_mm: tuple[float, float, float] | None = None
    interpolator: int = sitk.sitkLinear
    range_hu: tuple[float, float] | None = None
    sigmas: float | None = None
    voxels: int = 125256
    known: frozenset = frozenset()


CONFIGURATIONS = [
    Configuration(name="a", aggregation="2_5D", settings={"binWidth": 25}, range_hu=(-500, 400)),
    Configuration(
        name="b",
        aggregation="2_5D",
        settings={"binCount": 32},
        spacing_mm=(0, 2, 2),
        range_hu=(-500, 400),
        voxels=29842,
    ),
    Configuration(
        name="c",
        aggregation="3D",
        settings={"binWidth": 25},
        spacing_mm=(2, 2, 2),
        range_hu=(-1000, 400),
        voxels=45985,
        known=frozenset(GREY_LEVEL_NUMBERS),
    ),
    Configuration(
        name="d",
        aggregation="3D",
        settings={"binCount": 32},
        spacing_mm=(2, 2, 2),
        sigmas=3,
        voxels=45985,
    ),
    Configuration(
        name="e",
        aggregation="3D",
        settings={"binCount": 32},
        spacing_mm=(2, 2, 2),
        interpolator=sitk.sitkBSpline,
        range_hu=(-1000, 400),
        sigmas=3,
        voxels=45985,
    ),
]


@pytest.fixture(scope="module")
def phantom():
    return read_phantom("ibsi_1_ct_radiomics_phantom")


def measure(phantom, configuration):
    image, mask = phantom
    if configuration.spacing_mm:
        image, mask = resample_region(
            sitk.GetArrayFromImage(image),
            sitk.GetArrayFromImage(mask) == 1,
            source_mm=image.GetSpacing()[::-1],
            spacing_mm=configuration.spacing_mm,
            margin=(2, 2, 2),
            interpolator=configuration.interpolator,
        )
        image = sitk.Round(image)
    assert sitk.GetArrayViewFromImage(mask).sum() == configuration.voxels
    inside = resegment(image, mask, range_hu=configuration.range_hu, sigmas=configuration.sigmas)
    return measure_rows(image, mask, inside, configuration.settings, configuration.aggregation)


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda each: each.name)
def test_published_values(phantom, configuration):
    published = read_published(f"chest_config_{configuration.name}")
    rows = measure(phantom, configuration)
    assert len(rows) == 141
    assert find_deviations(rows, published) == set(ALWAYS) | configuration.known
    assert rows["stat_kurt"] - 3 == pytest.approx(
        published["stat_kurt"][0], abs=published["stat_kurt"][1]
    )


def test_grey_levels_of_configuration_c_are_two_bins_apart(phantom):
    published = read_published("chest_config_c")
    configuration = next(each for each in CONFIGURATIONS if each.name == "c")
    rows = measure(phantom, configuration)
    value, tolerance = published["cm_joint_avg_3D_avg"]
    assert rows["cm_joint_avg_3D_avg"] + 2 == pytest.approx(value, abs=tolerance)
