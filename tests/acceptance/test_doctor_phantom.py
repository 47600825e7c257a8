"""``onconode doctor --phantom``: a study through the node's own port, SEG and SR back."""

import json
import subprocess
import sys

import pytest
from pydicom import dcmread
from running_node import ROOT, RunningNode, clean_environment

from node.emulate.archive import Archive

pytestmark = pytest.mark.slow


def test_phantom_comes_back(node: RunningNode, archive: Archive) -> None:
    before = set(archive.counts())
    result = subprocess.run(
        [
            *(sys.executable, "-m", "node.cli", "--config", str(node.config_dir), "doctor"),
            *("--phantom", "--quick", "--json", "--wait", "400"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(),
        timeout=580,
        check=False,
    )
    lines = json.loads(result.stdout)["lines"]
    phantom = [line for line in lines if line["about"] == "phantom"]
    assert [line["mark"] for line in phantom] == ["pass"] * 4, phantom
    assert [line["check"] for line in phantom] == ["study sent", "processed", "SEG back", "SR back"]
    # of the peers that this node knows, one is not there
    assert result.returncode == 4, result.stderr
    assert {line["about"] for line in lines if line["mark"] == "fail"} == {"orthanc"}
    port = next(line for line in lines if line["check"] == "port")
    assert "the running node answered" in port["found"]
    told = {uid for line in lines for uid in line["stored"]}
    stored = {uid: count for uid, count in archive.counts().items() if uid not in before}
    assert set(stored) == told
    assert len(told) == 4
    for receipt in archive.kept:
        if receipt.sop_instance_uid in told:
            assert receipt.path is not None
            assert dcmread(receipt.path, stop_before_pixels=True).PatientID == "TEST-ONCONODE"
