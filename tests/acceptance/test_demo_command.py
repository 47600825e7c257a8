"""``onconode demo`` as a newcomer runs it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from PIL import Image
from pydicom import dcmread

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def run_demo(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "node.cli", "demo", "--out", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def processes_below(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in argument for argument in process.info["cmdline"] or [])
    ]


def test_the_demo_shows_the_whole_chain(tmp_path):
    folder = tmp_path / "demo"
    done = run_demo(folder)
    assert done.returncode == 0, done.stderr
    for word in ("ml", "mm", "Dice", "segment", "radiomics", "classify", "report", "send", "SEG"):
        assert word in done.stdout
    received = {dcmread(path).Modality for path in (folder / "archive").glob("*.dcm")}
    assert received == {"SEG", "SR"}
    with Image.open(folder / "overlay.png") as picture:
        assert picture.width >= 1000
    assert processes_below(folder) == []


def test_a_demo_that_cannot_work_says_why(tmp_path):
    (tmp_path / "models").mkdir()
    done = run_demo(tmp_path / "demo", ONCONODE_MODELS_DIR=str(tmp_path / "models"))
    assert done.returncode not in (0, 1)
    assert "bundle" in done.stderr + done.stdout
    assert processes_below(tmp_path / "demo") == []


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "precious.txt").write_text("keep me")
    done = run_demo(tmp_path)
    assert done.returncode == 6
    assert "not empty" in done.stderr
    assert (tmp_path / "precious.txt").read_text() == "keep me"
