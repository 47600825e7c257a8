"""An archive counts a study and sends what is missing: a real Orthanc, by C-FIND and C-MOVE."""

import time
from pathlib import Path

import pytest
from factories_arrival import EVERY_MR
from free_ports import free_port
from peers_orthanc import running_orthanc
from small_study import write_small_study

from node.bootstrap.assembling import Assembler
from node.bootstrap.parts import Parts
from node.config.settings import AssembleSettings, DeliverSettings, NodeSettings, Settings
from node.deliver.c_store import send_objects
from node.domain.intake import Arrival
from node.receive.scp import Listener

QUICK = DeliverSettings(acse_timeout_s=10, dimse_timeout_s=20)
WAIT_S = 60


@pytest.mark.parametrize("way", ["move", "get"])
def test_missing_images_come_from_the_archive(tmp_path: Path, way: str) -> None:
    port = free_port()
    with running_orthanc(tmp_path / "orthanc", modalities={"node": ("ONCONODE", port)}) as orthanc:
        node = NodeSettings(
            port=port,
            data_dir=tmp_path / "data",
            models_dir=tmp_path / "models",
            assemble=AssembleSettings(
                quiet_time_s=0, incomplete_check_s=1, ask_peers=("orthanc",), fetch_missing=way
            ),
            deliver=QUICK,
        )
        parts = Parts(settings=Settings(node=node, peers=(orthanc.peer,), routing=(EVERY_MR,)))
        listener = Listener(
            settings=node, peers=parts.settings.peers, store=parts.store, spool=parts.spool
        )
        listener.start()
        try:
            study = write_small_study(tmp_path / "study")
            own = orthanc.peer.model_copy(update={"ae_title": "ONCONODE", "port": port})
            for paths, peer in ((study.paths, orthanc.peer), (study.paths[:-2], own)):
                outcomes = send_objects(
                    paths, peer=peer, calling_ae_title="MODALITY", settings=QUICK
                )
                assert all(outcome.accepted for outcome in outcomes)
            assembler = Assembler(parts)
            deadline_s = time.monotonic() + WAIT_S
            while not parts.ledger.list():
                assert time.monotonic() < deadline_s, "waited in vain"
                assembler.tick()
                time.sleep(0.05)
            (job,) = parts.ledger.list()
            assert job.intake.completeness.arrival is Arrival.COMPLETE
            assert len(parts.store.received_of(study.study_instance_uid)) == len(study.paths)
            assert parts.store.quarantined() == []
        finally:
            listener.stop()
            parts.engine.dispose()
