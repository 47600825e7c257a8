"""dicom_conf/README.md names the settings that a running node takes up."""

import re
from pathlib import Path

from node.config.changes import LIVE

README = (Path(__file__).parents[2] / "dicom_conf/README.md").read_text("utf-8")


def test_what_a_running_node_takes_up_is_documented_and_no_other():
    table = README.split("| taken up by a running node |", 1)[1].split("\n\n", 1)[0]
    rows = re.findall(r"^\| (.*) \|$", table, flags=re.MULTILINE)
    assert rows[0] == "`peers.yaml`, `routing.yaml`"
    documented = [row.strip("`") for row in rows[1:]]
    assert sorted(documented) == sorted(LIVE)
