"""No patient on two sides, every stratum shared out."""

from collections import Counter

import pytest

from node.training.splits import split_patients

FRACTIONS = {"train": 0.6, "validation": 0.15, "test": 0.25}
STRATA = {f"p{i}": ("glioma", "meningioma", "pituitary")[i % 3] for i in range(120)}


def test_every_patient_has_one_part_and_strata_are_shared_out():
    parts = split_patients(STRATA, fractions=FRACTIONS, seed=1)
    assert set(parts) == set(STRATA)
    counts = Counter((STRATA[p], part) for p, part in parts.items())
    for kind in ("glioma", "meningioma", "pituitary"):
        assert [counts[kind, part] for part in FRACTIONS] == [24, 6, 10]


def test_a_seed_decides_and_the_order_of_patients_does_not():
    first = split_patients(STRATA, fractions=FRACTIONS, seed=1)
    turned = dict(reversed(STRATA.items()))
    assert split_patients(turned, fractions=FRACTIONS, seed=1) == first
    assert split_patients(STRATA, fractions=FRACTIONS, seed=2) != first


def test_fractions_must_sum_to_one():
    with pytest.raises(ValueError, match=r"0\.9"):
        split_patients(STRATA, fractions={"train": 0.9}, seed=1)
