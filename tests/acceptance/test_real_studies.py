"""The shipped bundles on real studies of the shared data: what is answered, what is refused."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judges_dicom import dciodvfy_errors
from pydicom import dcmread

from node.bootstrap.offline import process_folder
from node.config.load import load_settings
from node.emulate.sequences import write_sequences
from node.evaluation.overlap import measure_dice
from node.registry.store import ModelStore
from node.training.datasets.lgg import ROLES, read_lgg
from node.training.recipe import load_recipe
from node.training.segmenter import split_cases

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
BUNDLES = {name.split("/")[0] for name in ModelStore(ROOT / "models").list()}

pytestmark = pytest.mark.slow


def process(study: Path, out: Path, bundle: str) -> dict[str, Any]:
    (result,) = process_folder(study, out, bundle, load_settings(ROOT / "dicom_conf"))
    assert result == json.loads((out / "result.json").read_text("utf-8"))
    return result


def unpack(name: str, folder: Path) -> Path:
    archive = DATA / "dicom" / name
    if not archive.is_file():
        pytest.skip(f"no shared data: {name}")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def check_objects(out: Path, prefix: str) -> None:
    for kind in ("seg", "sr"):
        path = out / f"{prefix}_{kind}.dcm"
        assert dciodvfy_errors(path) == []


def test_a_lung_mass_with_its_outline_is_told_and_not_judged(tmp_path):
    """LUNG1-001: far larger than any nodule of the training set."""
    study = unpack("dicom_LUNG1-001_41slices_CCBYNC.zip", tmp_path / "study")
    result = process(study, tmp_path / "out", "lung-nodule-ct")
    (lesion,) = result["lesions"]
    assert lesion["assessment"] == "Indeterminate"
    assert "outside the training range" in lesion["reason"]
    assert lesion["volume_ml"] > 50
    check_objects(tmp_path / "out", "lung-nodule-ct")


@pytest.mark.parametrize("bundle", sorted(BUNDLES))
@pytest.mark.parametrize(
    "name", ["dicom_STS_002_CT_MR_PET_cropped.zip", "dicom_STS_001_raw_MR_T1_512.zip"]
)
def test_a_sarcoma_of_the_leg_is_refused_with_reasons(tmp_path, name, bundle):
    study = unpack(name, tmp_path / "study")
    result = process(study, tmp_path / "out", bundle)
    assert result["status"] == "refused"
    assert all(
        problem["found"] and problem["expected"] and problem["remedy"]
        for problem in result["problems"]
    )


def test_three_sequences_of_a_test_patient(tmp_path):
    if not (DATA / "mr_flair_lgg").is_dir():
        pytest.skip("the shared data set mr_flair_lgg is not there")
    recipe = load_recipe(ROOT / "models" / "brain-multiseq" / "recipe.yaml")
    cases = read_lgg(DATA / "mr_flair_lgg")
    parts = split_cases(cases, recipe)
    case = next(case for case in cases if parts[case.patient] == "test")
    written = write_sequences(
        dict(zip(ROLES, case.volumes, strict=True)), tmp_path / "study", name="case"
    )
    result = process(tmp_path / "study", tmp_path / "out", "brain-multiseq")
    assert result["status"] == "lesions"
    assert result["roles"] == dict(written.series_instance_uids)
    check_objects(tmp_path / "out", "brain-multiseq")
    found = read_seg(tmp_path / "out" / "brain-multiseq_seg.dcm", written.source_uids["flair"])
    assert measure_dice(found, case.mask) > 0.6


def read_seg(path: Path, source_uids: tuple[str, ...]) -> np.ndarray:
    """Mask of the SEG on the slices of its source, from its frames alone."""
    seg = dcmread(path)
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    mask = np.zeros((len(source_uids), seg.Rows, seg.Columns), bool)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        mask[source_uids.index(source.ReferencedSOPInstanceUID)] |= frame > 0
    return mask
