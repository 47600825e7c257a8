"""Our volumes against those of ITK's own series reader, which shares no code with us."""

import numpy as np
import pytest
import SimpleITK
from factories_images import checked_series

from node.emulate.phantom import ORIENTATIONS, write_case
from node.volume.read import read_volume
from node.volume.resample import from_simpleitk


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_itk_finds_every_value_at_its_place(tmp_path, orientation):
    write_case("brain1", tmp_path, orientation=orientation)
    ours = read_volume(checked_series(tmp_path))
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
    theirs, grid = from_simpleitk(SimpleITK.ReadImage(names))
    # corners and a thousand places in between, looked up on both grids by millimetres
    index = np.random.default_rng(7).integers(0, ours.geometry.shape, size=(1000, 3))
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in ours.geometry.shape])).reshape(3, -1).T
    index = np.concatenate([index, corners])
    at_theirs = grid.to_index(ours.geometry.to_lps(index))
    assert np.abs(at_theirs - np.rint(at_theirs)).max() < 1e-3
    there = tuple(np.rint(at_theirs).astype(int).T)
    assert np.array_equal(theirs[there], ours.voxels[tuple(index.T)])
