import numpy as np
from factories_images import checked_series
from factories_nodules import ball, ct_of
from pydicom import dcmread

from node.emulate.ct_series import write_ct_series
from node.volume.read import read_volume


def test_hounsfield_units_and_place_come_back(tmp_path):
    volume, _ = ct_of(ball(5.0), spacing_mm=(1.25, 0.7, 0.6), shape=(9, 20, 24))
    written = write_ct_series(volume, tmp_path, name="a")
    read = read_volume(checked_series(tmp_path))
    np.testing.assert_array_equal(read.voxels, volume.voxels)
    assert read.geometry.is_close(volume.geometry)
    assert read.source_uids == written.source_uids
    assert read.modality == "CT"


def test_values_below_air_are_kept(tmp_path):
    volume, _ = ct_of(lambda x: np.zeros(x.shape[:-1], bool), shape=(3, 8, 8))
    deep = np.full(volume.voxels.shape, -1445, np.int16)
    write_ct_series(type(volume)(**{**vars(volume), "voxels": deep}), tmp_path, name="a")
    assert (read_volume(checked_series(tmp_path)).voxels == -1445).all()


def test_headers_can_be_replaced_and_left_out(tmp_path):
    volume, _ = ct_of(ball(5.0), shape=(3, 8, 8))
    write_ct_series(volume, tmp_path, name="a", headers={"SeriesDescription": "THIN", "KVP": None})
    header = dcmread(tmp_path / "CT.0001.dcm")
    assert header.SeriesDescription == "THIN"
    assert "KVP" not in header
    assert "EchoTime" not in header


def test_uids_depend_on_the_name_unless_fresh(tmp_path):
    volume, _ = ct_of(ball(5.0), shape=(3, 8, 8))
    first, again, other, fresh = (
        write_ct_series(volume, tmp_path / str(n), name=name, fresh=fresh)
        for n, (name, fresh) in enumerate([("a", False), ("a", False), ("b", False), ("a", True)])
    )
    assert first.source_uids == again.source_uids
    assert len({v.series_instance_uid for v in (first, other, fresh)}) == 3
