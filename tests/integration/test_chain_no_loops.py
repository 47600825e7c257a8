"""A PACS that forwards everything back to the node converges: results are never analysed.

The archive is a real Orthanc with a rule that forwards each object that it stores. The work of the
network is played: a mask drawn by hand instead of that of a model.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from factories_report import make_labels, make_report
from free_ports import free_port
from peers_orthanc import Orthanc, running_orthanc
from pydicom import dcmread
from pydicom.uid import generate_uid
from small_study import write_small_study

from node.assemble.headers import read_series
from node.assemble.validate import ANY_PART, check_all_series
from node.bootstrap.assembling import Assembler
from node.bootstrap.parts import Parts
from node.config.settings import (
    AssembleSettings,
    DeliverSettings,
    NodeSettings,
    ReportSettings,
    RoutingRule,
    SeriesMatch,
    Settings,
)
from node.deliver.c_store import send_objects
from node.deliver.outbox import deliver_batch
from node.jobs.job import Job
from node.jobs.state import JobState
from node.receive.scp import Listener
from node.report.write import write_evidence
from node.storage.clock import utc_now
from node.volume.read import read_volume

WAIT_S = 60
QUICK = DeliverSettings(acse_timeout_s=10, dimse_timeout_s=20)
FORWARD = "function OnStoredInstance(id)\n  RestApiPost('/modalities/node/store', id)\nend\n"


@dataclass(frozen=True)
class Site:
    """A node without its models, and the PACS that forwards everything to it."""

    parts: Parts
    orthanc: Orthanc
    listener: Listener
    folder: Path

    def send(self, paths: list[Path]) -> None:
        """Send to the PACS, as a modality does."""
        for outcome in send_objects(
            paths, peer=self.orthanc.peer, calling_ae_title="MODALITY", settings=QUICK
        ):
            assert outcome.accepted

    def wait_for(self, uids: set[str]) -> None:
        """Wait until the node has received these objects."""
        wait_until(lambda: all(self.parts.store.find(uid) for uid in uids))

    def assemble(self) -> None:
        """Look at what came until nothing is new."""
        assembler = Assembler(self.parts)
        wait_until(
            lambda: assembler.tick() == 0 and not self.parts.store.quiet_studies(before=utc_now())
        )

    def jobs(self) -> list[Job]:
        return self.parts.ledger.list()

    def work(self) -> set[str]:
        """Do what a worker and the outbox do; return the UIDs of the results."""
        job = self.parts.ledger.claim("worker/1")
        assert job is not None
        received = self.parts.store.received_of(job.study_instance_uid)
        series = next(
            item
            for item in read_series(received).series
            if item.series_instance_uid in job.series_instance_uids
        )
        (checked,) = check_all_series([series], minimum_slices=3, choices=[ANY_PART])
        volume = read_volume(checked)
        evidence = write_evidence(
            make_report(volume, make_labels(volume.voxels.shape, 1)),
            volume,
            source_paths=[instance.path for instance in checked.instances],
            out_dir=self.folder / job.job_id,
            prefix="x",
            settings=ReportSettings(),
        )
        self.parts.ledger.finish(job.job_id, "worker/1", evidence=evidence, result={})
        deliver_batch(
            self.parts.ledger.claim_deliveries("outbox"),
            ledger=self.parts.ledger,
            peers=[self.orthanc.peer],
            calling_ae_title="ONCONODE",
            settings=QUICK,
            owner="outbox",
        )
        assert self.parts.ledger.get(job.job_id).state is JobState.DELIVERED
        return {item.sop_instance_uid for item in evidence if item.sop_instance_uid}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    script = tmp_path / "forward.lua"
    script.write_text(FORWARD)
    with running_orthanc(
        tmp_path / "orthanc",
        modalities={"node": ("ONCONODE", port)},
        extra={"LuaScripts": [str(script)]},
    ) as orthanc:
        rule = RoutingRule(
            name="every",
            match=SeriesMatch(modality=("MR", "CT")),
            bundle="b",
            destinations=("orthanc",),
        )
        node = NodeSettings(
            port=port,
            data_dir=tmp_path / "data",
            models_dir=tmp_path / "models",
            assemble=AssembleSettings(quiet_time_s=0),
        )
        settings = Settings(node=node, peers=(orthanc.peer,), routing=(rule,))
        parts = Parts(settings=settings)
        listener = Listener(
            settings=node, peers=settings.peers, store=parts.store, spool=parts.spool
        )
        listener.start()
        try:
            yield Site(parts, orthanc, listener, tmp_path / "results")
        finally:
            listener.stop()
            parts.engine.dispose()


def test_a_pacs_that_forwards_everything_back_makes_no_new_work(site, tmp_path):
    study = write_small_study(tmp_path / "study")
    images = set(study.source_uids)
    site.send([*study.paths])
    site.wait_for(images)
    site.assemble()
    (job,) = site.jobs()
    results = site.work()
    assert len(results) == 2
    site.wait_for(results)  # they came back
    site.assemble()
    assert [item.job_id for item in site.jobs()] == [job.job_id]
    assert site.parts.ledger.claim("worker/2") is None

    # everything once more, image by image and result by result
    for instance in site.orthanc.get("/instances"):
        site.orthanc.post("/modalities/node/store", instance)
    site.assemble()
    assert [item.job_id for item in site.jobs()] == [job.job_id]
    assert sorted(site.orthanc.sop_instance_uids()) == sorted(images | results)
    assert site.parts.store.quarantined() == []


def test_changed_copies_of_results_are_known_as_well(site, tmp_path):
    """A PACS that gives results other UIDs and other names of maker and model."""
    study = write_small_study(tmp_path / "study")
    site.send([*study.paths])
    site.wait_for(set(study.source_uids))
    site.assemble()
    (job,) = site.jobs()
    results = site.work()
    site.wait_for(results)
    copies = []
    for path in sorted((site.folder / job.job_id).glob("*.dcm")):
        dataset = dcmread(path)
        dataset.SOPInstanceUID = generate_uid()
        dataset.SeriesInstanceUID = generate_uid()
        dataset.Manufacturer = dataset.ManufacturerModelName = "PACS"
        dataset.Modality = "MR"  # as if it were an image
        copies.append(tmp_path / f"copy-{path.name}")
        dataset.save_as(copies[-1], enforce_file_format=True)
    site.send(copies)
    site.wait_for({str(dcmread(path).SOPInstanceUID) for path in copies})
    site.assemble()
    assert [item.job_id for item in site.jobs()] == [job.job_id]


def test_results_that_come_back_after_all_was_forgotten(site, tmp_path):
    study = write_small_study(tmp_path / "study")
    site.send([*study.paths])
    site.wait_for(set(study.source_uids))
    site.assemble()
    results = site.work()
    site.wait_for(results)
    site.assemble()
    (job,) = site.jobs()
    received = site.parts.store.received_of(study.study_instance_uid)
    site.parts.ledger.forget(job.job_id)
    site.parts.store.forget_study(study.study_instance_uid)
    for item in received:
        item.instance.path.unlink()
    for instance in site.orthanc.get("/instances"):
        tags = site.orthanc.get(f"/instances/{instance}")["MainDicomTags"]
        if tags["SOPInstanceUID"] in results:
            site.orthanc.post("/modalities/node/store", instance)
    site.wait_for(results)
    site.assemble()
    assert site.jobs() == []
