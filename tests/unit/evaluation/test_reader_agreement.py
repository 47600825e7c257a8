"""Agreement with readers over time, and calibration against them."""

from datetime import UTC, datetime

import numpy as np
import pytest

from node.evaluation.reader_agreement import (
    Reading,
    compare_classes,
    compare_probabilities,
    count_by_month,
)


def reading(month=1, *, agrees=True, study="1", **more):
    return Reading(at=datetime(2026, month, 3, tzinfo=UTC), study=study, agrees=agrees, **more)


def test_months_with_wilson_intervals():
    readings = [reading(2, agrees=False), *[reading(1, agrees=n < 8) for n in range(10)]]
    january, february = count_by_month(readings)
    assert (january.month, january.agreed, january.count) == ("2026-01", 8, 10)
    # Wilson's interval of 8 of 10, as published tables have it
    assert january.interval_95 == pytest.approx((0.490, 0.943), abs=5e-4)
    assert (february.month, february.share) == ("2026-02", 0.0)


def test_classes_of_too_few_are_not_compared():
    few = [reading(model_class="a", reader_class="a")] * 9
    assert compare_classes(few) is None
    many = [*few, *[reading(model_class="b", reader_class="b")] * 9]
    kappa = compare_classes(many)
    assert kappa is not None
    assert kappa.kappa == pytest.approx(1.0)


def test_calibration_finds_the_overconfident_model():
    rng = np.random.default_rng(1)
    truth = rng.random(200) < 0.5

    def readings(sure):
        return [
            reading(study=str(n), malignancy_probability=sure if t else 1 - sure,
                    reader_malignant=bool(t) if n % 4 else not t)
            for n, t in enumerate(truth)
        ]  # fmt: skip

    honest = compare_probabilities(readings(0.75), rng=np.random.default_rng(2))
    bold = compare_probabilities(readings(0.99), rng=np.random.default_rng(2))
    assert honest is not None
    assert bold is not None
    assert honest.error < 0.05
    assert bold.error > 0.2
    assert honest.brier == pytest.approx(0.1875)
    assert bold.count == 200


def test_calibration_needs_both_classes():
    one = [reading(malignancy_probability=0.9, reader_malignant=True)] * 20
    assert compare_probabilities(one, rng=np.random.default_rng(0)) is None
