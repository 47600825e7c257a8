"""What the last answer of an archive means, and what of it is told."""

import pytest
from pydicom import Dataset

from node.config.settings import Peer
from node.domain.errors import TryLater
from node.query.c_find import check_final
from node.query.found import QueryRefused

PEER = Peer(name="pacs", ae_title="PACS")


def answer(code: int) -> Dataset:
    status = Dataset()
    status.Status = code
    status.ErrorComment = "no such patient: DOE^JANE"
    return status


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (0xA700, TryLater),
        (0xA702, TryLater),
        (0xFE00, TryLater),
        (0xA900, QueryRefused),
        (0xC001, QueryRefused),
        (0x0122, QueryRefused),
    ],
)
def test_a_failure_is_told_without_what_the_archive_says_of_the_patient(code, error) -> None:
    with pytest.raises(error, match=f"pacs: C-FIND answered 0x{code:04X}; its log") as raised:
        check_final(PEER, "C-FIND", answer(code))
    assert "DOE" not in str(raised.value)


@pytest.mark.parametrize("code", [0x0000, 0xB000, 0xB007])
def test_success_and_warnings_pass(code) -> None:
    check_final(PEER, "C-FIND", answer(code))
