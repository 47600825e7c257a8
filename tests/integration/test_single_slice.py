"""One slice made into DICOM, as a picture set gives it: what comes back is whole and valid."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judges_dicom import dcentvfy_errors, dciodvfy_errors, decode_with_dcmqi
from pydicom import dcmread

from node.bootstrap.offline import process_folder
from node.config.settings import NodeSettings, RoutingRule, SeriesMatch, Settings
from node.domain.geometry import Geometry
from node.domain.volume import Volume
from node.emulate.case import load_case
from node.emulate.sequences import write_sequences

MODELS = Path(__file__).resolve().parents[2] / "models"
BARE = {"BodyPartExamined": None, "SpacingBetweenSlices": None, "ContrastBolusAgent": None}


def one_slice() -> Volume:
    """The slice of the first sample case on which the tumour is largest."""
    case = load_case("brain1")
    k = int(case.mask.sum(axis=(1, 2)).argmax())
    affine = case.geometry.affine.copy()
    affine[:, 3] = case.geometry.to_lps((k, 0, 0))
    voxels = case.voxels[k : k + 1]
    return Volume(
        voxels=voxels,
        geometry=Geometry(affine=affine, shape=voxels.shape),
        modality="MR",
        study_instance_uid="",
        series_instance_uid="",
        frame_of_reference_uid="",
        source_uids=("1",),
        source_frames=(1,),
    )


def process(folder: Path, out: Path, *, rules: tuple[RoutingRule, ...] = ()) -> dict[str, Any]:
    settings = Settings(node=NodeSettings(models_dir=MODELS), routing=rules)
    (result,) = process_folder(folder, out, None if rules else "brain-t1ce", settings)
    return result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("thickness", "told"), [("6", "(6 mm)"), (None, "(1 mm, assumed as the header names none)")]
)
def test_a_slice_with_a_tumour_comes_back_outlined_and_judged(
    tmp_path: Path, thickness: str | None, told: str
) -> None:
    headers = {"t1ce": {**BARE, "SliceThickness": thickness}}
    volume = one_slice()
    study = write_sequences({"t1ce": volume}, tmp_path / "study", name="one", headers=headers)
    result = process(tmp_path / "study", tmp_path / "out")
    assert (result["status"], result["slices"]) == ("lesions", 1)
    assert result["warnings"] == [f"one slice only: volumes are areas times its thickness {told}"]
    statistics = result["image"]["statistics"]
    assert statistics["slices"] == 1
    assert statistics.get("slice_thickness_mm") == (float(thickness) if thickness else None)
    assert 0.2 < statistics["foreground_share"] < 0.9
    assert statistics["intensity_p10"] < statistics["intensity_p50"] < 1
    lesion = result["lesions"][0]
    assert 0 <= lesion["malignancy_probability"] <= 1
    assert lesion["predicted_type"] in lesion["type_probabilities"]
    seg_path, sr_path = (tmp_path / "out" / f"brain-t1ce_{kind}.dcm" for kind in ("seg", "sr"))
    for path in (seg_path, sr_path):
        assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*study.paths, seg_path, sr_path]) == []
    thick = replace_thickness(volume.geometry, float(thickness or 1))
    decoded, astray = decode_with_dcmqi(seg_path, tmp_path / "dcmqi", thick)
    assert astray == 0
    area = int((decoded == 1).sum()) * np.prod(thick.spacing_mm)
    assert lesion["volume_ml"] == pytest.approx(area / 1000, abs=0.001)
    assert int(dcmread(seg_path).NumberOfFrames) == len(result["lesions"])


def replace_thickness(geometry: Geometry, thickness_mm: float) -> Geometry:
    """The grid of the slice, as far from the next one as it is thick."""
    affine = geometry.affine.copy()
    affine[:, 0] *= thickness_mm / np.linalg.norm(affine[:, 0])
    return replace(geometry, affine=affine)


def test_rules_still_ask_for_a_series(tmp_path: Path) -> None:
    """The default of assemble.minimum_slices keeps stray images out of a running node."""
    write_sequences({"t1ce": one_slice()}, tmp_path / "study", name="one")
    rule = RoutingRule(
        name="mr", match=SeriesMatch(modality=("MR",)), bundle="brain-t1ce", destinations=("d",)
    )
    result = process(tmp_path / "study", tmp_path / "out", rules=(rule,))
    assert [problem["code"] for problem in result["problems"]] == ["single-slice"]
    assert "--bundle" in result["problems"][0]["remedy"]
