"""A study of three sequences through all rooms: bound by role, on one grid, SEG and SR written."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories_volumes import make_geometry
from judges_dicom import dcentvfy_errors, dciodvfy_errors
from phases_in_one_series import PHASE_ROLES, put_in_one_series, role_of_phase
from pydicom import dcmread
from three_sequences import ROLES, SHAPE, lesion, make_sequences, write_tiny_bundle

from node.bootstrap.offline import process_folder
from node.cli.process import print_result
from node.config.settings import NodeSettings, RoutingRule, SequenceMatch, SeriesMatch, Settings
from node.domain.geometry import Geometry
from node.emulate.sequences import WrittenStudy, write_sequences
from node.pipeline import check_golden, open_toolbox
from node.registry.store import ModelStore
from node.volume.resample import resample_to


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_tiny_bundle(folder)
    return folder


def run(
    folder: Path, out: Path, models: Path, rules: tuple[RoutingRule, ...] = ()
) -> dict[str, Any]:
    settings = Settings(node=NodeSettings(models_dir=models), routing=rules)
    (result,) = process_folder(folder, out, None if rules else "tiny-three", settings)
    assert result == json.loads((out / "result.json").read_text("utf-8"))
    return result


def found_mask(seg_path: Path, study: WrittenStudy) -> np.ndarray:
    """Mask of the SEG on the slices of the reference series, from its frames alone."""
    seg = dcmread(seg_path)
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    mask = np.zeros(SHAPE, bool)
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0]
        mask[study.source_uids["flair"].index(source.ReferencedSOPInstanceUID)] |= frame > 0
    return mask


def test_the_bright_ball_of_flair_comes_back(models: Path, tmp_path: Path, capsys) -> None:
    study = write_sequences(make_sequences(), tmp_path / "study", name="three")
    result = run(tmp_path / "study", tmp_path / "out", models)
    assert result["status"] == "lesions"
    assert result["roles"] == dict(study.series_instance_uids)
    assert list(result["roles"]) == list(ROLES)
    assert result["series_instance_uid"] == study.series_instance_uids["flair"]
    assert result["warnings"] == []
    (found,) = result["lesions"]
    assert found["assessment"] == "Not assessed"
    assert (found["malignancy_probability"], found["predicted_type"]) == (None, "")
    seg_path, sr_path = (tmp_path / "out" / f"tiny-three_{kind}.dcm" for kind in ("seg", "sr"))
    assert np.array_equal(found_mask(seg_path, study), lesion())
    for path in (seg_path, sr_path):
        assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*study.paths, seg_path, sr_path]) == []
    report = dcmread(sr_path).to_json()
    assert "MALIGNANCY" not in report
    assert "flair = series number 4, t1 = series number 3, t1ce = series number 7" in report
    print_result(result)
    assert "not assessed:" in capsys.readouterr().out


def test_every_role_has_its_own_channel(models: Path, tmp_path: Path) -> None:
    """A ball that is bright in another sequence is nothing to this network."""
    for bright in ("t1", "t1ce"):
        folder = tmp_path / bright
        write_sequences(make_sequences(bright=bright), folder / "study", name=bright)
        assert run(folder / "study", folder / "out", models)["lesions"] == []


@pytest.mark.parametrize("bright", ROLES)
def test_two_phases_of_one_series_come_to_two_channels(
    bright: str, models: Path, tmp_path: Path
) -> None:
    """The same study with T1 before and after contrast agent in one series gives the same."""
    study = write_sequences(make_sequences(bright=bright), tmp_path / "study", name="phases")
    uid = put_in_one_series(tmp_path / "study")
    result = run(tmp_path / "study", tmp_path / "out", models, (rule_of_phases(PHASE_ROLES),))
    assert result["roles"] == {
        "flair": study.series_instance_uids["flair"], "t1": uid, "t1ce": uid
    }  # fmt: skip
    assert len(result["lesions"]) == (1 if bright == "flair" else 0)
    told = result["parts"][uid]
    assert (told["number"], told["of"], told["chosen_by"]) == (1, 2, "rule")
    assert told["other_roles"]["t1ce"]["labels"] == {"TemporalPositionIdentifier": "2"}
    assert sum("volume 2 of 2" in warning for warning in result["warnings"]) == 1


def test_phases_are_not_mixed_up(tmp_path: Path) -> None:
    """A network that looks at T1 sees the ball in the phase that plays T1, and in no other."""
    name = write_tiny_bundle(tmp_path / "models", name="tiny-t1", bright="t1")
    for number, bright in enumerate(("t1", "t1ce")):
        folder = tmp_path / bright
        write_sequences(make_sequences(bright=bright), folder / "study", name=bright)
        put_in_one_series(folder / "study")
        rule = rule_of_phases(PHASE_ROLES, bundle=name)
        result = run(folder / "study", folder / "out", tmp_path / "models", (rule,))
        assert len(result["lesions"]) == 1 - number


def test_two_roles_that_come_out_at_one_phase_are_refused(models: Path, tmp_path: Path) -> None:
    write_sequences(make_sequences(), tmp_path / "study", name="twice")
    put_in_one_series(tmp_path / "study")
    roles = {"t1": role_of_phase("last"), "t1ce": role_of_phase(2)}
    result = run(tmp_path / "study", tmp_path / "out", models, (rule_of_phases(roles),))
    assert [problem["code"] for problem in result["problems"]] == ["part-taken-twice"]


def rule_of_phases(
    roles: dict[str, tuple[SequenceMatch, ...]], *, bundle: str = "tiny-three"
) -> RoutingRule:
    return RoutingRule(
        name="phases",
        match=SeriesMatch(modality=("MR",)),
        bundle=bundle,
        destinations=("d",),
        roles=roles,
    )


def _finer(geometry: Geometry) -> Geometry:
    """Other slices, half the spacing in the plane, and turned by 10 degrees about z."""
    angle = np.deg2rad(10)
    turn = np.eye(3)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    shape = (11, 330, 300)
    steps = turn @ geometry.affine[:, :3] * [0.55, 0.5, 0.5]
    centre = geometry.to_lps((np.array(geometry.shape) - 1) / 2)
    origin = centre - steps @ ((np.array(shape) - 1) / 2)
    return Geometry(affine=np.column_stack([steps, origin]), shape=shape)


def test_flair_comes_to_the_grid_of_the_first_role(models: Path, tmp_path: Path) -> None:
    """T1 is first, finer and turned: what FLAIR shows is found on T1's grid, in its place."""
    name = write_tiny_bundle(tmp_path / "models", name="tiny-t1", roles=("t1", "flair", "t1ce"))
    volumes = make_sequences()
    coarse = volumes["t1"]
    fine = _finer(coarse.geometry)
    volumes["t1"] = replace(
        coarse,
        voxels=resample_to(coarse.voxels, coarse.geometry, fine, interpolation="linear"),
        geometry=fine,
        source_uids=tuple(map(str, range(fine.shape[0]))),
        source_frames=(1,) * fine.shape[0],
    )
    study = write_sequences(volumes, tmp_path / "study", name="finer")
    settings = Settings(node=NodeSettings(models_dir=tmp_path / "models"))
    (result,) = process_folder(tmp_path / "study", tmp_path / "out", name, settings)
    assert result["series_instance_uid"] == study.series_instance_uids["t1"]
    assert result["warnings"] == []
    (found,) = result["lesions"]
    assert found["volume_ml"] == pytest.approx(lesion().sum() * 5 / 1000, rel=0.1)
    expected_lps = coarse.geometry.to_lps(np.argwhere(lesion()).mean(axis=0))
    assert np.allclose(found["centroid_lps_mm"], expected_lps, atol=0.5)


