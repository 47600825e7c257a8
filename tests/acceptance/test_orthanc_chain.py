"""Orthanc is the PACS: results arrive there, and it routes studies to the node by itself."""

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from judges_dicom import dcentvfy_errors, dciodvfy_errors, pixelmed_sr_errors
from peers_orthanc import Orthanc, running_orthanc
from running_node import AE_TITLE, JOB_S, RunningNode
from small_study import write_small_study
from tools import require_dcmtk

from node.emulate.modality import send_files
from node.emulate.phantom import WrittenSeries, write_case
from node.jobs.job import Job
from node.jobs.state import JobState
from node.storage.clock import utc_now

pytestmark = pytest.mark.slow


@pytest.fixture
def orthanc(node: RunningNode, tmp_path: Path) -> Iterator[Orthanc]:
    """Orthanc on the port that the node's configuration names, with the node as its modality."""
    port = node.settings.peer("orthanc").port
    with running_orthanc(
        tmp_path / "orthanc",
        modalities={AE_TITLE: (AE_TITLE, node.port)},
        extra={"DicomPort": port},
    ) as running:
        yield running


def series_by_modality(orthanc: Orthanc, study_instance_uid: str) -> dict[str, list[str]]:
    """SOP Instance UIDs of a study in Orthanc, by modality; two series of one must not be."""
    found: dict[str, list[str]] = {}
    for series in orthanc.get("/series?expand"):
        study = orthanc.get(f"/studies/{series['ParentStudy']}")
        if study["MainDicomTags"]["StudyInstanceUID"] == study_instance_uid:
            modality = series["MainDicomTags"]["Modality"]
            assert modality not in found, f"two series of {modality}"
            found[modality] = [
                orthanc.get(f"/instances/{instance}")["MainDicomTags"]["SOPInstanceUID"]
                for instance in series["Instances"]
            ]
    return found


def check_results(
    orthanc: Orthanc, job: Job, sources: WrittenSeries, folder: Path
) -> dict[str, Path]:
    """One SEG and one SR are there, those that the job tells of, and dicom3tools likes them."""
    assert (job.state, job.error) == (JobState.DELIVERED, "")
    found = series_by_modality(orthanc, sources.study_instance_uid)
    promised = {entry["kind"]: entry["sop_instance_uid"] for entry in job.result["evidence"]}
    assert (found["SEG"], found["SR"]) == ([promised["seg"]], [promised["sr"]])
    fetched = {}
    for kind in ("seg", "sr"):
        fetched[kind] = folder / f"{kind}.dcm"
        fetched[kind].write_bytes(orthanc.file_of(promised[kind]))
        assert dciodvfy_errors(fetched[kind]) == []
    assert dcentvfy_errors([*sources.paths, *fetched.values()]) == []
    return fetched


def forward_to_node(node: RunningNode, orthanc: Orthanc, study_instance_uid: str) -> None:
    """Let Orthanc send all that it has of a study to the node, and wait until it has."""
    (study,) = [
        study["ID"]
        for study in orthanc.get("/studies?expand")
        if study["MainDicomTags"]["StudyInstanceUID"] == study_instance_uid
    ]
    order = {"Resources": [study], "Synchronous": False}
    job: dict[str, Any] = orthanc.post(f"/modalities/{AE_TITLE}/store", order)

    def is_done() -> bool:
        state = orthanc.get(f"/jobs/{job['ID']}")["State"]
        assert state != "Failure", orthanc.get(f"/jobs/{job['ID']}")
        return bool(state == "Success")

    node.wait_for(is_done, "Orthanc to forward the study", 60)


def test_storescu_sends_the_sample_study_and_the_results_arrive_in_orthanc(
    node: RunningNode, orthanc: Orthanc, tmp_path: Path
) -> None:
    study = write_case("brain1", tmp_path / "study")
    command = [require_dcmtk("storescu"), "-R", "+sd", "-aet", "STORESCU", "-aec", AE_TITLE]
    command += ["127.0.0.1", str(node.port), str(tmp_path / "study")]
    environment = os.environ | {"TCP_NODELAY": "1"}
    sent = subprocess.run(command, env=environment, timeout=60, capture_output=True, check=False)
    assert sent.returncode == 0, sent.stderr
    job = node.wait_for_end(study.study_instance_uid)
    assert job.result["slices"] == len(study.paths)
    check_results(orthanc, job, study, tmp_path)
    assert set(series_by_modality(orthanc, study.study_instance_uid)) == {"SEG", "SR"}


def test_orthanc_routes_a_study_in_gets_the_results_and_makes_no_loop(
    node: RunningNode, orthanc: Orthanc, tmp_path: Path
) -> None:
    study = write_small_study(tmp_path / "study")
    uid = study.study_instance_uid
    port = node.settings.peer("orthanc").port
    stored = send_files(study.paths, host="127.0.0.1", port=port, called_ae="ORTHANC")
    assert {one.status for one in stored} == {0}
    forward_to_node(node, orthanc, uid)
    job = node.wait_for_end(uid)
    fetched = check_results(orthanc, job, study, tmp_path)
    # PixelMed needs minutes and gigabytes for a report with ten lesions, seconds for this one.
    assert pixelmed_sr_errors(fetched["sr"]) == []

    forward_to_node(node, orthanc, uid)  # now with SEG and SR, as an "on stable study" rule would
    store = node.parts.store
    received = {item.instance.sop_instance_uid for item in store.received_of(uid)}
    assert received == set(orthanc.sop_instance_uids())  # the node took its own results ...
    late = utc_now() + timedelta(days=1)
    node.wait_for(lambda: uid not in store.quiet_studies(before=late), "its judgement", JOB_S)
    after = node.job(uid)  # ... and made nothing of them
    assert after is not None
    assert (after.job_id, after.state, after.attempts) == (job.job_id, job.state, job.attempts)
    assert len(node.parts.ledger.deliveries(job.job_id)) == 2
    found = series_by_modality(orthanc, uid)
    assert {modality: len(uids) for modality, uids in found.items()} == {
        "MR": len(study.paths),
        "SEG": 1,
        "SR": 1,
    }
