"""The doors of the listener: lets associations in or tells why not, and keeps a record of each.

References
----------
PS3.8 section 7.1 (association establishment), table 9-18 (results of presentation contexts).
"""

import socket
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import uuid4

import structlog
from pynetdicom import evt
from pynetdicom.events import Event, EventHandlerType
from pynetdicom.pdu import A_ASSOCIATE_RJ

from node.receive.admission import ACSE, TRANSIENT, Admission, Caller, Refusal
from node.receive.association_log import AssociationLog
from node.receive.contexts import permission_of
from node.receive.streaming import Tally
from node.storage.associations import AssociationRecord, AssociationResult, RefusedContext

log = structlog.get_logger()

CONTEXT_RESULTS: Mapping[int, str] = {
    1: "user rejection",
    2: "no reason",
    3: "SOP class not supported",
    4: "none of the transfer syntaxes is supported",
}
MAXIMUM_REASON = 500
UNDECIDED = Refusal(
    result=TRANSIENT, source=ACSE, diagnostic=1, reason="an error of the node itself, see its log"
)
NO_CONTEXT = "none of its presentation contexts was acceptable"


class Visitor(Protocol):
    """An association of the transport layer, as far as the doors care."""

    record: AssociationRecord

    @property
    def tally(self) -> Tally:
        """What was stored so far."""

    def why_ended(self) -> str:
        """Return in words why it ended otherwise than by release or abort; empty if unknown."""


