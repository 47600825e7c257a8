"""Storage Commitment of the emulated archive: prompt, late, silent, or about what was lost."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.presentation import build_context

from node.deliver.checkpoint import hold_reactor_for_answers
from node.dicom.commitment import (
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    read_request,
    report_of,
    write_report,
)

SUCCESS = 0x0000
ANSWER_TIMEOUT_S = 30


class Commitment(StrEnum):
    """How the archive treats requests for commitment."""

    NONE = "none"  # the service is not offered
    SAME = "same"  # reports on the association of the request
    LATER = "later"  # reports when it is told to, on an association that it opens
    NEVER = "never"  # takes requests and never reports


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request for commitment."""

    transaction_uid: str
    objects: tuple[tuple[str, str], ...]
    calling_ae_title: str


class CommitmentDesk:
    """Takes requests and reports on them.

    Parameters
    ----------
    ae_title : str
    held : callable
        Returns SOP Instance UID -> SOP Class UID of what the archive holds now.

    Attributes
    ----------
    mode : Commitment
        May be changed while the archive runs, but for whether the service is offered.
    reasons : mapping of str to int
        SOP Instance UID -> Failure Reason that is reported whatever the archive holds.
    asked : list of Asked
        Every request so far.
    """

    def __init__(
        self, *, ae_title: str, mode: Commitment, held: Callable[[], Mapping[str, str]]
    ) -> None:
        self.mode = mode
        self.reasons: Mapping[str, int] = {}
        self.asked: list[Asked] = []
        self._ae_title = ae_title
        self._held = held

    def offer(self, ae: AE) -> list[Any]:
        """Add the service to an application entity; return what to bind."""
        if self.mode is Commitment.NONE:
            return []
        ae.add_supported_context(STORAGE_COMMITMENT, scu_role=True, scp_role=True)
        return [(evt.EVT_N_ACTION, self._take)]

    def report(self, asked: Asked, *, host: str, port: int) -> int:
        """Report on an association of the archive's own; return the status of the answer."""
        ae = AE(ae_title=self._ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_TIMEOUT_S
        association = ae.associate(
            host,
            port,
            contexts=[build_context(STORAGE_COMMITMENT)],
            ae_title=asked.calling_ae_title,
            ext_neg=[build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)],
        )
        if not association.is_established:
            raise ConnectionError("the node does not take the report")
        hold_reactor_for_answers(association)
        try:
            return self._send(association, asked)
        finally:
            association.release()

    def _take(self, event: evt.Event) -> tuple[int, Dataset | None]:
        transaction_uid, objects = read_request(event.action_information)
        asked = Asked(
            transaction_uid=transaction_uid,
            objects=objects,
            calling_ae_title=event.assoc.requestor.ae_title.strip(),
        )
        self.asked.append(asked)
        if self.mode is Commitment.SAME:
            hold_reactor_for_answers(event.assoc)
            # after this handler has returned, and its answer has left
            threading.Thread(target=self._send, args=(event.assoc, asked), daemon=True).start()
        return SUCCESS, None

    def _send(self, association: Any, asked: Asked) -> int:
        held = dict(self._held())
        for uid in self.reasons:
            held.pop(uid, None)
        event_type, report = report_of(asked.transaction_uid, asked.objects, held)
        if self.reasons:
            failed = {
                (sop_class, uid): self.reasons.get(uid, 0x0112)
                for sop_class, uid in asked.objects
                if held.get(uid) != sop_class
            }
            committed = [each for each in asked.objects if each not in failed]
            event_type, report = write_report(
                asked.transaction_uid, committed=committed, failed=failed
            )
        answer, _ = association.send_n_event_report(
            report, event_type, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
        )
        return int(answer.get("Status", 0xFFFF))
