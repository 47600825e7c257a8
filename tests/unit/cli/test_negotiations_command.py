"""``onconode negotiations``: what a peer takes, as the administrator sees it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from factories_config import write_config
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)

from node.bootstrap.parts import Parts
from node.cli.app import main
from node.cli.exit_codes import ExitCode
from node.config.load import load_settings
from node.storage.negotiations import NegotiationStore, PeerSyntax

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def onconode(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    config = write_config(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--config", str(config), "negotiations", *words])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    run.config = config
    return run


def remember(onconode, *answers: tuple[str, bool], hours: int = 0) -> None:
    parts = Parts(settings=load_settings(onconode.config, environment={}))
    store = NegotiationStore(parts.engine, now=lambda: NOON + timedelta(hours=hours))
    store.remember(
        "pacs",
        [
            PeerSyntax(
                sop_class_uid=SegmentationStorage, transfer_syntax_uid=syntax, accepted=accepted
            )
            for syntax, accepted in answers
        ],
    )


def test_a_peer_that_takes_seg_no_longer_is_found_by_the_time(onconode):
    remember(onconode, (ExplicitVRLittleEndian, True), (ImplicitVRLittleEndian, True))
    remember(onconode, (ExplicitVRLittleEndian, False), hours=24)
    code, out, _ = onconode("ARCHIVE")
    assert code == ExitCode.OK
    changed = (NOON + timedelta(hours=24)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    (line,) = [line for line in out.splitlines() if line.lstrip().startswith("Segmentation")]
    assert line.split()[-2:] == changed.split()
    assert line.index("Implicit VR") < line.index("Explicit VR")  # accepted, then refused
    assert f"{changed}  refuses Segmentation Storage, Explicit VR Little Endian" in out
    told = json.loads(onconode("pacs", "--json")[1])
    assert [each["accepted"] for each in told] == [True, True, False]


def test_a_peer_that_was_not_called_and_one_that_is_not_there(onconode):
    code, _, err = onconode("pacs")
    assert code == ExitCode.SETUP_FAULT
    assert "has the node run" in err
    remember(onconode)
    code, out, _ = onconode("pacs")
    assert code == ExitCode.OK
    assert "onconode doctor pacs" in out
    assert onconode("nobody")[0] == ExitCode.USAGE
