"""Whose word an object is, and when it was said."""

from datetime import UTC, datetime

import pytest
from pydicom.dataset import Dataset

from node.domain.feedback import Voice
from node.feedback.voices import (
    author_of,
    said_at,
    voice_of_document,
    voice_of_segment,
    voice_of_structure,
)

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def make(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def code(value: str, scheme: str = "DCM") -> list[Dataset]:
    return [make(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="x")]


def observer(value: str) -> Dataset:
    return make(ConceptNameCodeSequence=code("121005"), ConceptCodeSequence=code(value))


def person(name: str) -> Dataset:
    return make(ConceptNameCodeSequence=code("121008"), PersonName=name)


@pytest.mark.parametrize(
    ("kind", "voice"),
    [
        ("AUTOMATIC", Voice.ALGORITHM),
        ("SEMIAUTOMATIC", Voice.PERSON),
        ("MANUAL", Voice.PERSON),
        ("", Voice.PERSON),
    ],
)
def test_what_is_drawn_automatically_is_of_an_algorithm(kind: str, voice: Voice) -> None:
    assert voice_of_segment(make(SegmentAlgorithmType=kind)) is voice
    assert voice_of_structure(make(ROIGenerationAlgorithm=kind)) is voice


def test_a_document_is_of_a_device_only_if_no_person_is_named() -> None:
    device = make(ContentSequence=[observer("121007")])
    both = make(ContentSequence=[observer("121007"), person("Li^Anna")])
    verified = make(
        ContentSequence=[observer("121007")],
        VerifyingObserverSequence=[make(VerifyingObserverName="Li^Anna")],
    )
    assert voice_of_document(device) is Voice.ALGORITHM
    assert voice_of_document(both) is Voice.PERSON
    assert voice_of_document(verified) is Voice.PERSON
    assert voice_of_document(make()) is Voice.PERSON


@pytest.mark.parametrize(
    ("dataset", "author"),
    [
        (make(ContentCreatorName="Li^Anna", OperatorsName="Op^One"), "Li^Anna"),
        (make(ContentSequence=[person("Li^Anna")], ContentCreatorName="Other"), "Li^Anna"),
        (make(RTROIObservationsSequence=[make(ROIInterpreter="Li^Anna")]), "Li^Anna"),
        (make(ContentCreatorName="^", OperatorsName="Op^One"), "Op^One"),
        (make(ManufacturerModelName="Viewer", Manufacturer="Vendor"), "(Viewer)"),
        (make(), "(unknown)"),
    ],
)
def test_the_author_is_whom_the_object_names(dataset: Dataset, author: str) -> None:
    assert author_of(dataset) == author


@pytest.mark.parametrize(
    ("dataset", "moment"),
    [
        (
            make(ContentDate="20261101", ContentTime="100000", TimezoneOffsetFromUTC="+0800"),
            datetime(2026, 11, 1, 2, tzinfo=UTC),
        ),
        (
            make(StructureSetDate="20261031", TimezoneOffsetFromUTC="-0130"),
            datetime(2026, 10, 31, 1, 30, tzinfo=UTC),
        ),
        (
            make(
                VerifyingObserverSequence=[make(VerificationDateTime="20261030120000+0000")],
                ContentDate="20261101",
            ),
            datetime(2026, 10, 30, 12, tzinfo=UTC),
        ),
        (make(ContentDate="20991231", TimezoneOffsetFromUTC="+0000"), NOON),  # a wrong clock
        (make(ContentDate="00010101", TimezoneOffsetFromUTC="+0800"), NOON),  # "no date", in .NET
        (
            make(
                VerifyingObserverSequence=[make(VerificationDateTime="20261101100000+0000")],
                TimezoneOffsetFromUTC="+9900",
            ),
            datetime(2026, 11, 1, 10, tzinfo=UTC),
        ),
        (make(), NOON),
    ],
)
def test_it_was_said_when_the_object_says(dataset: Dataset, moment: datetime) -> None:
    assert said_at(dataset, otherwise=NOON) == moment
