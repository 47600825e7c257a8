"""The running node's side of several roles: one job for three series, and the worker's binding."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from phases_in_one_series import PHASE_ROLES, put_in_one_series
from pydicom import dcmread
from three_sequences import ROLES, make_sequences

from node.bootstrap import task
from node.bootstrap.assembling import Assembler
from node.bootstrap.parts import Parts
from node.config.settings import AssembleSettings, NodeSettings, RoutingRule, SeriesMatch, Settings
from node.domain.errors import SetupFault
from node.domain.study import InstanceRef
from node.emulate.sequences import WrittenStudy, write_sequences
from node.jobs.job import Job
from node.jobs.state import JobState
from node.registry.manifest import RoleEntry
from node.storage.instances import ReceivedInstance
from tests.unit.registry.test_bundle import MANIFEST


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    manifest = {
        **MANIFEST,
        "name": "three",
        "roles": [{"name": role} for role in ROLES],
        "files": {},
    }
    folder = tmp_path / "models" / "three" / "0.1.0"
    folder.mkdir(parents=True)
    (folder / "bundle.yaml").write_text(yaml.safe_dump(manifest))
    rule = RoutingRule(
        name="three", match=SeriesMatch(modality=("MR",)), bundle="three", destinations=("d",)
    )
    node = NodeSettings(
        data_dir=tmp_path / "data",
        models_dir=tmp_path / "models",
        assemble=AssembleSettings(quiet_time_s=0),
    )
    return Parts(settings=Settings(node=node, routing=(rule,)))


def receive(parts: Parts, study: WrittenStudy, roles: tuple[str, ...]) -> None:
    for path in (path for path in study.paths if path.parent.name in roles):
        dataset = dcmread(path, stop_before_pixels=True)
        uid = str(dataset.SOPInstanceUID)
        parts.store.record(
            ReceivedInstance(
                instance=InstanceRef(
                    sop_instance_uid=uid,
                    sop_class_uid=str(dataset.SOPClassUID),
                    transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
                    path=path,
                    sha256=f"digest of {uid}",
                ),
                study_instance_uid=study.study_instance_uid,
                series_instance_uid=str(dataset.SeriesInstanceUID),
                modality="MR",
                calling_ae_title="MODALITY",
                size_bytes=1,
            )
        )


def jobs(parts: Parts, study: WrittenStudy) -> dict[JobState, Job]:
    return {job.state: job for job in parts.ledger.list(study=study.study_instance_uid)}


def toolbox_of(*roles: str) -> SimpleNamespace:
    manifest = SimpleNamespace(roles=tuple(RoleEntry(name=role) for role in roles))
    return SimpleNamespace(bundle=SimpleNamespace(manifest=manifest))


def test_a_study_becomes_one_job_and_the_worker_knows_every_role(
    parts: Parts, tmp_path: Path
) -> None:
    study = write_sequences(make_sequences(), tmp_path / "study", name="chain")
    receive(parts, study, ("t1ce", "t1", "flair"))
    Assembler(parts).tick()
    (job,) = jobs(parts, study).values()
    assert job.state is JobState.QUEUED
    assert job.series_instance_uids == tuple(study.series_instance_uids[role] for role in ROLES)
    series, companions = task._read_series(parts, job, toolbox_of(*ROLES))
    assert series.series_instance_uid == study.series_instance_uids["flair"]
    assert {role: item.series_instance_uid for role, item in companions.items()} == {
        role: study.series_instance_uids[role] for role in ("t1", "t1ce")
    }
    assert all(item.geometry is not None for item in (series, *companions.values()))
    with pytest.raises(SetupFault, match="asks for 1"):
        task._read_series(parts, job, toolbox_of())  # the bundle was replaced meanwhile


def test_phases_of_one_series_are_one_job_and_the_worker_takes_the_same(
    parts: Parts, tmp_path: Path
) -> None:
    (rule,) = parts.settings.routing
    phases = rule.model_copy(update={"roles": PHASE_ROLES})
    parts = Parts(settings=parts.settings.model_copy(update={"routing": (phases,)}))
    study = write_sequences(make_sequences(), tmp_path / "study", name="phases")
    uid = put_in_one_series(tmp_path / "study")
    receive(parts, study, ROLES)
    Assembler(parts).tick()
    (job,) = jobs(parts, study).values()
    assert job.state is JobState.QUEUED
    assert job.series_instance_uids == (study.series_instance_uids["flair"], uid, uid)
    assert [part and part.number for part in job.intake.parts] == [None, 1, 2]
    _, companions = task._read_series(parts, job, toolbox_of(*ROLES))
    for role, series in companions.items():
        uids = tuple(item.source_uid for item in series.slices)
        assert uids == study.source_uids[role]


def test_a_study_that_lacks_a_sequence_is_refused_until_it_comes(
    parts: Parts, tmp_path: Path
) -> None:
    study = write_sequences(make_sequences(), tmp_path / "study", name="late")
    receive(parts, study, ("t1ce", "t1"))
    Assembler(parts).tick()
    refused = jobs(parts, study)[JobState.REJECTED]
    assert {problem.tag: problem.code for problem in refused.problems} == {
        "flair": "role-missing", "t1": "role-found", "t1ce": "role-found",
    }  # fmt: skip
    receive(parts, study, ("flair",))
    Assembler(parts).tick()
    assert JobState.QUEUED in jobs(parts, study)
