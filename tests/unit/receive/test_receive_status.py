"""The table of faults: every answer is one that C-STORE has."""

import inspect
import re

import pytest
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from node.domain.errors import Problem
from node.receive import problems
from node.receive.status import FAULTS, SUCCESS, failure, fault_of


def problem(code: str, tag: str = "") -> Problem:
    return Problem(code=code, tag=tag, found="this", expected="that", remedy="mend it")


@pytest.mark.parametrize("code", FAULTS)
def test_every_fault_is_a_failure_that_c_store_knows(code: str) -> None:
    fault = FAULTS[code]
    assert STORAGE_SERVICE_CLASS_STATUS[fault.status][0] == "Failure"
    assert fault.status != 0x0111, "duplicate SOP instance belongs to N-CREATE"
    assert 0 < len(fault.comment) <= 64


def test_statuses_of_the_ranges() -> None:
    ranges = {code: fault.status >> 8 for code, fault in FAULTS.items()}
    assert {code for code, high in ranges.items() if high == 0xA7} == {
        "disk-full",
        "data-set-too-large",
        "database-unavailable",
    }
    assert {code for code, high in ranges.items() if high == 0xA9} == {
        "missing-uid",
        "sop-class-mismatch",
        "sop-instance-mismatch",
    }


def test_what_the_sender_shall_send_again_is_not_quarantined() -> None:
    for fault in FAULTS.values():
        assert fault.keep is (fault.status >> 8 != 0xA7)


def test_every_problem_that_the_room_makes_is_in_the_table() -> None:
    codes = set(re.findall(r'code="([a-z-]+)"', inspect.getsource(problems)))
    assert codes
    assert codes <= set(FAULTS)


def test_a_response_names_the_fault_and_the_elements() -> None:
    response = failure(
        [problem("missing-uid", "StudyInstanceUID"), problem("missing-uid", "SeriesInstanceUID")]
    )
    assert response.status == 0xA900
    assert response.comment == FAULTS["missing-uid"].comment
    assert response.offending == (0x0020000D, 0x0020000E)


def test_the_first_problem_decides() -> None:
    assert fault_of([problem("truncated"), problem("missing-uid")]).status == 0xC003


def test_an_invalid_sop_instance_has_neither_comment_nor_elements() -> None:
    response = failure([problem("invalid-sop-instance-uid", "SOPInstanceUID")])
    assert response.status == 0x0117
    assert not response.comment
    assert not response.offending


def test_an_unknown_code_is_an_internal_error() -> None:
    assert failure([problem("never-heard-of")]).status == 0xC211


def test_success() -> None:
    assert SUCCESS.status == 0x0000


def test_out_of_resources_names_no_element() -> None:
    assert failure([problem("disk-full", "SOPInstanceUID")]).offending == ()
