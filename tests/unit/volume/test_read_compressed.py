"""Files compressed by other people's programs decode to the voxels that went in."""

import subprocess

import numpy as np
import pytest
from factories_images import checked_series, edit_files, set_pixels
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, generate_frames
from tools import require_tool

from node.domain.errors import InputRejected
from node.emulate.phantom import write_case
from node.volume.read import read_volume

LOSSLESS = [
    (["dcmcrle"], uid.RLELossless),
    (["dcmcjpeg", "+el"], uid.JPEGLossless),
    (["dcmcjpeg", "+e1"], uid.JPEGLosslessSV1),
    (["dcmcjpls", "+el"], uid.JPEGLSLossless),
    (["gdcmconv", "--rle"], uid.RLELossless),
    (["gdcmconv", "--jpeg"], uid.JPEGLosslessSV1),
    (["gdcmconv", "--jpegls"], uid.JPEGLSLossless),
    (["gdcmconv", "--j2k"], uid.JPEG2000Lossless),
    (["dcmconv", "+ti"], uid.ImplicitVRLittleEndian),
    (["dcmconv", "+tb"], uid.ExplicitVRBigEndian),
    (["dcmconv", "+td"], uid.DeflatedExplicitVRLittleEndian),
]
LOSSY = [
    (["dcmcjpls", "+en", "+md", "2"], uid.JPEGLSNearLossless, 2),
    (["gdcmconv", "--j2k", "--lossy", "-q", "90"], uid.JPEG2000, 20),
]

# pydicom warns of the very faults that these tests make
pytestmark = pytest.mark.filterwarnings("ignore:End of file reached before delimiter:UserWarning")


@pytest.fixture
def series(tmp_path):
    written = write_case("brain2", tmp_path / "plain", orientation="axial")
    for path in written.paths[3:]:
        path.unlink()
    return written.paths[:3]


def convert(paths, command, expected_syntax):
    """Run a converter over the files; they then have the expected transfer syntax."""
    tool, *options = command
    program = require_tool(tool)
    out = paths[0].parent.with_name("converted")
    out.mkdir()
    for path in paths:
        arguments = [program, *options, str(path), str(out / path.name)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert dcmread(out / path.name).file_meta.TransferSyntaxUID == expected_syntax
    return out


def signed_ct(dataset, k):
    """CT-like numbers with a sign: air, water and bone, different in every slice."""
    ramp = np.arange(32 * 24).reshape(32, 24) * 5 - 1024 + k
    set_pixels(dataset, ramp, signed=True)
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"


@pytest.mark.parametrize(("command", "syntax"), LOSSLESS, ids=lambda value: str(value)[-30:])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_lossless_syntaxes_are_exact(series, command, syntax, signed):
    if signed:
        edit_files(series, signed_ct)
    plain = read_volume(checked_series(series[0].parent)).voxels
    assert (plain.min() < 0) == signed
    out = convert(series, command, syntax)
    assert np.array_equal(read_volume(checked_series(out)).voxels, plain)


@pytest.mark.parametrize(("command", "syntax", "tolerance"), LOSSY, ids=lambda v: str(v)[-30:])
def test_lossy_syntaxes_are_near(series, command, syntax, tolerance):
    plain = read_volume(checked_series(series[0].parent)).voxels.astype(int)
    out = convert(series, command, syntax)
    voxels = read_volume(checked_series(out)).voxels.astype(int)
    assert np.abs(voxels - plain).max() <= tolerance
    assert np.corrcoef(voxels.ravel(), plain.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(("command", "syntax"), LOSSLESS[:8], ids=lambda value: str(value)[-30:])
def test_cut_codestream_is_refused(series, command, syntax):
    out = convert(series, command, syntax)
    victim = sorted(out.iterdir())[1]
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputRejected) as rejected:
        read_volume(checked_series(out))
    (problem,) = rejected.value.problems
    assert problem.code == "undecodable-pixels"
    assert problem.uid == dcmread(victim, stop_before_pixels=True).SOPInstanceUID


def test_twelve_bit_jpeg_extended_is_refused_before_decoding(series):
    """Only a GPL-licensed decoder reads it; the sender is told to send something else."""
    out = convert(series, ["dcmcjpeg", "+ee"], uid.JPEGExtended12Bit)
    with pytest.raises(InputRejected, match="unsupported-transfer-syntax"):
        checked_series(out)


@pytest.mark.parametrize(("command", "syntax"), LOSSLESS[:8], ids=lambda value: str(value)[-30:])
def test_cut_frame_in_a_whole_file_is_refused(series, command, syntax):
    """No decoder may give back a picture that is grey where its data ends."""
    out = convert(series, command, syntax)
    victim = sorted(out.iterdir())[1]

    def edit(dataset, _k):
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
        dataset.PixelData = encapsulate([frame[: len(frame) * 9 // 10]])
        dataset["PixelData"].VR = "OB"

    edit_files([victim], edit)
    with pytest.raises(InputRejected, match="undecodable-pixels"):
        read_volume(checked_series(out))