def test_a_part_that_another_role_does_not_show_is_told(models: Path, tmp_path: Path) -> None:
    volumes = make_sequences()
    moved = make_geometry(SHAPE, (5.0, 1.0, 1.0))
    affine = moved.affine.copy()
    affine[2, 3] += 10  # two slices of six
    volumes["t1"] = replace(volumes["t1"], geometry=Geometry(affine=affine, shape=SHAPE))
    write_sequences(volumes, tmp_path / "study", name="part")
    result = run(tmp_path / "study", tmp_path / "out", models)
    assert result["status"] == "lesions"
    (warning,) = result["warnings"]
    assert warning.startswith("t1 covers 6")  # about two thirds


def test_one_slice_of_each_sequence_will_do(models: Path, tmp_path: Path) -> None:
    k = 3
    volumes = {
        role: replace(
            volume,
            voxels=volume.voxels[k : k + 1],
            geometry=Geometry(affine=volume.geometry.affine, shape=(1, *SHAPE[1:])),
            source_uids=("1",), source_frames=(1,),
        )
        for role, volume in make_sequences().items()
    }  # fmt: skip
    write_sequences(volumes, tmp_path / "study", name="thin")
    result = run(tmp_path / "study", tmp_path / "out", models)
    (found,) = result["lesions"]
    assert found["volume_ml"] == pytest.approx(lesion()[k].sum() * 5 / 1000, rel=0.01)
    assert result["warnings"] == ["one slice only: volumes are areas times its thickness (5 mm)"]


