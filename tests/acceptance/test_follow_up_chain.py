"""A follow-up through the chain as a researcher runs it: DICOM in, real bundle, ``--prior``."""

import json
from pathlib import Path

import numpy as np
import pytest
from judges_dicom import dciodvfy_errors, pixelmed_sr_errors

from node.cli.exit_codes import ExitCode
from node.emulate.case import load_case
from node.emulate.follow_up import visit_again
from node.emulate.phantom import write_case, write_follow_up
from node.emulate.reslice import reorient
from tests.acceptance.test_process_command import documented_keys, run_process

pytestmark = pytest.mark.slow

WHO = {"PatientID": "P1", "PatientBirthDate": "19600101", "PatientSex": "F"}
GROWTH = 1.2


def process(folder: Path, out: Path, models_dir: Path, *options: str) -> dict:
    done = run_process(folder, out, models_dir, "--bundle", "brain-t1ce", *options)
    assert done.returncode == ExitCode.OK, done.stderr
    return json.loads((out / "result.json").read_text("utf-8"))


def test_a_grown_lesion_is_followed_by_the_real_bundle(tmp_path: Path, models_dir: Path) -> None:
    axial = reorient(load_case("brain1"), "axial")
    again = visit_again(axial, rotation_degrees=(0, 0, 8), shift_mm=(8, -11, 0), growth=GROWTH)
    write_case("brain1", tmp_path / "im1", orientation="axial",
               headers={**WHO, "StudyDate": "20240102"})  # fmt: skip
    write_follow_up(again, tmp_path / "im2", visit="2", headers={**WHO, "StudyDate": "20240402"})
    before = process(tmp_path / "im1", tmp_path / "out1", models_dir)
    priors = [word for name in ("im1", "out1") for word in ("--prior", str(tmp_path / name))]
    after = process(tmp_path / "im2", tmp_path / "out2", models_dir, *priors)
    assert before["comparison"] is None

    told = after["comparison"]
    assert set(told) == documented_keys("Of `comparison`:")
    assert set(told["changes"][0]) >= {"status", "volume_change"}
    assert told["interval_days"] == 91
    assert told["prior"]["study_instance_uid"] == before["study_instance_uid"]
    # the head is found where it was, up to the corners of the images
    matrix = np.array(told["registration"]["matrix"]).reshape(3, 4)
    corners = axial.geometry.to_lps(
        np.array(np.meshgrid(*[[0, n - 1] for n in axial.geometry.shape])).reshape(3, -1).T
    )
    off_mm = corners @ (matrix[:, :3] - again.matrix[:, :3]).T + matrix[:, 3] - again.matrix[:, 3]
    assert np.linalg.norm(off_mm, axis=1).max() < 0.8

    # a mark on healthy tissue may come beside it in one of both examinations, and is told as such
    (change,) = [each for each in told["changes"] if each["status"] == "matched"]
    assert (change["lesion"], change["tracking_id"]) == (1, "Lesion 1")
    others = [each for each in told["changes"] if each is not change]
    assert {each["status"] for each in others} <= {"new", "vanished"}
    assert len(others) == len(after["lesions"]) - 1 + len(before["lesions"]) - 1
    assert change["tracking_uid"] == before["lesions"][0]["tracking_uid"]
    assert after["lesions"][0]["tracking_uid"] == change["tracking_uid"]
    assert change["volume_before_ml"] == before["lesions"][0]["volume_ml"]
    assert change["volume_after_ml"] == after["lesions"][0]["volume_ml"]
    # the network's own error comes on top of that of the voxels
    truth = again.case.mask.sum() / axial.mask.sum()
    assert 1 + change["volume_change"] == pytest.approx(truth, rel=0.15)
    assert told["recist"]["category"] in ("SD", "PD")
    for name in ("brain-t1ce_seg.dcm", "brain-t1ce_sr.dcm"):
        assert dciodvfy_errors(tmp_path / "out2" / name) == []
    assert pixelmed_sr_errors(tmp_path / "out2" / "brain-t1ce_sr.dcm") == []
