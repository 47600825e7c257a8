"""The delivery ladder: which form of a result a destination gets, and which one stands in for it.

A SEG falls to an RT Structure Set, and that to a Secondary Capture with a Key Object Selection; a
Comprehensive 3D SR falls to Comprehensive SR, and that to Enhanced SR. ``results`` and ``reports``
of a peer say otherwise; only where they name them are label maps, probabilities and parametric maps
sent. An object falls when its destination refuses the SOP class, or its content,
for good; what time may mend is tried again in the same form. Forms whose SOP class the destination
refused in the latest negotiation are passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import structlog
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.config.settings import Peer
from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import Delivery, DeliveryState

log = structlog.get_logger()

NOTHING = "none"
WITHOUT_SEGMENTS = "without_segments"
KEY_OBJECT = "key_object"
PAPER = "pdf"
AUTO = "auto"
"""SEG as BINARY where all viewers decode frames of its size, else as a label map."""
BY_DEFAULT = ("seg", "rtstruct", "secondary_capture")
SEGMENTATIONS = ("seg", "labelmap")
PICTURES: Mapping[str, str] = MappingProxyType(
    {
        "seg": str(SegmentationStorage),
        "labelmap": "1.2.840.10008.5.1.4.1.1.66.7",  # pydicom has no name for it
        "rtstruct": str(RTStructureSetStorage),
        "secondary_capture": str(SecondaryCaptureImageStorage),
    }
)
REPORTS: Mapping[str, str] = MappingProxyType(
    {
        "comprehensive_3d": str(Comprehensive3DSRStorage),
        "comprehensive": str(ComprehensiveSRStorage),
        "enhanced": str(EnhancedSRStorage),
    }
)
CLASS_OF_FORM: Mapping[str, str] = MappingProxyType(
    {
        **PICTURES,
        **REPORTS,
        KEY_OBJECT: str(KeyObjectSelectionDocumentStorage),
        PAPER: str(EncapsulatedPDFStorage),
        EvidenceKind.PARAMETRIC_MAP.value: str(ParametricMapStorage),
    }
)
FORM_OF_CLASS = MappingProxyType({uid: form for form, uid in CLASS_OF_FORM.items()})
ONLY_BESIDE = frozenset({EvidenceKind.FRACTIONAL.value, EvidenceKind.PARAMETRIC_MAP.value})
"""Kinds that are sent beside others and never in their place; one shares its class with SEG."""

Rung = tuple[str, ...]
"""Forms that go together; the first is the one that counts."""
MakeForm = Callable[[Delivery, str], tuple[Evidence, ...]]
"""Makes another form of what a delivery holds; raises ``SetupFault`` or ``TryLater``."""


class StandInLedger(Protocol):
    """Where it is written what stands in for what."""

    def deliveries(self, job_id: str) -> Sequence[Delivery]:
        """Return all deliveries of a job."""

    def delivery_replaced(
        self, delivery_id: int, owner: str, *, error: str, evidence: Sequence[Evidence]
    ) -> bool:
        """Record that an object is not sent, and what stands in for it."""

    def delivery_accompanied(self, delivery_id: int, *, evidence: Sequence[Evidence]) -> None:
        """Have further objects sent beside one."""


def form_of(delivery: Delivery) -> str:
    """Return the form of an object; empty where it is on no ladder."""
    if delivery.kind in ONLY_BESIDE:
        return ""
    return FORM_OF_CLASS.get(delivery.sop_class_uid, "")


def rungs_for(peer: Peer, form: str) -> tuple[Rung, ...]:
    """Return the rungs of the ladder that a form is on, the most wanted first."""
    if form in PICTURES:
        rungs = tuple(tuple(each.split("+")) for each in peer.results or BY_DEFAULT)
        head = form if form in SEGMENTATIONS else "seg"
        return tuple((head, *rung[1:]) if rung[0] == AUTO else rung for rung in rungs)
    if form in REPORTS:
        reports: Sequence[str] = peer.reports or tuple(REPORTS)
        return tuple((each,) for each in reports)
    if form in (KEY_OBJECT, PAPER):  # without it picture and report are still there
        return ((form,), (NOTHING,))
    return ()


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Chooses forms, has them made, and writes them down.

    Parameters
    ----------
    ledger : StandInLedger
    owner : str
        Holder of the leases.
    make : callable
    accepted : callable
        Name of a peer -> SOP class -> transfer syntaxes that it took the last time; an empty
        tuple where it took none. ``NegotiationStore.accepted``.
    """

    ledger: StandInLedger
    owner: str
    make: MakeForm
    accepted: Callable[[str], Mapping[str, Sequence[str]]]

    def prepare(self, delivery: Delivery, peer: Peer) -> frozenset[int]:
        """See that the forms which ``peers.yaml`` names first are sent, before anything is.

        Returns
        -------
        frozenset of int
            Deliveries that are not to be sent any more.
        """
        form = form_of(delivery)
        if form in REPORTS and peer.pdf and not delivery.stands_for:
            paper = self.make(delivery, PAPER)
            self.ledger.delivery_accompanied(delivery.delivery_id, evidence=paper)
        configured = peer.results if form in PICTURES else peer.reports
        rungs = rungs_for(peer, form)
        if not configured or form not in {**PICTURES, **REPORTS}:
            return frozenset()
        on_ladder = form in PICTURES or any(rung[0] == form for rung in rungs)
        if delivery.stands_for and on_ladder:
            return frozenset()
        if form == "seg" and configured[0].split("+")[0] == AUTO:
            rungs = ((self._fitting(delivery), *rungs[0][1:]), *rungs[1:])
        if form == "secondary_capture" and form not in rungs[0][:1]:
            return frozenset()  # it accompanies another form
        if form not in rungs[0]:
            return self._replace(delivery, rungs[0], "peers.yaml wants another form")
        if len(rungs[0]) > 1 and form == rungs[0][0]:
            beside = [item for other in rungs[0][1:] for item in self.make(delivery, other)]
            self.ledger.delivery_accompanied(delivery.delivery_id, evidence=beside)
        return frozenset()

    def _fitting(self, seg: Delivery) -> str:
        (chosen,) = self.make(seg, AUTO)
        return "seg" if chosen.sop_instance_uid == seg.sop_instance_uid else "labelmap"

    def fall(self, delivery: Delivery, peer: Peer, reason: str) -> frozenset[int]:
        """Put another form in the place of an object that the peer refused for good.

        Returns
        -------
        frozenset of int
            Deliveries that were replaced; empty where nothing is left to try.

        Raises
        ------
        SetupFault, TryLater
            If the other form could not be made.
        """
        rung = self._next_rung(delivery, peer)
        return frozenset() if rung is None else self._replace(delivery, rung, reason)

    def _next_rung(self, delivery: Delivery, peer: Peer) -> Rung | None:
        form, rungs = form_of(delivery), rungs_for(peer, form_of(delivery))
        places = [number for number, rung in enumerate(rungs) if rung[0] == form]
        if not places and (delivery.stands_for or any(form in rung for rung in rungs)):
            return None  # it accompanies another form, or the settings have changed meanwhile
        known = self.accepted(peer.name)
        for rung in rungs[places[-1] + 1 if places else 0 :]:
            is_refused = known.get(CLASS_OF_FORM.get(rung[0], ""), True) == ()
            if not is_refused:
                return rung
        return None

    def _replace(self, delivery: Delivery, rung: Rung, reason: str) -> frozenset[int]:
        forms = [form for form in rung if form != NOTHING]
        evidence = tuple(item for form in forms for item in self.make(delivery, form))
        replaced: set[int] = set()
        if form_of(delivery) == "seg":
            replaced |= self._free_reports(delivery, reason)
        instead = f"{' and '.join(forms) or 'nothing'} in its place"
        if self.ledger.delivery_replaced(
            delivery.delivery_id, self.owner, error=f"{reason}; {instead}", evidence=evidence
        ):
            replaced.add(delivery.delivery_id)
            log.info(
                "delivery.replaced",
                peer=delivery.destination,
                sop_instance_uid=delivery.sop_instance_uid,
                reason=reason,
                by=forms,
            )
        return frozenset(replaced)

    def _free_reports(self, seg: Delivery, reason: str) -> set[int]:
        """Have reports that name a SEG replaced by such that do not, before the SEG falls."""
        replaced = set()
        for each in self.ledger.deliveries(seg.job_id):
            is_report = form_of(each) in REPORTS and each.destination == seg.destination
            if not is_report or each.state is not DeliveryState.PENDING:
                continue
            evidence = self.make(each, WITHOUT_SEGMENTS)
            if evidence[0].sop_instance_uid == each.sop_instance_uid:
                continue  # a crash came between the two
            told = f"its segmentation is not sent: {reason}"
            if self.ledger.delivery_replaced(
                each.delivery_id, self.owner, error=told, evidence=evidence
            ):
                replaced.add(each.delivery_id)
        return replaced