def test_a_missing_sequence_is_refused_with_every_role(models: Path, tmp_path: Path) -> None:
    volumes = make_sequences()
    del volumes["flair"]
    write_sequences(volumes, tmp_path / "study", name="no-flair")
    result = run(tmp_path / "study", tmp_path / "out", models)
    assert result["status"] == "refused"
    told = {problem["tag"]: problem for problem in result["problems"] if problem["tag"]}
    assert {tag: problem["code"] for tag, problem in told.items()} == {
        "flair": "role-missing", "t1": "role-found", "t1ce": "role-found",
    }  # fmt: skip
    assert "AX T1 POST GD" in told["flair"]["found"]
    assert "FLAIR" in told["flair"]["expected"]
    assert "routing.yaml" in told["flair"]["remedy"]


def test_sequences_of_two_sessions_are_refused(models: Path, tmp_path: Path) -> None:
    other = {"t1ce": {"FrameOfReferenceUID": "1.2.3.4.5"}}
    write_sequences(make_sequences(), tmp_path / "study", name="apart", headers=other)
    result = run(tmp_path / "study", tmp_path / "out", models)
    assert {problem["code"] for problem in result["problems"] if "role" in problem["code"]} == {
        "role-in-another-frame"
    }


def test_a_site_tells_its_own_names(models: Path, tmp_path: Path) -> None:
    names = {"flair": "Sequenz A", "t1": "Sequenz B", "t1ce": "Sequenz C"}
    blank = {"ScanningSequence": "RM", "InversionTime": None, "ContrastBolusAgent": None}
    headers = {
        role: {**blank, "SeriesDescription": name, "ProtocolName": name}
        for role, name in names.items()
    }
    study = write_sequences(make_sequences(), tmp_path / "study", name="site", headers=headers)
    rule = RoutingRule(
        name="site",
        match=SeriesMatch(modality=("MR",)),
        bundle="tiny-three",
        destinations=("pacs",),
        roles={role: (SequenceMatch(description=(name,)),) for role, name in names.items()},
    )
    assert run(tmp_path / "study", tmp_path / "without", models)["status"] == "refused"
    result = run(tmp_path / "study", tmp_path / "with", models, rules=(rule,))
    assert result["roles"] == dict(study.series_instance_uids)


def test_the_golden_case_of_several_roles_is_proven(models: Path) -> None:
    check_golden(open_toolbox(ModelStore(models).get("tiny-three")))
