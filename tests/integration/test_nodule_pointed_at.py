"""A nodule that somebody pointed at, through all rooms: SEG and SR say what was at the point."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories_nodules import CENTRE, ball, ct_of
from factories_pointing import disc_contours, write_rtstruct, write_seg, write_sr
from judges_dicom import dcentvfy_errors, dciodvfy_errors
from nodule_bundle import NAME, write_nodule_bundle
from pydicom import dcmread
from typer.testing import CliRunner

from node.assemble.headers import read_header
from node.bootstrap.assembling import Assembler
from node.bootstrap.offline import process_folder
from node.bootstrap.parts import Parts
from node.bootstrap.pointing import Seeds
from node.cli.app import app
from node.config.settings import AssembleSettings, NodeSettings, RoutingRule, SeriesMatch, Settings
from node.emulate.ct_series import write_ct_series
from node.jobs.state import JobState
from node.pipeline import check_golden, open_toolbox
from node.registry.store import ModelStore
from node.storage.instances import ReceivedInstance

SHAPE = (9, 50, 50)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_nodule_bundle(folder)
    return folder


def write_study(folder: Path, *, shape=SHAPE, spacing_mm=(2.0, 0.7, 0.7)):
    volume, mask = ct_of(ball(5.0), shape=shape, spacing_mm=spacing_mm)
    return write_ct_series(volume, folder, name="nodule"), mask


def run(folder: Path, models: Path, seeds: Seeds | None = None, labels=()) -> dict[str, Any]:
    rule = RoutingRule(
        name="ct",
        match=SeriesMatch(modality=("CT",)),
        bundle=NAME,
        destinations=("none",),
        prompt_labels=labels,
    )
    settings = Settings(node=NodeSettings(models_dir=models), routing=(rule,))
    (result,) = process_folder(folder, folder.parent / "out", NAME, settings, seeds)
    return result


def found_mask(seg_path: Path, volume) -> np.ndarray:
    seg = dcmread(seg_path)
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    mask = np.zeros(volume.voxels.shape, bool)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        mask[volume.source_uids.index(source.ReferencedSOPInstanceUID)] |= frame > 0
    return mask


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def point(folder: Path, volume, mask, source: str) -> str:
    """Point at the nodule in one of the ways that programs have."""
    k, j, i = np.rint(volume.geometry.to_index(CENTRE)).astype(int)
    if source == "SEG":
        return write_seg(folder, {"Nodule 1": mask})
    if source == "RTSTRUCT":
        return write_rtstruct(folder, {"GTV-1": disc_contours(volume, CENTRE, 4.0)})
    return write_sr(folder, {"Nodule 1": ("POINT", [[i + 0.5, j + 0.5]])}, slice_index=int(k))


@pytest.mark.parametrize("source", ["SEG", "RTSTRUCT", "SR"])
def test_what_an_object_points_at_is_outlined(models: Path, tmp_path: Path, source: str) -> None:
    study = tmp_path / "study"
    volume, mask = write_study(study)
    uid = point(study, volume, mask, source)
    result = run(study, models)
    assert result["status"] == "lesions"
    assert len(result["lesions"]) == 1
    assert result["warnings"] == []
    (prompt,) = result["prompts"]
    assert (prompt["source"], prompt["sop_instance_uid"], prompt["lesion"]) == (source, uid, 1)
    np.testing.assert_allclose(prompt["point_lps_mm"], CENTRE, atol=1.1)
    seg_path, sr_path = (tmp_path / "out" / f"{NAME}_{kind}.dcm" for kind in ("seg", "sr"))
    assert dice(found_mask(seg_path, volume), mask) > 0.9
    for path in (seg_path, sr_path):
        assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*study.glob("*.dcm"), seg_path, sr_path]) == []
    report = dcmread(sr_path)
    assert f"pointed at by {source}" in report.to_json()
    evidence = [
        item.ReferencedSOPInstanceUID
        for study_item in report.CurrentRequestedProcedureEvidenceSequence
        for series in study_item.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    assert uid in evidence


def test_seeds_take_the_place_of_objects(models: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    volume, mask = write_study(study)
    write_rtstruct(study, {"Heart": disc_contours(volume, CENTRE, 4.0)})
    x, y, z = CENTRE
    result = run(study, models, Seeds(points_lps_mm=((x, y, z),)))
    assert [p["source"] for p in result["prompts"]] == ["command-line"]
    assert dice(found_mask(tmp_path / "out" / f"{NAME}_seg.dcm", volume), mask) > 0.9


def test_seed_options_of_the_command(models: Path, tmp_path: Path) -> None:
    study, config = tmp_path / "study", tmp_path / "conf"
    volume, _ = write_study(study)
    config.mkdir()
    (config / "node.yaml").write_text(f"models_dir: {models}\n")
    k, j, i = np.rint(volume.geometry.to_index(CENTRE)).astype(int)
    command = ["--config", str(config), "process", str(study), "--bundle", NAME]
    done = CliRunner().invoke(
        app, [*command, "--out", str(tmp_path / "a"), "--seed-voxel", f"{i},{j},{k}"]
    )
    assert done.exit_code == 0, done.output
    seed = ",".join(f"{value:.1f}" for value in CENTRE)
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "b"), f"--seed={seed}"])
    assert done.exit_code == 0, done.output
    masks = [found_mask(tmp_path / name / f"{NAME}_seg.dcm", volume) for name in "ab"]
    np.testing.assert_array_equal(*masks)
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "c"), "--seed", "1,2"])
    assert done.exit_code == 2
    assert "three numbers" in done.output


def test_nothing_pointed_at_is_refused(models: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    volume, _ = write_study(study)
    write_rtstruct(study, {"Lung-Left": disc_contours(volume, CENTRE, 4.0)})
    result = run(study, models)
    assert result["status"] == "refused"
    assert [p["code"] for p in result["problems"]] == ["nothing-pointed-at", "region-ignored"]
    assert run(study, models, labels=("lung*",))["status"] == "lesions"


def test_a_point_in_air_is_reported_as_absent(models: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    write_study(study)
    x, y, z = CENTRE + np.array([14.0, 14.0, 0.0])
    result = run(study, models, Seeds(points_lps_mm=((x, y, z),)))
    assert result["status"] == "no-lesions"
    assert result["prompts"][0]["lesion"] is None
    (warning,) = result["warnings"]
    assert "-850 HU" in warning
    assert "-850 HU" in dcmread(tmp_path / "out" / f"{NAME}_sr.dcm").to_json()


def test_a_cut_out_of_two_slices(models: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    volume, mask = write_study(study, shape=(2, 44, 44), spacing_mm=(2.5, 0.6, 0.6))
    write_seg(study, {"Nodule": mask})
    assert run(study, models)["status"] == "lesions"
    assert dice(found_mask(tmp_path / "out" / f"{NAME}_seg.dcm", volume), mask) > 0.9


def test_the_golden_case_has_its_point(models: Path) -> None:
    check_golden(open_toolbox(ModelStore(models).get(NAME)))


def test_a_study_becomes_a_job_when_something_points(models: Path, tmp_path: Path) -> None:
    """Images first: refused. The outline comes later: a job. A second outline takes its place."""
    rule = RoutingRule(
        name="ct", match=SeriesMatch(modality=("CT",)), bundle=NAME, destinations=("d",)
    )
    node = NodeSettings(
        data_dir=tmp_path / "data",
        models_dir=models,
        assemble=AssembleSettings(quiet_time_s=0),
    )
    parts = Parts(settings=Settings(node=node, routing=(rule,)))
    study = tmp_path / "study"
    volume, mask = write_study(study)

    def receive() -> list[JobState]:
        for path in sorted(study.glob("*.dcm")):
            header = read_header(path)
            parts.store.record(
                ReceivedInstance(
                    instance=header.instance,
                    study_instance_uid=header.study_instance_uid,
                    series_instance_uid=header.series_instance_uid,
                    modality=header.modality,
                    calling_ae_title="MODALITY",
                    size_bytes=1,
                )
            )
        Assembler(parts).tick()
        jobs = parts.ledger.list(study=volume.study_instance_uid)
        return sorted(job.state for job in jobs)

    assert receive() == [JobState.REJECTED]
    write_rtstruct(study, {"GTV": disc_contours(volume, CENTRE, 4.0)})
    assert receive() == sorted([JobState.REJECTED, JobState.QUEUED])
    write_seg(study, {"Nodule": mask})
    assert receive() == sorted([JobState.REJECTED, JobState.CANCELLED, JobState.QUEUED])
