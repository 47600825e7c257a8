"""Orthanc as the PACS that receives results."""

from io import BytesIO

import numpy as np
import pytest
from factories_report import axes, make_labels, make_report, make_series
from peers_orthanc import running_orthanc
from pydicom import dcmread

from node.config.settings import DeliverSettings, ReportSettings
from node.deliver.c_echo import echo
from node.deliver.c_store import send_objects
from node.report.verify import check_seg_geometry
from node.report.write import write_evidence

SETTINGS = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=10)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def test_echo(orthanc):
    assert echo(orthanc.peer, calling_ae_title="ONCONODE", settings=SETTINGS) > 0


def test_results_join_their_study_and_twice_is_once(tmp_path, orthanc):
    geometry = axes(shape=(6, 37, 41), rotation_deg=(20, -8, 15))
    series = make_series(tmp_path / "im", geometry)
    report = make_report(series.volume, make_labels(geometry.shape, 2))
    evidence = write_evidence(
        report,
        series.volume,
        source_paths=series.paths,
        out_dir=tmp_path / "out",
        prefix="x",
        settings=ReportSettings(),
    )
    results = [item.path for item in evidence if item.sop_class_uid]
    for _ in range(2):
        outcomes = send_objects(
            [*series.paths, *results],
            peer=orthanc.peer,
            calling_ae_title="ONCONODE",
            settings=SETTINGS,
        )
        assert all(outcome.accepted for outcome in outcomes)

    held = orthanc.sop_instance_uids()
    assert sorted(held) == sorted(outcome.sop_instance_uid for outcome in outcomes)
    (study,) = orthanc.get("/studies")
    assert len(orthanc.get(f"/studies/{study}")["Series"]) == 3

    seg_uid = evidence[0].sop_instance_uid
    seg = dcmread(BytesIO(orthanc.file_of(seg_uid)))
    sources = [dcmread(path, stop_before_pixels=True) for path in series.paths]
    check_seg_geometry(seg, report.segmentation, sources)
    assert np.frombuffer(seg.PixelData, np.uint8).any()
    assert list(seg) == list(dcmread(evidence[0].path))
