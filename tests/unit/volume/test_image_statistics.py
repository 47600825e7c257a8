"""Numbers that tell what images are like."""

from dataclasses import replace

import numpy as np
import pytest
from factories_volumes import make_geometry, make_head, make_volume

from node.volume.statistics import measure_image

ATTRIBUTES = {"SliceThickness": "4.5", "EchoTime": "10\\80", "RepetitionTime": "fast", "KVP": ""}


def test_geometry_and_headers_are_told():
    voxels = make_head((7, 40, 60))
    volume = make_volume(voxels, make_geometry(voxels.shape, (5.0, 0.5, 2.0)))
    told = measure_image(volume, ATTRIBUTES)
    assert (told["slices"], told["slice_spacing_mm"]) == (7, 5)
    assert told["pixel_spacing_mm"] == pytest.approx(1.0)
    assert told["width_mm"] == 120
    assert (told["slice_thickness_mm"], told["echo_time_ms"]) == (4.5, 10)
    assert not {"repetition_time_ms", "tube_voltage_kv", "flip_angle_degrees"} & set(told)


@pytest.mark.parametrize("gain", [1, 7])
def test_intensities_of_mr_do_not_depend_on_the_gain(gain):
    voxels = make_head()
    told = measure_image(make_volume(voxels * gain), {})
    tissue = voxels > 200
    assert told["foreground_share"] == pytest.approx(tissue.mean(), abs=0.02)
    bright = np.percentile(voxels, 99.5)
    expected = np.percentile(voxels[tissue], (10, 50, 90)) / bright
    for name, value in zip(("p10", "p50", "p90"), expected, strict=True):
        assert told[f"intensity_{name}"] == pytest.approx(value, abs=0.01)


def test_intensities_of_ct_are_hounsfield_units():
    voxels = np.full((3, 20, 20), -1000, np.int16)
    voxels[:, 5:15, 5:15] = 40
    told = measure_image(replace(make_volume(voxels), modality="CT"), {})
    assert told["foreground_share"] == 0.25
    assert [told[f"intensity_{name}"] for name in ("p10", "p50", "p90")] == [40, 40, 40]


def test_an_empty_image_has_no_intensities():
    told = measure_image(make_volume(np.zeros((2, 8, 8), np.int16)), {})
    assert told["foreground_share"] == 0
    assert not [name for name in told if name.startswith("intensity")]
