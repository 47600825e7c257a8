"""``onconode process`` on real studies: results, or honest reasons, and never a crash."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from judges_dicom import dciodvfy_errors
from running_node import ROOT, clean_environment

from node.cli.exit_codes import ExitCode
from node.emulate.phantom import write_case

pytestmark = pytest.mark.slow

SHARED = ROOT.parent / "shared" / "data" / "dicom"
MR, CT = "dicom_STS_001_raw_MR_T1_512.zip", "dicom_LUNG1-001_41slices_CCBYNC.zip"


def run_process(
    directory: Path, out: Path, models_dir: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with the configuration that ships."""
    command = [sys.executable, "-m", "node.cli", "--config", str(ROOT / "dicom_conf"), "process"]
    return subprocess.run(
        [*command, str(directory), "--out", str(out), *options],
        cwd=ROOT,
        env=clean_environment(
            ONCONODE_MODELS_DIR=str(models_dir), ONCONODE_DATA_DIR=str(out.parent / "data")
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def documented_keys(heading: str) -> set[str]:
    """First column of the table below a heading in ``node/README.md``."""
    readme = (ROOT / "node" / "README.md").read_text("utf-8")
    assert heading in readme
    table = readme.split(heading, 1)[1].lstrip().split("\n\n", 1)[0]
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", table, flags=re.MULTILINE))


def test_a_sample_study_gives_all_files_and_the_documented_result(
    tmp_path: Path, models_dir: Path
) -> None:
    study = write_case("brain1", tmp_path / "study")
    out = tmp_path / "out"
    done = run_process(tmp_path / "study", out, models_dir, "--explain", "--pdf", "zh")
    assert done.returncode == ExitCode.OK, done.stderr
    assert {path.name for path in out.iterdir()} == {
        "brain-t1ce_seg.dcm",
        "brain-t1ce_sr.dcm",
        "brain-t1ce_overlay.png",
        "brain-t1ce_capture.png",
        "brain-t1ce_explain.png",
        "brain-t1ce_report_zh.pdf",
        "brain-t1ce_pdf_zh.dcm",
        "result.json",
    }
    assert dciodvfy_errors(out / "brain-t1ce_seg.dcm") == []
    assert dciodvfy_errors(out / "brain-t1ce_sr.dcm") == []
    assert dciodvfy_errors(out / "brain-t1ce_pdf_zh.dcm") == []
    for name in ("brain-t1ce_overlay.png", "brain-t1ce_explain.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    result = json.loads((out / "result.json").read_text("utf-8"))
    assert result["status"] == "lesions"
    assert result["explanation"] == "brain-t1ce_explain.png"
    assert result["study_instance_uid"] == study.study_instance_uid
    assert set(result) == documented_keys("Of a study that was processed:")
    assert {key for lesion in result["lesions"] for key in lesion} == documented_keys(
        "Of each entry in `lesions`:"
    )
    assert {entry["file"] for entry in result["evidence"]} < {path.name for path in out.iterdir()}
    assert f"{result['lesions'][0]['volume_ml']:.2f}"[:-1] in done.stdout


@pytest.mark.parametrize(
    ("name", "options", "codes"),
    [
        # Both come with contours: RTSTRUCT objects, which no rule may take.
        pytest.param(MR, (), {"no-rule", "other-modality"}, id="STS_001 by the rules"),
        pytest.param(CT, (), {"no-rule", "other-modality"}, id="LUNG1 by the rules"),
        pytest.param(MR, ("--bundle", "brain-t1ce"), {"wrong-body-part"}, id="STS_001 as brain"),
        pytest.param(
            CT,
            ("--bundle", "brain-t1ce"),
            {"wrong-modality", "wrong-body-part"},
            id="LUNG1 as brain",
        ),
    ],
)
def test_studies_of_other_organs_are_refused_with_reasons(
    tmp_path: Path, models_dir: Path, name: str, options: tuple[str, ...], codes: set[str]
) -> None:
    archive = SHARED / name
    if not archive.exists():
        pytest.skip(f"no shared data: {archive.name}")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "study")
    done = run_process(tmp_path / "study", tmp_path / "out", models_dir, *options)
    assert done.returncode == ExitCode.INPUT_REJECTED, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text("utf-8"))
    assert result["status"] == "refused"
    assert set(result) == documented_keys("Of a study that was refused:")
    assert {problem["code"] for problem in result["problems"]} == codes
    for problem in result["problems"]:
        assert problem["code"] in done.stderr
        assert problem["expected"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"result.json"}
