"""One result that cannot be prepared, or trips the node, holds up no other of its batch."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.config.settings import DeliverSettings, Peer
from node.deliver.c_store import SendOutcome
from node.deliver.outbox import deliver_batch
from node.domain.errors import SetupFault, TryLater

FAULTS = [TryLater("disk full"), SetupFault("a damaged file"), MemoryError(), ZeroDivisionError()]


@dataclass
class Marks:
    """A ledger that only remembers."""

    done: list[int] = field(default_factory=list)
    failed: dict[int, tuple[str, bool]] = field(default_factory=dict)

    def delivery_done(self, delivery_id: int, _owner: str) -> None:
        self.done.append(delivery_id)

    def delivery_failed(self, delivery_id: int, _owner: str, *, error: str, retry: bool) -> None:
        self.failed[delivery_id] = (error, retry)


@dataclass
class Tripping:
    """A ladder that cannot make another form of the second delivery."""

    fault: Exception
    at: str

    def _do(self, delivery: Any, at: str) -> frozenset[int]:
        if (delivery.delivery_id, at) == (2, self.at):
            raise self.fault
        return frozenset()

    def prepare(self, delivery: Any, _peer: Peer) -> frozenset[int]:
        return self._do(delivery, "prepare")

    def fall(self, delivery: Any, _peer: Peer, _error: str) -> frozenset[int]:
        return self._do(delivery, "fall")


def deliver(monkeypatch: pytest.MonkeyPatch, ladder: Tripping, *, refused: int = 0) -> Marks:
    """Send three; the peer refuses one."""

    def send(paths: list[Path], *, on_outcome: Any, wanted: Any, **_: Any) -> None:
        for path in filter(wanted, paths):
            is_refused = path.name == str(refused)
            outcome = SendOutcome(
                path=path,
                sop_instance_uid="1.2",
                status=0x0122 if is_refused else 0,
                accepted=not is_refused,
                retry=False,
                detail="0x0122" if is_refused else "",
                refused=is_refused,
            )
            on_outcome(outcome)

    monkeypatch.setattr("node.deliver.outbox.send_objects", send)
    marks = Marks()
    deliver_batch(
        [
            SimpleNamespace(
                delivery_id=number,
                job_id="j",
                destination="pacs",
                kind="seg",
                path=Path(f"{number}"),
            )
            for number in (1, 2, 3)
        ],
        ledger=marks,
        peers=[Peer(name="pacs", ae_title="PACS")],
        calling_ae_title="N",
        settings=DeliverSettings(),
        owner="d",
        ladder=ladder,
    )
    return marks


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_the_others_are_sent_where_one_cannot_be_prepared(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    marks = deliver(monkeypatch, Tripping(fault, "prepare"))
    assert marks.done == [1, 3]
    (error, retry) = marks.failed[2]
    assert retry
    assert str(fault) in error


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_the_others_are_sent_where_no_stand_in_can_be_made(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    marks = deliver(monkeypatch, Tripping(fault, "fall"), refused=2)
    assert marks.done == [1, 3]
    (error, retry) = marks.failed[2]
    assert error.startswith("0x0122; its stand-in cannot be made")
    assert retry is not isinstance(fault, SetupFault)