class Reception:
    """Decides about associations and records them.

    Parameters
    ----------
    admission : Admission
    associations : AssociationLog, optional
        Without it nothing is recorded.
    """

    def __init__(self, admission: Admission, associations: AssociationLog | None = None) -> None:
        self._admission = admission
        self._associations = associations

    @property
    def handlers(self) -> list[EventHandlerType]:
        """What the server binds."""
        return [
            (evt.EVT_REQUESTED, self._decide),
            (evt.EVT_ACCEPTED, self._note_accepted),
            (evt.EVT_RELEASED, self._note_released),
            (evt.EVT_ABORTED, self._note_aborted),
            (evt.EVT_PDU_SENT, self._note_protocol_version),
        ]

    def begin(self, *, address: str, port: int) -> AssociationRecord:
        """Return the record of a connection on which nothing was said yet."""
        return AssociationRecord(
            token=uuid4().hex,
            listener=self._associations.listener if self._associations else socket.gethostname(),
            started_at=datetime.now(UTC),
            address=address,
            port=port,
            result=AssociationResult.FAILED,
        )

    def turn_away(self, *, address: str, port: int, reason: str) -> None:
        """Write down that a connection was closed before anything was heard on it."""
        record = self.begin(address=address, port=port)
        self._note(replace(record, ended_at=record.started_at, reason=reason))

    def end(self, visitor: Visitor) -> None:
        """Write down what came of a connection, once it is closed."""
        record = visitor.record
        self._admission.leave(record.token)
        why = visitor.why_ended()
        if record.result is AssociationResult.FAILED:
            if not why:  # it came and went without a word: a health check
                return
            log.warning("association.failed", address=record.address, tls=record.tls, reason=why)
            record = replace(record, reason=why)
        elif record.result is AssociationResult.OPEN:
            record = replace(record, result=AssociationResult.ABORTED)
        if record.result is AssociationResult.ABORTED:
            record = replace(record, reason=record.reason or why)
        visitor.record = replace(
            record,
            ended_at=datetime.now(UTC),
            objects_stored=visitor.tally.stored,
            objects_refused=visitor.tally.refused,
            bytes_stored=visitor.tally.bytes_stored,
        )
        self._note(visitor.record)

    def _decide(self, event: Event) -> None:
        visitor: Any = event.assoc
        try:
            self._answer_request(visitor)
        except Exception:  # boundary: pynetdicom would log it and let everybody in
            log.exception("association.undecided", address=visitor.record.address)
            self._reject(visitor, UNDECIDED)

    def _answer_request(self, visitor: Any) -> None:
        request = visitor.requestor.primitive
        caller = Caller(
            address=visitor.requestor.address,
            calling_ae_title=request.calling_ae_title.strip(),
            called_ae_title=request.called_ae_title.strip(),
            application_context=str(request.application_context_name),
            would_store=any(
                permission_of(str(context.abstract_syntax)) == "store"
                for context in request.presentation_context_definition_list
            ),
        )
        record = replace(
            visitor.record,
            calling_ae_title=printable(caller.calling_ae_title),
            called_ae_title=printable(caller.called_ae_title),
        )
        found = self._admission.enter(record.token, caller)
        if isinstance(found, Refusal):
            visitor.record = record
            self._reject(visitor, found)
            return
        visitor.record = replace(record, peer=found.name if found is not None else "")
        if found is not None and found.permissions:
            visitor.acceptor.supported_contexts = [
                context
                for context in visitor.acceptor.supported_contexts
                if permission_of(str(context.abstract_syntax)) in found.permissions
            ]
        visitor.permissions = found.permissions if found is not None else ()

    @staticmethod
    def _reject(visitor: Any, refusal: Refusal) -> None:
        visitor.record = record = replace(
            visitor.record,
            result=AssociationResult.REJECTED,
            rejection=refusal.code,
            reason=printable(refusal.reason, MAXIMUM_REASON),
        )
        log.warning(
            "association.rejected",
            calling_ae_title=record.calling_ae_title,
            called_ae_title=record.called_ae_title,
            address=record.address,
            rejection=record.rejection,
            reason=record.reason,
        )
        visitor.requestor.ae_title = visitor.requestor.primitive.calling_ae_title
        visitor.acse.send_reject(refusal.result, refusal.source, refusal.diagnostic)
        evt.trigger(visitor, evt.EVT_REJECTED, {})
        visitor.kill()

    def _note_accepted(self, event: Event) -> None:
        visitor: Any = event.assoc
        accepted: dict[str, list[str]] = {}
        for context in visitor.accepted_contexts:
            syntax = str(context.transfer_syntax[0])
            accepted.setdefault(syntax, []).append(str(context.abstract_syntax))
        refused = _refused_contexts(visitor)
        visitor.record = replace(
            visitor.record,
            result=AssociationResult.OPEN,
            accepted={syntax: tuple(classes) for syntax, classes in accepted.items()},
            refused=refused,
            reason="" if accepted else NO_CONTEXT,
        )
        self._note(visitor.record)
        log.info(
            "association.accepted",
            calling_ae_title=visitor.record.calling_ae_title,
            address=visitor.record.address,
            tls=visitor.record.tls,
            contexts=len(visitor.accepted_contexts),
        )
        if refused:
            log.warning(
                "association.contexts_refused",
                calling_ae_title=visitor.record.calling_ae_title,
                reasons=sorted({context.reason for context in refused}),
                sop_class_uids=sorted({context.sop_class_uid for context in refused}),
            )

    def _note_released(self, event: Event) -> None:
        visitor: Any = event.assoc
        visitor.record = replace(visitor.record, result=AssociationResult.RELEASED)
        self._admission.leave(visitor.record.token)  # the place is free before the thread has ended

    def _note_aborted(self, event: Event) -> None:
        visitor: Any = event.assoc
        if visitor.record.result is AssociationResult.OPEN:
            visitor.record = replace(visitor.record, result=AssociationResult.ABORTED)
        self._admission.leave(visitor.record.token)
        log.warning(
            "association.aborted",
            calling_ae_title=visitor.record.calling_ae_title,
            address=visitor.record.address,
            reason=visitor.why_ended(),
        )

    def _note_protocol_version(self, event: Event) -> None:
        """Record the one rejection that pynetdicom sends by itself."""
        visitor: Any = event.assoc
        if isinstance(event.pdu, A_ASSOCIATE_RJ) and visitor.requestor.primitive is None:
            visitor.record = replace(
                visitor.record,
                result=AssociationResult.REJECTED,
                rejection="1/2/2",
                reason="the protocol version is not 1",
            )

    def _note(self, record: AssociationRecord) -> None:
        if self._associations is not None:
            self._associations.note(record)


def printable(text: str, length: int = 16) -> str:
    """Return text of a stranger, fit for a log and a database."""
    return "".join(c if c.isprintable() else "?" for c in text)[:length]


def _refused_contexts(visitor: Any) -> tuple[RefusedContext, ...]:
    proposed = {
        context.context_id: tuple(str(syntax) for syntax in context.transfer_syntax)
        for context in visitor.requestor.primitive.presentation_context_definition_list
    }
    permissions: tuple[str, ...] = visitor.permissions
    refused = []
    for context in visitor.rejected_contexts:
        sop_class = str(context.abstract_syntax)
        permission = permission_of(sop_class)
        if permissions and permission not in permissions:
            reason = f"this peer has no permission to {permission}"
        else:
            reason = CONTEXT_RESULTS.get(context.result, "unknown")
        syntaxes = proposed.get(context.context_id, ()) if context.result == 4 else ()
        refused.append(
            RefusedContext(
                sop_class_uid=sop_class, reason=reason, transfer_syntax_uids=syntaxes[:16]
            )
        )
    return tuple(refused)
