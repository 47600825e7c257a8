"""Voxels come out as the Modality LUT says, slice by slice, or the object at fault is named."""

from dataclasses import replace

import numpy as np
import pytest
from factories_images import checked_series, edit_files, only_series, set_pixels

from node.domain.errors import InputRejected
from node.emulate.phantom import load_case, write_case
from node.volume.block import VoxelBlock
from node.volume.read import MAXIMUM_PROBLEMS, read_slices, read_volume


@pytest.fixture
def written(tmp_path):
    """Five axial slices of brain2."""
    series = write_case("brain2", tmp_path, orientation="axial")
    for path in series.paths[5:]:
        path.unlink()
    return replace(series, paths=series.paths[:5], source_uids=series.source_uids[:5])


def read(directory):
    return read_volume(checked_series(directory))


def test_voxels_are_those_of_the_case(tmp_path):
    written = write_case("brain2", tmp_path, orientation="axial")
    volume = read(tmp_path)
    case = load_case("brain2")
    assert volume.voxels.dtype == np.int16
    assert not volume.voxels.flags.writeable
    assert np.array_equal(volume.voxels, case.voxels[:, ::-1])
    assert volume.source_uids == written.source_uids
    assert volume.source_frames == (1,) * 23
    assert volume.geometry.is_close(written.geometry, 1e-6)
    assert volume.frame_of_reference_uid.startswith("2.25.")


def test_one_slice_is_that_of_the_volume(tmp_path, written):
    series = checked_series(tmp_path)
    volume = read_volume(series)
    for k in range(5):
        np.testing.assert_array_equal(read_slices(series, [k]).voxels[0], volume.voxels[k])
    with pytest.raises(IndexError):
        read_slices(series, [0, 5])
    with pytest.raises(IndexError):
        read_slices(series, [-1])


def test_each_slice_has_its_own_rescale(tmp_path, written):
    before = read(tmp_path).voxels

    def edit(dataset, k):
        dataset.RescaleSlope, dataset.RescaleIntercept = str(k + 1), str(-10 * k)

    edit_files(written.paths, edit)
    after = read(tmp_path).voxels
    assert after.dtype == np.int16
    for k in range(5):
        assert np.array_equal(after[k], before[k] * (k + 1) - 10 * k)


def test_broken_slope_in_a_late_slice_makes_the_whole_block_float(tmp_path, written):
    before = read(tmp_path).voxels

    def edit(dataset, k):
        dataset.RescaleSlope = "0.25" if k == 3 else "1"
        dataset.RescaleIntercept = "0"

    edit_files(written.paths, edit)
    after = read(tmp_path).voxels
    assert after.dtype == np.float32
    expected = before.astype(np.float32)
    expected[3] *= 0.25
    assert np.array_equal(after, expected)


def test_values_beyond_int16_are_kept_as_float(tmp_path, written):
    stored = np.full((8, 6), 60000)

    def edit(dataset, k):
        set_pixels(dataset, stored + k)

    edit_files(written.paths, edit)
    voxels = read(tmp_path).voxels
    assert voxels.dtype == np.float32
    assert voxels[:, 0, 0].tolist() == [60000, 60001, 60002, 60003, 60004]


def test_signed_ct_numbers(tmp_path, written):
    stored = np.array([[-1024, 3071], [0, -1]])

    def edit(dataset, _k):
        set_pixels(dataset, stored, signed=True)
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1"

    edit_files(written.paths, edit)
    assert read(tmp_path).voxels[2].tolist() == [[-1025, 3070], [-1, -2]]


def test_signed_twelve_bits_in_sixteen(tmp_path, written):
    """-1 in 12 bits is 0x0FFF; the four bits above belong to nobody."""

    def edit(dataset, _k):
        set_pixels(dataset, np.array([[0x0FFF, 0x0800], [0x07FF, 0xA001]]), bits_stored=12)
        dataset.PixelRepresentation = 1

    edit_files(written.paths, edit)
    assert read(tmp_path).voxels[0].tolist() == [[-1, -2048], [2047, 1]]


