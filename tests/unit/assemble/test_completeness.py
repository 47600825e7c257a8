"""Counts prove that a study is all there, gaps disprove it."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from node.assemble.completeness import count_missing, judge_completeness
from node.domain.intake import Arrival, Completeness, DocumentRef, Intake
from node.domain.study import InstanceRef, Part, Series, SliceRef, Study


def make_series(uid: str, images: int, *, gaps: int = 0) -> Series:
    return Series(
        series_instance_uid=uid,
        study_instance_uid="1",
        modality="MR",
        instances=tuple(
            InstanceRef(
                sop_instance_uid=f"{uid}.{k}",
                sop_class_uid="",
                transfer_syntax_uid="",
                path=Path(),
                sha256="",
            )
            for k in range(images)
        ),
        attributes={"SeriesNumber": "7"},
        slices=tuple(SliceRef(source_uid=f"{uid}.{k}", frame=1) for k in range(images)),
        missing_slices=gaps,
    )


STUDY = Study(study_instance_uid="1", series=(make_series("1.1", 20), make_series("1.2", 3)))


@pytest.mark.parametrize(
    ("counts", "wanted", "own", "missing"),
    [
        ({"1.1": 20, "1.2": 3}, None, (), {}),
        ({"1.1": 19, "1.2": 3}, None, (), {}),  # the source lost one: none is missing here
        ({"1.1": 24, "1.2": 9, "1.3": 5}, None, (), {"1.1": 4, "1.2": 6, "1.3": 5}),
        ({"1.1": 24, "1.2": 9, "1.3": 5}, ["1.1"], (), {"1.1": 4}),
        ({"1.1": 20, "1.3": 1}, None, ("1.3",), {}),
        ({}, ["1.1"], (), {}),
    ],
)
def test_missing_images_are_counted(counts, wanted, own, missing):
    assert count_missing(STUDY, counts, wanted=wanted, own=frozenset(own)) == missing


@pytest.mark.parametrize(
    ("gaps", "missing", "is_counted", "arrival", "total"),
    [
        (0, {}, True, Arrival.COMPLETE, 0),
        (0, {}, False, Arrival.PROBABLY_COMPLETE, 0),
        (0, {"1.1": 4}, True, Arrival.INCOMPLETE, 4),
        (3, {}, False, Arrival.INCOMPLETE, 3),
        (3, {"1.1": 5}, True, Arrival.INCOMPLETE, 5),
        (0, {"1.9": 5}, True, Arrival.COMPLETE, 0),  # a series that the case is not made of
    ],
)
def test_verdict(gaps, missing, is_counted, arrival, total):
    series = make_series("1.1", 20, gaps=gaps)
    verdict = judge_completeness([series], missing, is_counted=is_counted)
    assert (verdict.arrival, verdict.missing) == (arrival, total)
    assert verdict.is_partial == bool(verdict.limitations) == (arrival is Arrival.INCOMPLETE)
    assert all("series number 7" in text for text in verdict.limitations)


def test_words():
    assert str(Completeness()) == "PROBABLY COMPLETE"
    assert str(Completeness(arrival=Arrival.INCOMPLETE, missing=3)) == "INCOMPLETE (3 missing)"


def test_what_a_job_knows_survives_the_ledger():
    intake = Intake(
        completeness=Completeness(arrival=Arrival.INCOMPLETE, missing=3, limitations=("a", "b")),
        parts=(None, Part(labels={"EchoTime": "90"}, number=2, of=2, chosen_by="rule")),
        predecessor=DocumentRef(
            study_instance_uid="1",
            series_instance_uid="1.5",
            sop_class_uid="1.2",
            sop_instance_uid="1.5.1",
        ),
    )
    assert Intake.from_json(intake.to_json()) == intake
    assert Intake.from_json(replace(intake, predecessor=None).to_json()).predecessor is None
    assert Intake.from_json(None) == Intake()


def test_parts_of_jobs_of_the_first_versions_are_understood():
    part = Part(labels={"EchoTime": "90"}, number=2, of=2)
    old = {**Intake().to_json(), "parts": {"1.2": asdict(part)}}
    assert Intake.from_json(old, ["1.1", "1.2"]).parts == (None, part)
