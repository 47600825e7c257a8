"""The table of statuses."""

import itertools

import pytest

from node.deliver.status import STATUS_TABLE, UNKNOWN, Verdict, rule_of


def test_ranges_are_ascending_and_do_not_overlap():
    for before, after in itertools.pairwise(STATUS_TABLE):
        assert before.first <= before.last < after.first


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.ACCEPTED),
        (0xB000, Verdict.ACCEPTED),
        (0xB007, Verdict.ACCEPTED),
        (0x0111, Verdict.ACCEPTED),
        (0x0110, Verdict.RETRY),
        (0x0124, Verdict.RETRY),
        (0x0213, Verdict.RETRY),
        (0xA700, Verdict.RETRY),
        (0xA7FF, Verdict.RETRY),
        (0x0122, Verdict.GIVE_UP),
        (0xA900, Verdict.GIVE_UP),
        (0xC000, Verdict.GIVE_UP),
        (0xCFFF, Verdict.GIVE_UP),
    ],
)
def test_verdicts(status, verdict):
    assert rule_of(status).verdict is verdict


@pytest.mark.parametrize("status", [0xFE00, 0xFF00, 0x0199, 0xA800])
def test_what_makes_no_sense_is_tried_again(status):
    assert rule_of(status) is UNKNOWN
    assert UNKNOWN.verdict is Verdict.RETRY
