"""The network's probability as FRACTIONAL segmentation and as parametric map, read by others."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from factories_report import (
    SeriesOnDisk,
    axes,
    make_enhanced_series,
    make_labels,
    make_report,
    make_series,
)
from judges_dicom import dcentvfy_errors, dciodvfy_errors
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from tools import require_tool

from node.config.settings import ReportSettings
from node.domain.report import Report
from node.report.probability import build_fractional, build_parametric_map
from node.report.sources import read_sources

SHAPE = (8, 41, 53)
SHOWN = slice(1, 6)
"""Slices on which the network sees anything."""


def make_probability(folder: Path, *, enhanced: bool) -> tuple[SeriesOnDisk, Report]:
    geometry = axes(shape=SHAPE, rotation_deg=(10, 5, 3))
    series = (make_enhanced_series if enhanced else make_series)(folder / "images", geometry)
    report = make_report(series.volume, make_labels(SHAPE, 2))
    probability = np.zeros(SHAPE, dtype=np.float16)
    probability[SHOWN] = np.random.default_rng(3).random((5, *SHAPE[1:]))
    probability[2] = 0  # a slice between two others
    return series, replace(
        report, segmentation=replace(report.segmentation, probability=probability)
    )


def by_slice(made: Dataset, series: SeriesOnDisk) -> NDArray[np.float64]:
    """Pixels in the order of the volume, by the source that each frame names."""
    volume = series.volume
    slices = list(zip(volume.source_uids, volume.source_frames, strict=True))
    found = np.zeros(SHAPE)
    for pixels, group in zip(made.pixel_array, made.PerFrameFunctionalGroupsSequence, strict=True):
        (item,) = group.DerivationImageSequence[0].SourceImageSequence
        frame = int(item.get("ReferencedFrameNumber") or 1)
        found[slices.index((item.ReferencedSOPInstanceUID, frame))] = pixels
    return found


def value_at(image: sitk.Image, lps_mm: NDArray[np.float64]) -> float:
    return float(image[image.TransformPhysicalPointToIndex(lps_mm.tolist())])


@pytest.mark.parametrize("enhanced", [False, True])
def test_fractional_is_the_probability(tmp_path: Path, enhanced: bool) -> None:
    series, report = make_probability(tmp_path, enhanced=enhanced)
    sources = read_sources(series.paths, series.volume.source_uids)
    path = tmp_path / "fractional.dcm"
    build_fractional(report, sources, settings=ReportSettings()).save_as(path)
    made = dcmread(path)
    wanted = np.rint(report.segmentation.probability.astype(float) * 255)
    assert np.abs(by_slice(made, series) - wanted).max() <= 1  # a half may go either way
    assert (made.SegmentationType, made.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    assert made.MaximumFractionalValue == 255
    assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*series.paths, path]) == []


@pytest.mark.parametrize("enhanced", [False, True])
def test_parametric_map_is_the_probability_in_percent(tmp_path: Path, enhanced: bool) -> None:
    series, report = make_probability(tmp_path, enhanced=enhanced)
    sources = read_sources(series.paths, series.volume.source_uids)
    path = tmp_path / "map.dcm"
    build_parametric_map(report, sources, settings=ReportSettings()).save_as(path)
    made = dcmread(path)
    groups = made.SharedFunctionalGroupsSequence[0]
    (mapping,) = groups.RealWorldValueMappingSequence
    percent = by_slice(made, series) * mapping.RealWorldValueSlope
    percent += mapping.RealWorldValueIntercept
    wanted = report.segmentation.probability.astype(float) * 100
    assert np.abs(percent - wanted).max() < 1e-4
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "%"
    assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*series.paths, path]) == []


def test_dcmqi_places_the_parametric_map_in_the_patient(tmp_path: Path) -> None:
    series, report = make_probability(tmp_path, enhanced=False)
    sources = read_sources(series.paths, series.volume.source_uids)
    path = tmp_path / "map.dcm"
    build_parametric_map(report, sources, settings=ReportSettings()).save_as(path)
    command = [require_tool("paramap2itkimage"), "--inputDICOM", str(path)]
    command += ["--outputDirectory", str(tmp_path), "--outputType", "nrrd"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    image = sitk.ReadImage(str(next(tmp_path.glob("*.nrrd"))))
    geometry = series.volume.geometry
    for index in [(1, 0, 0), (3, 11, 40), (5, 40, 52), (4, 20, 7)]:
        found = value_at(image, geometry.to_lps(index))
        wanted = float(report.segmentation.probability[index]) * 100
        assert found == pytest.approx(wanted, abs=1e-4)


def test_made_again_they_are_the_same(tmp_path: Path) -> None:
    series, report = make_probability(tmp_path, enhanced=False)
    sources = read_sources(series.paths, series.volume.source_uids)
    for build in (build_fractional, build_parametric_map):
        one, other = (build(report, sources, settings=ReportSettings()) for _ in range(2))
        assert one.SOPInstanceUID == other.SOPInstanceUID
        assert one.SeriesNumber > ReportSettings().sr_series_number
