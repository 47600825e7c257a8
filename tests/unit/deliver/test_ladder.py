"""Which form of a result comes next."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, RLELossless

from node.config.settings import Peer
from node.deliver.ladder import CLASS_OF_FORM, Ladder
from node.deliver.syntaxes import MAXIMUM_CONTEXTS, choose, propose
from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import Delivery, DeliveryState

SEG = CLASS_OF_FORM["seg"]
EXPLICIT, IMPLICIT = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)


class FakeLedger:
    """Remembers what was replaced by what."""

    def __init__(self, *linked: Delivery) -> None:
        self.linked = linked
        self.replaced: list[tuple[int, list[str]]] = []
        self.beside: list[str] = []

    def deliveries(self, job_id: str) -> tuple[Delivery, ...]:
        return self.linked

    def delivery_replaced(self, delivery_id, owner, *, error, evidence) -> bool:
        self.replaced.append((delivery_id, [str(item.path) for item in evidence]))
        return True

    def delivery_accompanied(self, delivery_id, *, evidence) -> None:
        self.beside += [str(item.path) for item in evidence]


def delivery(form: str, number: int = 1, *, stands_for: str = "") -> Delivery:
    return Delivery(
        delivery_id=number,
        job_id="job",
        destination="pacs",
        kind="sr" if "comprehensive" in form or form == "enhanced" else form,
        sop_class_uid=CLASS_OF_FORM[form],
        sop_instance_uid=f"1.2.{number}",
        path=Path(form),
        state=DeliveryState.PENDING,
        attempts=1,
        not_before=datetime.now(UTC),
        error="",
        stands_for=stands_for,
    )


def make(_: Delivery, form: str) -> tuple[Evidence, ...]:
    return (Evidence(kind=EvidenceKind.SR, path=Path(form), sop_instance_uid=f"2.{form}"),)


def ladder(ledger: FakeLedger, known: dict[str, tuple[str, ...]] | None = None) -> Ladder:
    return Ladder(ledger=ledger, owner="me", make=make, accepted=lambda _: known or {})


def peer(**options: object) -> Peer:
    return Peer(name="pacs", ae_title="PACS", **options)


@pytest.mark.parametrize(
    ("form", "stands_for", "options", "known", "expected"),
    [
        ("seg", "", {}, (), ["rtstruct"]),
        ("seg", "", {}, ("rtstruct",), ["secondary_capture"]),
        ("seg", "", {}, ("rtstruct", "secondary_capture"), None),
        ("seg", "", {"results": ["seg"]}, (), None),
        ("seg", "", {"results": ["seg", "none"]}, (), []),
        ("seg", "", {"results": ["seg+secondary_capture", "rtstruct"]}, (), ["rtstruct"]),
        ("rtstruct", "1", {}, (), ["secondary_capture"]),
        ("rtstruct", "1", {"results": ["seg"]}, (), None),  # the settings have changed
        ("secondary_capture", "1", {}, (), None),
        ("secondary_capture", "", {"results": ["seg+secondary_capture", "rtstruct"]}, (), None),
        ("labelmap", "1", {"results": ["labelmap", "rtstruct"]}, (), ["rtstruct"]),
        ("labelmap", "1", {"results": ["auto", "none"]}, (), []),
        ("seg", "", {"results": ["auto", "rtstruct"]}, (), ["rtstruct"]),
        ("key_object", "1", {}, (), []),
        ("comprehensive_3d", "", {}, (), ["comprehensive"]),
        ("comprehensive_3d", "", {}, ("comprehensive",), ["enhanced"]),
        ("comprehensive", "", {}, (), ["enhanced"]),
        ("enhanced", "1", {}, (), None),
    ],
)
def test_next_form(form, stands_for, options, known, expected) -> None:
    ledger = FakeLedger()
    refused: dict[str, tuple[str, ...]] = {CLASS_OF_FORM[each]: () for each in known}
    done = ladder(ledger, refused).fall(
        delivery(form, stands_for=stands_for), peer(**options), "refused"
    )
    assert ledger.replaced == ([] if expected is None else [(1, expected)])
    assert done == (frozenset() if expected is None else {1})


def test_reports_lose_the_seg_before_it_falls() -> None:
    seg, report = delivery("seg"), delivery("comprehensive_3d", 2)
    ledger = FakeLedger(seg, report)
    assert ladder(ledger).fall(seg, peer(), "refused") == {1, 2}
    assert ledger.replaced == [(2, ["without_segments"]), (1, ["rtstruct"])]


def test_without_settings_nothing_is_prepared() -> None:
    ledger = FakeLedger()
    assert ladder(ledger).prepare(delivery("seg"), peer()) == frozenset()
    assert ladder(ledger).prepare(delivery("comprehensive"), peer()) == frozenset()
    assert not ledger.replaced


def test_a_label_map_takes_the_place_of_the_seg() -> None:
    seg, report = delivery("seg"), delivery("comprehensive_3d", 2)
    ledger = FakeLedger(seg, report)
    asked = peer(results=["labelmap+fractional", "rtstruct"])
    assert ladder(ledger).prepare(seg, asked) == {1, 2}
    assert ledger.replaced == [(2, ["without_segments"]), (1, ["labelmap", "fractional"])]
    assert ladder(ledger).prepare(delivery("labelmap", 3, stands_for="1.2.1"), asked) == frozenset()


@pytest.mark.parametrize(("fits", "expected"), [(True, []), (False, [(1, ["labelmap"])])])
def test_auto_asks_for_a_label_map_only_where_binary_is_read_wrongly(fits, expected) -> None:
    def choose_form(of: Delivery, form: str) -> tuple[Evidence, ...]:
        same = form == "auto" and fits
        uid = of.sop_instance_uid if same else "2.1"
        return (Evidence(kind=EvidenceKind.SEG, path=Path(form), sop_instance_uid=uid),)

    ledger = FakeLedger()
    chooser = Ladder(ledger=ledger, owner="me", make=choose_form, accepted=lambda _: {})
    done = chooser.prepare(delivery("seg"), peer(results=["auto+rtstruct"]))
    beside = ["rtstruct"]
    assert ledger.replaced == [(number, forms + beside) for number, forms in expected]
    assert ledger.beside == (beside if fits else [])
    assert done == (frozenset() if fits else {1})


def test_a_fractional_seg_is_on_no_ladder_though_its_class_is() -> None:
    beside = replace(delivery("seg", 5), kind="fractional")
    ledger = FakeLedger()
    asked = peer(results=["labelmap+fractional", "rtstruct"])
    assert ladder(ledger).prepare(beside, asked) == frozenset()
    assert ladder(ledger).fall(beside, asked, "refused") == frozenset()
    assert not ledger.replaced


def test_a_report_that_was_changed_still_gets_the_wanted_class() -> None:
    ledger = FakeLedger()
    asked = peer(reports=["comprehensive", "enhanced"])
    changed = delivery("comprehensive_3d", stands_for="1.2.9")
    assert ladder(ledger).prepare(changed, asked) == {1}
    assert ledger.replaced == [(1, ["comprehensive"])]
    fallen = delivery("enhanced", stands_for="1.2.9")
    assert ladder(ledger).prepare(fallen, asked) == frozenset()


def test_forms_beside_the_first_are_added() -> None:
    ledger = FakeLedger()
    asked = peer(results=["seg+rtstruct"])
    assert ladder(ledger).prepare(delivery("seg"), asked) == frozenset()
    assert (ledger.beside, ledger.replaced) == (["rtstruct"], [])


@pytest.mark.parametrize(
    "results",
    [
        ["none", "seg"],
        ["rtstruct", "seg"],
        ["seg", "seg"],
        ["rtstruct+seg"],
        ["png"],
        [""],
        ["rtstruct", "labelmap"],
        ["seg", "auto"],
        ["seg+labelmap"],
        ["fractional"],
        ["seg+rtstruct+rtstruct"],
    ],
)
def test_ladders_that_cannot_be_climbed_down_are_refused(results) -> None:
    with pytest.raises(ValidationError):
        peer(results=results)


def test_stored_syntaxes_are_proposed_first_and_never_too_many() -> None:
    contexts = propose([(f"1.2.{number}", IMPLICIT) for number in range(100)], also=[SEG])
    assert len(contexts) == MAXIMUM_CONTEXTS
    assert all(context.transfer_syntax == [IMPLICIT] for context in contexts[:100])
    assert len({(c.abstract_syntax, c.transfer_syntax[0]) for c in contexts}) == len(contexts)


@pytest.mark.parametrize(
    ("sop_class", "stored", "accepted", "expected"),
    [
        (SEG, EXPLICIT, {EXPLICIT, IMPLICIT}, EXPLICIT),
        (SEG, EXPLICIT, {IMPLICIT}, IMPLICIT),
        (SEG, EXPLICIT, {str(RLELossless)}, None),
        (MRImageStorage, EXPLICIT, {str(RLELossless)}, str(RLELossless)),
        (MRImageStorage, str(RLELossless), {IMPLICIT}, IMPLICIT),
        (MRImageStorage, "1.2.840.10008.1.2.2", {EXPLICIT}, None),
        (MRImageStorage, EXPLICIT, set(), None),
    ],
)
def test_syntax_in_which_an_object_goes(sop_class, stored, accepted, expected) -> None:
    assert choose(sop_class, stored, accepted) == expected
