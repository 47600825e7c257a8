"""dcmtk's dcmqrscp as an archive, and the commands that ask it."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from factories_receive import (
    ROOT,
    SERIES,
    STUDY,
    listener_settings,
    make_ct,
    run_dcmtk,
    running_listener,
    write_file,
)
from free_ports import free_port
from peers_dcmtk import wait_for_port
from tools import require_dcmtk

from node.cli import main
from node.cli.exit_codes import ExitCode
from node.config.settings import DeliverSettings, Peer
from node.domain.errors import TryLater
from node.query.dimse import DimseArchive
from node.query.found import QueryRefused, StudyKeys, Wanted, count_instances

SETTINGS = DeliverSettings(acse_timeout_s=20, dimse_timeout_s=30)
UIDS = [f"{ROOT}.3.{number}" for number in range(1, 4)]


@pytest.fixture(scope="module")
def node_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, node_port: int) -> Iterator[Peer]:
    program = require_dcmtk("dcmqrscp")
    folder = tmp_path_factory.mktemp("dcmqrscp")
    (folder / "db").mkdir()
    port = free_port()
    configuration = folder / "dcmqrscp.cfg"
    configuration.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nnode = (ONCONODE, 127.0.0.1, {node_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nDCMQR {folder / 'db'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-c", str(configuration)],
            stdout=log,
            stderr=log,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        try:
            wait_for_port(port, process)
            for number in range(1, 4):
                path = write_file(folder / f"{number}.dcm", make_ct(number, StudyDate="20250102"))
                run_dcmtk("storescu", "-aec", "DCMQR", "127.0.0.1", port, path)
            yield Peer(name="qr", ae_title="DCMQR", port=port)
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture
def archive(peer: Peer) -> DimseArchive:
    return DimseArchive(peer=peer, calling_ae_title="ONCONODE", settings=SETTINGS)


def test_find_at_every_level(archive: DimseArchive) -> None:
    (study,) = archive.find_studies(StudyKeys(study_date="20250101-20250103"))
    assert study.study_instance_uid == STUDY
    (series,) = archive.find_series(STUDY)
    assert series.series_instance_uid == SERIES
    found = archive.find_instances(STUDY, SERIES)
    assert sorted(each.sop_instance_uid for each in found) == UIDS
    assert count_instances(archive, STUDY) == {SERIES: 3}
    assert archive.find_series("1.2.3.4") == ()


def test_get_a_series(tmp_path: Path, archive: DimseArchive) -> None:
    wanted = Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES)
    fetched = archive.get(wanted, tmp_path)
    assert sorted(path.stem for path in fetched.paths) == UIDS


def test_move_a_study_to_the_node(tmp_path: Path, archive: DimseArchive, node_port: int) -> None:
    settings = listener_settings().model_copy(update={"port": node_port})
    with running_listener(tmp_path, settings=settings) as running:
        fetched = archive.move(Wanted(study_instance_uid=STUDY), destination_ae_title="ONCONODE")
        assert (fetched.completed, fetched.failed) == (3, 0)
        assert len(running.store.received_of(STUDY)) == 3


def test_movescu_has_a_study_moved_to_the_node(tmp_path: Path, peer: Peer, node_port: int) -> None:
    """Somebody else, at a workstation, sends what an archive has to the node."""
    settings = listener_settings().model_copy(update={"port": node_port})
    with running_listener(tmp_path, settings=settings) as running:
        asked = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
        titles = ("-aet", "WORKSTATION", "-aec", peer.ae_title, "-aem", "ONCONODE")
        moved = run_dcmtk("movescu", "-v", "-S", *titles, *asked, "127.0.0.1", peer.port)
        assert "Received Final Move Response (Success)" in moved.stdout
        received = running.store.received_of(STUDY)
    assert sorted(each.instance.sop_instance_uid for each in received) == UIDS
    assert {each.calling_ae_title for each in received} == {peer.ae_title}


def test_more_objects_than_one_question_can_name(
    tmp_path: Path, archive: DimseArchive, node_port: int
) -> None:
    """2,000 UIDs need 120 KB; in explicit VR a list of UIDs has at most 64."""
    lost = tuple(f"{ROOT}.9.{'7' * 28}.{number}" for number in range(2000))
    uids = (UIDS[0], *lost, *UIDS[1:])
    wanted = Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES, sop_instance_uids=uids)
    got = archive.get(wanted, tmp_path / "got")
    assert sorted(path.stem for path in got.paths) == UIDS
    assert got.completed == 3
    settings = listener_settings().model_copy(update={"port": node_port})
    with running_listener(tmp_path, settings=settings) as running:
        assert archive.move(wanted, destination_ae_title="ONCONODE").completed == 3
        assert len(running.store.received_of(STUDY)) == 3


def test_an_unknown_destination_is_told(archive: DimseArchive) -> None:
    with pytest.raises(QueryRefused, match="knows no AE title NOWHERE"):
        archive.move(Wanted(study_instance_uid=STUDY), destination_ae_title="NOWHERE")


def test_a_peer_without_query_is_told_from_one_that_is_away(tmp_path: Path) -> None:
    away = Peer(name="away", ae_title="AWAY", port=free_port())
    with pytest.raises(TryLater, match="away: no connection"):
        DimseArchive(peer=away, calling_ae_title="X", settings=SETTINGS).find_series(STUDY)
    settings = listener_settings()
    with running_listener(tmp_path, settings=settings) as running:
        node = Peer(name="node", ae_title="ONCONODE", port=running.port)
        asked = DimseArchive(peer=node, calling_ae_title="X", settings=SETTINGS)
        with pytest.raises(QueryRefused, match="does not offer C-FIND"):
            asked.find_series(STUDY)
        with pytest.raises(QueryRefused, match="does not offer C-MOVE"):
            asked.move(Wanted(study_instance_uid=STUDY), destination_ae_title="X")
        with pytest.raises(QueryRefused, match="does not offer C-GET"):
            asked.get(Wanted(study_instance_uid=STUDY), tmp_path / "got")


@pytest.fixture
def onconode(tmp_path: Path, peer: Peer, node_port: int, capsys):
    def run(*arguments: str) -> tuple[int, str]:
        conf = tmp_path / "dicom_conf"
        conf.mkdir(exist_ok=True)
        (conf / "node.yaml").write_text(f"port: {node_port}\ndata_dir: {tmp_path / 'data'}\n")
        (conf / "peers.yaml").write_text(
            f"peers:\n  - {{name: qr, ae_title: DCMQR, port: {peer.port}}}\n"
        )
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(conf), *arguments])
        return int(ended.value.code or 0), capsys.readouterr().out

    return run


def test_the_command_finds(onconode) -> None:
    code, said = onconode("find", "qr", "--patient-id", "TEST", "--json")
    assert code == ExitCode.OK
    assert [each["study_instance_uid"] for each in json.loads(said)] == [STUDY]
    code, said = onconode("find", "qr", "--study", STUDY, "--series", SERIES, "--json")
    assert sorted(each["sop_instance_uid"] for each in json.loads(said)) == UIDS
    code, said = onconode("find", "qr", "--patient-id", "NOBODY")
    assert (code, said.strip()) == (ExitCode.OK, "nothing found")
    assert onconode("find", "qr")[0] == ExitCode.USAGE


@pytest.mark.parametrize("way", [[], ["--get"]], ids=["move", "get"])
def test_the_command_fetches(tmp_path: Path, onconode, node_port: int, way: list[str]) -> None:
    settings = listener_settings().model_copy(update={"port": node_port})
    with running_listener(tmp_path / "node", settings=settings) as running:
        code, said = onconode("fetch", "qr", "--study", STUDY, *way)
        assert (code, said.strip()) == (ExitCode.OK, "3 objects arrived")
        received = running.store.received_of(STUDY)
    assert len(received) == 3
    assert {each.calling_ae_title for each in received} == {"DCMQR"}
    assert onconode("fetch", "qr", "--study", "1.2.3")[0] == ExitCode.NOT_DELIVERED
