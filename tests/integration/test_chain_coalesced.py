"""The same study from two senders at the same time ends as one job."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from factories_arrival import EVERY_MR
from factories_receive import listener_settings, running_listener
from small_study import write_small_study

from node.bootstrap.assembling import Assembler
from node.bootstrap.parts import Parts
from node.config.settings import AssembleSettings, Peer, Settings
from node.domain.priority import Priority
from node.emulate.modality import send_files


def test_one_study_of_two_senders_is_one_job(tmp_path: Path) -> None:
    study = write_small_study(tmp_path / "study")
    node = listener_settings().model_copy(
        update={"data_dir": tmp_path / "data", "assemble": AssembleSettings(quiet_time_s=0)}
    )
    peers = tuple(
        Peer(name=title.lower(), ae_title=title, priority="stat") for title in ("CT1", "CT2")
    )
    parts = Parts(settings=Settings(node=node, peers=peers, routing=(EVERY_MR,)))
    _ = parts.engine
    start = Barrier(2)

    with running_listener(node.data_dir, settings=node, store=parts.store) as running:

        def send(title: str) -> list[int | None]:
            start.wait(20)
            sent = send_files(
                study.paths,
                host="127.0.0.1",
                port=running.listener.port,
                called_ae=node.ae_title,
                calling_ae=title,
            )
            return [one.status for one in sent]

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(send, ("CT1", "CT2")))
    assert answers == [[0] * len(study.paths)] * 2
    assert len(parts.store.received_of(study.study_instance_uid)) == len(study.paths)

    with ThreadPoolExecutor(2) as pool:  # a dispatcher that lingers beside its successor
        list(pool.map(lambda _: Assembler(parts).tick(), range(2)))
    (job,) = parts.ledger.list()
    assert job.study_instance_uid == study.study_instance_uid
    assert job.priority is Priority.STAT
    assert [line.event for line in parts.ledger.events(job.job_id)] == ["add"]
