"""One Enhanced MR object is read as the classic series that it was made of."""

import subprocess

import numpy as np
import pytest
from factories_images import checked_series, edit_files, write_enhanced
from pydicom import dcmread
from tools import require_tool

from node.domain.errors import InputRejected
from node.emulate.phantom import write_case
from node.volume.read import read_slices, read_volume

ORDER = [3, 0, 5, 1, 4, 2]


@pytest.fixture
def paths(tmp_path):
    written = write_case("brain2", tmp_path / "classic", orientation="oblique")
    for path in written.paths[6:]:
        path.unlink()
    return written.paths[:6]


@pytest.fixture
def classic(tmp_path, paths):
    return read_volume(checked_series(tmp_path / "classic"))


def read(path):
    return read_volume(checked_series(path.parent))


def test_frames_are_ordered_by_place_whatever_their_number(tmp_path, paths, classic):
    path = write_enhanced(paths, tmp_path / "enhanced", frame_order=ORDER)
    volume = read(path)
    assert np.array_equal(volume.voxels, classic.voxels)
    assert volume.geometry.is_close(classic.geometry, 1e-9)
    assert volume.source_frames == tuple(ORDER.index(k) + 1 for k in range(6))
    assert set(volume.source_uids) == {str(dcmread(path).SOPInstanceUID)}


def test_one_slice_is_its_frame(tmp_path, paths, classic):
    path = write_enhanced(paths, tmp_path / "enhanced", frame_order=ORDER)
    series = checked_series(path.parent)
    for k in (0, 4):
        assert np.array_equal(read_slices(series, [k]).voxels[0], classic.voxels[k])


def test_each_frame_has_its_own_rescale(tmp_path, paths, classic):
    path = write_enhanced(
        paths,
        tmp_path / "enhanced",
        frame_order=ORDER,
        rescale=lambda k: (str(k + 1), str(100 * k)),
    )
    expected = [slab * (k + 1) + 100 * k for k, slab in enumerate(classic.voxels)]
    assert np.array_equal(read(path).voxels, expected)


def test_shared_rescale_holds_for_all_frames(tmp_path, paths, classic):
    path = write_enhanced(
        paths, tmp_path / "enhanced", rescale=lambda _k: ("0.5", "3"), shared_rescale=True
    )
    volume = read(path)
    assert volume.voxels.dtype == np.float32
    assert np.array_equal(volume.voxels, classic.voxels * np.float32(0.5) + 3)


@pytest.mark.parametrize(
    "command", [["dcmcrle"], ["gdcmconv", "--j2k"], ["dcmcjpeg", "+e1"], ["dcmconv", "+td"]]
)
def test_compressed_frames(tmp_path, paths, classic, command):
    path = write_enhanced(paths, tmp_path / "enhanced", frame_order=ORDER)
    out = tmp_path / "converted"
    out.mkdir()
    tool, *options = command
    subprocess.run([require_tool(tool), *options, path, out / path.name], check=True)
    assert np.array_equal(read(out / path.name).voxels, classic.voxels)


@pytest.mark.parametrize("lost_bytes", [10, 100_000, 700_000])
def test_cut_object_is_refused(tmp_path, paths, lost_bytes):
    path = write_enhanced(paths, tmp_path / "enhanced")
    path.write_bytes(path.read_bytes()[:-lost_bytes])
    with pytest.raises(InputRejected, match="undecodable-pixels"):
        read(path)


def test_frame_without_position_is_told(tmp_path, paths):
    path = write_enhanced(paths, tmp_path / "enhanced")

    def edit(dataset, _k):
        del dataset.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence

    edit_files([path], edit)
    with pytest.raises(InputRejected) as rejected:
        read(path)
    (problem,) = rejected.value.problems
    assert problem.code == "missing-position"
    assert problem.found == "no usable value in 1 of 6 slices"


def test_fewer_frames_than_functional_groups_is_told(tmp_path, paths):
    path = write_enhanced(paths, tmp_path / "enhanced")

    def edit(dataset, _k):
        dataset.NumberOfFrames = 4

    edit_files([path], edit)
    with pytest.raises(InputRejected):
        read(path)


def test_multi_frame_without_functional_groups_is_no_volume(tmp_path, paths):
    path = write_enhanced(paths, tmp_path / "enhanced")

    def edit(dataset, _k):
        del dataset.PerFrameFunctionalGroupsSequence

    edit_files([path], edit)
    with pytest.raises(InputRejected, match="missing-position"):
        read(path)
