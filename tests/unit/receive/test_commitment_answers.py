"""Requests for commitment that are not taken: each is answered with its own status."""

from types import SimpleNamespace
from typing import Any

import pytest
from pydicom import Dataset

from node.dicom import commitment as data_sets
from node.dicom.commitment import STORAGE_COMMITMENT_INSTANCE, write_request
from node.receive.commitment import CommitmentService

CT = "1.2.840.10008.5.1.4.1.1.2"
OBJECTS = [(CT, f"1.2.{number}") for number in range(1, 4)]


class Book:
    """Where requests that are taken are written down."""

    def __init__(self) -> None:
        self.objects: list[Any] = []

    def add(self, *, objects: Any, **_: Any) -> None:
        self.objects += objects

    def reported(self, request_id: int) -> None:
        raise AssertionError(request_id)


def ask(
    book: Book,
    *,
    request: Dataset,
    action: int = 1,
    instance: str = STORAGE_COMMITMENT_INSTANCE,
    answers: bool = True,
) -> int:
    service = CommitmentService(
        requests=book, held=lambda _: {}, record_report=lambda _: False, answers=answers
    )
    event: Any = SimpleNamespace(
        request=SimpleNamespace(RequestedSOPInstanceUID=instance),
        action_type=action,
        action_information=request,
        context=None,
        assoc=SimpleNamespace(requestor=SimpleNamespace(ae_title="PACS"), follow_ups=[]),
    )
    status, _ = service.answer_action(event)
    assert len(event.assoc.follow_ups) == (status == 0)
    return status


def test_a_request_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_sets, "MAXIMUM_OBJECTS", 3)
    book = Book()
    assert ask(book, request=write_request("2.25.1", OBJECTS)) == 0
    assert book.objects == OBJECTS


def test_too_many_objects_are_an_invalid_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_sets, "MAXIMUM_OBJECTS", 2)
    book = Book()
    assert ask(book, request=write_request("2.25.1", OBJECTS)) == 0x0115
    assert book.objects == []


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"request": Dataset()}, 0x0115),
        ({"action": 2}, 0x0123),
        ({"instance": "1.2.3"}, 0x0112),
        ({"answers": False}, 0x0124),
    ],
    ids=["nothing asked", "another action", "another instance", "not offered"],
)
def test_what_is_not_taken(how: dict[str, Any], status: int) -> None:
    book = Book()
    assert ask(book, **{"request": write_request("2.25.1", OBJECTS), **how}) == status
    assert book.objects == []
