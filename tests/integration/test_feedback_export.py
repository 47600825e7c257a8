"""Corrections on the command line, and their export as a folder that training reads."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from delivered_study import Site, delivered_study
from factories_opinions import write_human_seg, write_human_sr, write_rejection
from pydicom import dcmread
from typer.testing import CliRunner

from node.bootstrap.backing_up import back_up
from node.cli.app import app
from node.domain.errors import SetupFault
from node.domain.finding import BENIGN
from node.training.datasets.folders import read_folder_set


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with delivered_study(tmp_path) as made:
        conf = tmp_path / "conf"
        conf.mkdir()
        node = {"data_dir": str(tmp_path / "data"), "models_dir": str(tmp_path / "models")}
        (conf / "node.yaml").write_text(yaml.safe_dump(node))
        yield made


def run(site: Site, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["--config", str(site.folder / "conf"), *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_an_export_is_read_by_training_voxel_by_voxel(site: Site) -> None:
    """Of two objects the later one goes; the lesion that it leaves out is named."""
    earlier, later, sr = (site.folder / f"{name}.dcm" for name in ("earlier", "later", "sr"))
    mask = np.roll(site.labels == 1, 1, axis=1)
    old = write_human_seg(earlier, site.series, [site.labels == 1], author="Reader^Bob")
    new = write_human_seg(later, site.series, [mask, mask * 0 + (site.labels == 9)])
    write_human_sr(sr, site.series, site.result("seg"), {1: BENIGN, 2: BENIGN})
    site.said(earlier, sr)
    site.said(later)
    out = site.folder / "export"
    printed = run(site, "feedback", "export", str(out), code=6)
    assert "Not de-identified" in printed
    assert "1 cases exported" in printed
    read = read_folder_set(out)
    (case,) = read.cases
    np.testing.assert_array_equal(case.mask, mask)
    np.testing.assert_array_equal(case.volumes[0].voxels, site.series.volume.voxels)
    assert case.malignant is False
    manifest = json.loads((out / "manifest.json").read_text())
    (entry,) = manifest["cases"]
    assert entry["object"] == new
    assert entry["lesions_not_outlined"] == [site.tracking_uid(2)]
    assert list(manifest["left_out"]) == [old]
    again = CliRunner().invoke(
        app, ["--config", str(site.folder / "conf"), "feedback", "export", str(out)]
    )
    assert isinstance(again.exception, SetupFault)


def test_nothing_is_exported_of_images_that_are_gone(site: Site) -> None:
    path = site.folder / "human.dcm"
    uid = write_human_seg(path, site.series, [site.labels == 1])
    site.said(path)
    site.parts.store.forget_study(site.job.study_instance_uid)
    out = site.folder / "export"
    printed = run(site, "feedback", "export", str(out), code=6)
    assert "0 cases exported" in printed
    assert uid in printed
    assert not out.exists()


def test_list_show_and_the_job_tell_what_was_said(site: Site) -> None:
    assert "nothing was said" in run(site, "feedback", "list")
    seg, note = site.folder / "human.dcm", site.folder / "note.dcm"
    write_human_seg(seg, site.series, [site.labels == 1])
    write_rejection(note, [site.result("sr")])
    site.said(seg, note)
    entries = json.loads(run(site, "feedback", "list", "--json"))
    assert {entry["opinion"]["kind"] for entry in entries} == {"corrected-mask", "rejection"}
    (only,) = json.loads(run(site, "feedback", "list", "--kind", "rejection", "--json"))
    shown = run(site, "feedback", "show", str(only["feedback_id"]))
    assert "Rejected for Quality Reasons" in shown
    job = json.loads(run(site, "jobs", "show", site.job.job_id, "--json"))
    assert len(job["feedback"]) == 2
    told = " ".join(run(site, "jobs", "show", site.job.job_id).split())
    assert "rejected Rejected for Quality Reasons" in told
    rejected = str(dcmread(site.result("sr")).SOPInstanceUID)
    assert f"not sent again: {rejected}" in told
    run(site, "feedback", "show", "99", code=2)


def test_a_backup_with_spool_holds_what_was_said(site: Site) -> None:
    path = site.folder / "human.dcm"
    uid = write_human_seg(path, site.series, [site.labels == 1])
    site.said(path)
    settings, conf = site.parts.settings, site.folder / "conf"
    without = back_up(settings, conf, site.folder / "without.tar", models=False)
    done = back_up(settings, conf, site.folder / "with.tar", models=False, spool=True)
    assert not without.manifest.below("data/feedback")
    assert [Path(each).name for each in done.manifest.below("data/feedback")] == [f"{uid}.dcm"]
