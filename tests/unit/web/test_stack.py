"""What the viewer shows is what was received, and its outlines lie where the mask is."""

import gzip
from dataclasses import replace
from threading import Barrier, Thread

import numpy as np
import pytest
from factories_images import write_enhanced
from factories_report import SeriesOnDisk, axes, make_series
from factories_web import finish_study
from pydicom import dcmread
from skimage.measure import points_in_poly
from web_client import web_parts

from node.domain.errors import InputRejected
from node.report.display import View
from node.web.imaging.shelf import Shelf
from node.web.imaging.stack import open_stack

SHAPE = (6, 20, 24)


def two_masks():
    first, second = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    first[1:4, 4:9, 5:13] = True
    first[2, 3:10, 4:14] = True
    second[3, 12:15, 15:18] = True
    return {"one": first, "two": second}


def opened(parts, job, **more):
    return open_stack(job, store=parts.store, spool=parts.spool, **more)


@pytest.mark.parametrize("rotation_deg", [(0, 0, 0), (90, 0, 0), (20, -35, 10), (0, 0, 180)])
def test_values_and_outlines_are_turned_alike(parts, tmp_path, rotation_deg):
    series = make_series(tmp_path / "in", axes(shape=SHAPE, rotation_deg=rotation_deg))
    masks = two_masks()
    stack = opened(parts, finish_study(parts, series, masks))
    view = View.of(series.volume.geometry)
    assert len(stack) == 6
    for k in range(6):
        shown = stack.values(k)
        np.testing.assert_array_equal(shown, view.show(series.volume.voxels[k]))
        assert shown.shape == stack.screen_shape
        outlines = stack.outlines(k)
        for number, mask in enumerate(masks.values(), start=1):
            expected = view.show(mask[k])
            found = np.zeros(expected.shape, bool)
            rows, columns = np.indices(expected.shape)
            centres = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1)
            for polygon in outlines.get(number, []):
                found |= points_in_poly(centres, np.array(polygon)).reshape(found.shape)
            np.testing.assert_array_equal(found, expected)


def test_lesions_are_found_where_they_are_largest(parts, tmp_path):
    series = make_series(tmp_path / "in", axes(shape=SHAPE))
    stack = opened(parts, finish_study(parts, series, two_masks()))
    one, two = stack.lesions
    assert (one.number, one.first, one.largest, one.last) == (1, 1, 2, 3)
    assert (two.number, two.first, two.largest, two.last) == (2, 3, 3, 3)
    assert one.colour != two.colour


def test_windows_of_mr_and_ct(parts, tmp_path):
    mr = make_series(tmp_path / "mr", axes(shape=SHAPE))
    stack = opened(parts, finish_study(parts, mr, two_masks()))
    assert list(stack.windows) == ["standard", "full range"]
    low, high = stack.windows["full range"]
    assert (low, high) == (mr.volume.voxels.min(), mr.volume.voxels.max())
    ct = make_series(tmp_path / "ct", axes(shape=SHAPE), modality="CT")
    others = web_parts(tmp_path / "others")
    lung = opened(others, finish_study(others, ct, {}), region_code="39607008")
    assert lung.windows["standard"] == (-1350, 150)
    assert lung.windows["brain"] == (0, 80)


def test_an_enhanced_object_is_opened_once(parts, tmp_path):
    classic = make_series(tmp_path / "in", axes(shape=SHAPE)).volume
    path = write_enhanced(sorted((tmp_path / "in").iterdir()), tmp_path / "enhanced")
    uid = str(dcmread(path, stop_before_pixels=True).SeriesInstanceUID)
    series = SeriesOnDisk(paths=(path,), volume=replace(classic, series_instance_uid=uid))
    stack = opened(parts, finish_study(parts, series, {}))
    assert stack.held is not None
    shown = View.of(classic.geometry).show(classic.voxels[4])
    np.testing.assert_array_equal(stack.values(4), shown)
    assert stack.lesions == ()


def test_purged_files_are_told(parts, tmp_path):
    series = make_series(tmp_path / "in", axes(shape=SHAPE))
    job = finish_study(parts, series, two_masks())
    parts.spool.set_study_aside(job.study_instance_uid)
    with pytest.raises(InputRejected, match="objects-gone"):
        opened(parts, job)


def test_the_shelf_opens_a_stack_once_for_many_and_keeps_few(parts, tmp_path):
    series = make_series(tmp_path / "in", axes(shape=SHAPE))
    job = finish_study(parts, series, two_masks())
    count, gate = [], Barrier(4)

    def open_slowly(job):
        count.append(job.job_id)
        return opened(parts, job)

    shelf = Shelf(open_slowly, maximum_slice_bytes=1500)

    def ask():
        gate.wait(timeout=10)
        shelf.stack(job)

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert count == [job.job_id]
    for k in (0, 1, 2, 3, 4, 5, 0):
        encoded = shelf.slice(job, k)
        values = np.frombuffer(gzip.decompress(encoded.content), encoded.kind)
        shown = values.reshape(encoded.rows, encoded.columns)
        np.testing.assert_array_equal(shown, shelf.stack(job).values(k))
    assert shelf.slice_bytes <= 1500
    for k in (-1, 6):
        with pytest.raises(IndexError):
            shelf.slice(job, k)