def test_unused_high_bits_are_ignored(tmp_path, written):
    def edit(dataset, _k):
        set_pixels(dataset, np.array([[0xF123, 0x0123]]), bits_stored=12)

    edit_files(written.paths, edit)
    assert read(tmp_path).voxels[0].tolist() == [[0x123, 0x123]]


def test_monochrome1_is_not_inverted(tmp_path, written):
    before = read(tmp_path).voxels

    def edit(dataset, _k):
        dataset.PhotometricInterpretation = "MONOCHROME1"

    edit_files(written.paths, edit)
    assert np.array_equal(read(tmp_path).voxels, before)


def test_eight_bit_grey(tmp_path, written):
    def edit(dataset, k):
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
        dataset.Rows, dataset.Columns = 2, 2
        dataset.PixelData = bytes([k, 255, 1, 2])

    edit_files(written.paths, edit)
    assert read(tmp_path).voxels[4].tolist() == [[4, 255], [1, 2]]


def test_cut_pixel_data_names_every_object(tmp_path, written):
    for k in (1, 3):
        content = written.paths[k].read_bytes()
        written.paths[k].write_bytes(content[:-1000])
    with pytest.raises(InputRejected) as rejected:
        read(tmp_path)
    told = [(problem.code, problem.uid) for problem in rejected.value.problems]
    assert told == [("undecodable-pixels", written.source_uids[k]) for k in (1, 3)]


def test_broken_series_is_given_up_after_some_objects(tmp_path):
    written = write_case("brain2", tmp_path)
    for path in written.paths:
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputRejected) as rejected:
        read(tmp_path)
    assert len(rejected.value.problems) == MAXIMUM_PROBLEMS < len(written.paths)


@pytest.mark.parametrize("length", [0, 100])
def test_pixel_data_shorter_than_the_matrix(tmp_path, written, length):
    def edit(dataset, _k):
        dataset.PixelData = dataset.PixelData[:length]

    edit_files(written.paths[2:3], edit)
    with pytest.raises(InputRejected) as rejected:
        read(tmp_path)
    assert [problem.uid for problem in rejected.value.problems] == [written.source_uids[2]]


def test_missing_pixel_data(tmp_path, written):
    def edit(dataset, _k):
        del dataset.PixelData

    edit_files(written.paths[:1], edit)
    with pytest.raises(InputRejected, match="undecodable-pixels"):
        read(tmp_path)


def test_excess_pixel_data_is_left_alone(tmp_path, written):
    before = read(tmp_path).voxels

    def edit(dataset, _k):
        dataset.PixelData = dataset.PixelData * 2

    edit_files(written.paths, edit)
    assert np.array_equal(read(tmp_path).voxels, before)


def test_rescale_slope_of_zero_is_refused(tmp_path, written):
    def edit(dataset, _k):
        dataset.RescaleSlope, dataset.RescaleIntercept = "0", "0"

    edit_files(written.paths[4:], edit)
    with pytest.raises(InputRejected, match="rescale slope") as rejected:
        read(tmp_path)
    assert rejected.value.problems[0].uid == written.source_uids[4]


def test_unchecked_series_is_a_bug(tmp_path):
    write_case("brain2", tmp_path)
    with pytest.raises(ValueError, match="check_series"):
        read_volume(only_series(tmp_path))


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "dtype"),
    [
        ([0, 100], 1.0, -1024.0, np.int16),
        ([0, 40000], 1.0, -8000.0, np.int16),
        ([0, 40000], 1.0, 0.0, np.float32),
        ([0, 100], -300.0, 0.0, np.int16),
        ([0, 200], -300.0, 0.0, np.float32),
        ([0, 1], 0.5, 0.0, np.float32),
        ([0, 1], 1.0, 0.5, np.float32),
    ],
)
def test_block_is_int16_exactly_as_long_as_that_is_exact(stored, slope, intercept, dtype):
    block = VoxelBlock((2, 1, 2))
    values = np.array([stored], np.uint16)
    block.put(0, np.zeros((1, 2), np.uint16), slope=1.0, intercept=7.0)
    block.put(1, values, slope=slope, intercept=intercept)
    assert block.voxels.dtype == dtype
    assert block.voxels[0].tolist() == [[7, 7]]
    assert block.voxels[1].tolist() == [[value * slope + intercept for value in stored]]
