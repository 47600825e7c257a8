"""The script of deploy/ that lets Orthanc forward to the node, in a real Orthanc."""

from pathlib import Path

import pytest
from peers_orthanc import running_orthanc
from pydicom import dcmread
from pydicom.uid import generate_uid

from node.emulate.archive import Archive
from node.emulate.modality import send_files
from node.emulate.phantom import write_case

ROUTE = Path(__file__).parents[2] / "deploy/docker/conf/route.lua"


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Three images of a study, and an object of it that is no image."""
    images = write_case("brain2", tmp_path / "study").paths[:3]
    other = dcmread(images[0])
    other.Modality, other.SeriesInstanceUID = "SR", generate_uid()
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    other.save_as(tmp_path / "other.dcm")
    return [*images, tmp_path / "other.dcm"]


def test_images_are_forwarded_once_they_are_all_there_and_nothing_else(tmp_path, paths):
    with (
        Archive(tmp_path / "node") as node,
        running_orthanc(
            tmp_path / "orthanc",
            modalities={"onconode": ("ONCONODE", node.port)},
            extra={"LuaScripts": [str(ROUTE)]},
        ) as orthanc,
    ):
        sent = send_files(
            paths, host="127.0.0.1", port=orthanc.peer.port, called_ae="ORTHANC", timeout_s=30
        )
        assert {one.status for one in sent} == {0}
        assert node.wait_for(lambda: len(node.kept) >= 3, timeout_s=60)
        wanted = {dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in paths[:3]}
        assert set(node.counts()) == wanted
