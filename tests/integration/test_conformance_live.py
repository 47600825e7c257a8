"""CONFORMANCE.md against live associations, both ways: nothing more, nothing less."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from factories_receive import make_ct, running_listener, write_file
from pydicom import Dataset
from pydicom.uid import UID, UID_dictionary
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext, build_context

from node.bootstrap.conformance.claims import BOTH, SCP, SCU, Activity, Claim, proposed
from node.bootstrap.conformance.tables import read_accepted, read_proposed
from node.config.settings import DeliverSettings, Peer
from node.deliver.c_echo import echo
from node.deliver.c_store import send_objects
from node.deliver.commitment import request_commitment
from node.deliver.commitment_report import CommitmentReporter
from node.dicom.commitment import STORAGE_COMMITMENT
from node.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.domain.errors import OncoNodeError
from node.jobs.commitment_requests import CommitmentRequest
from node.jobs.commitments import Transaction
from node.query.dimse import DimseArchive
from node.query.found import StudyKeys, Wanted
from node.receive.commitment import CommitmentService

STATEMENT = (Path(__file__).parents[2] / "dicom_conf/CONFORMANCE.md").read_text("utf-8")
CLAIMED = {claim.sop_class_uid: claim for claim in read_accepted(STATEMENT)}
ACTIVITIES = {each.name: each for each in read_proposed(STATEMENT, proposed())}
KNOWN_SYNTAXES = sorted({uid for claim in CLAIMED.values() for uid in claim.transfer_syntax_uids})
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
PRIVATE_CLASS, PRIVATE_SYNTAX = "1.2.826.0.1.3680043.10.998.77", "1.2.840.113619.5.2"
MOST = 128
DELIVER = DeliverSettings(acse_timeout_s=20, dimse_timeout_s=20, commitment_wait_s=0.1)


def every_class() -> list[str]:
    """SOP classes, services and well-known instances of the standard, and a few private ones."""
    standard = [uid for uid, row in UID_dictionary.items() if row[1] not in ("Transfer Syntax",)]
    return sorted({*standard, *CLAIMED, PRIVATE_CLASS})


def every_syntax() -> list[str]:
    standard = [uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"]
    return sorted({*standard, PRIVATE_SYNTAX})


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    service = CommitmentService(requests=NoBook(), held=lambda _: {}, record_report=lambda _: True)
    with running_listener(tmp_path_factory.mktemp("node"), commitment=service) as running:
        yield running.port


class NoBook:
    """A book of requests that has none of a peer, but one to report on."""

    def add(self, **_: Any) -> Any:
        raise AssertionError

    def claim(self, calling_ae_title: str) -> list[CommitmentRequest]:
        return [
            CommitmentRequest(
                request_id=1,
                calling_ae_title=calling_ae_title,
                transaction_uid="1.2.3",
                objects=((CT, "1.2.4"),),
            )
        ]

    def reported(self, request_id: int) -> None:
        """Nothing to note."""

    def report_failed(self, request_id: int, *, error: str, retry: bool) -> None:
        """Nothing to note."""


@contextmanager
def associated(port: int, contexts: Sequence[PresentationContext], **more: Any) -> Iterator[Any]:
    ae = AE(ae_title="ASKER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    ae.requested_contexts = list(contexts)
    association = ae.associate("127.0.0.1", port, ae_title="ONCONODE", **more)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        else:
            association.kill()


def accepted_of(port: int, contexts: Iterable[PresentationContext]) -> set[tuple[str, str]]:
    """Return SOP class and transfer syntax of every context that is accepted, 128 at a time."""
    waiting = list(contexts)
    found = set()
    for start in range(0, len(waiting), MOST):
        with associated(port, waiting[start : start + MOST]) as association:
            assert association.acceptor.primitive is not None, "no answer to the request"
            found |= {
                (str(each.abstract_syntax), str(each.transfer_syntax[0]))
                for each in association.accepted_contexts
            }
    return found


def test_the_listener_accepts_what_is_claimed_and_nothing_else(port: int) -> None:
    others = [uid for uid in every_syntax() if uid not in KNOWN_SYNTAXES]
    assert len(others) > 20
    contexts = []
    for uid in every_class():
        contexts += [build_context(uid, syntax) for syntax in KNOWN_SYNTAXES]
        contexts.append(build_context(uid, others))  # one that is accepted would show
    claimed = {
        (uid, syntax) for uid, claim in CLAIMED.items() for syntax in claim.transfer_syntax_uids
    }
    found = accepted_of(port, contexts)
    assert found - claimed == set(), "accepted, not claimed"
    assert claimed - found == set(), "claimed, not accepted"


def roles_at(port: int, uids: Sequence[str]) -> dict[str, str]:
    """Return the roles of the listener for classes proposed in both roles."""
    roles = [build_role(uid, scu_role=True, scp_role=True) for uid in uids]
    contexts = [build_context(uid) for uid in uids]
    with associated(port, contexts, ext_neg=roles) as association:
        # as_scu and as_scp speak of the requestor
        return {
            str(each.abstract_syntax): BOTH if each.as_scp and each.as_scu else SCP
            for each in association.accepted_contexts
            if each.as_scu
        }


def test_roles_of_the_listener_are_those_claimed(port: int) -> None:
    uids = list(CLAIMED)
    found: dict[str, str] = {}
    for start in range(0, len(uids), MOST):
        found |= roles_at(port, uids[start : start + MOST])
    assert found == {uid: claim.role for uid, claim in CLAIMED.items()}
    assert found[STORAGE_COMMITMENT] == BOTH


def test_what_the_statement_says_of_the_listener_beside_contexts(port: int) -> None:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 5
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = UID(CT)
    extended.service_class_application_information = b"\x02"
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field = 1, b"somebody"
    identity.positive_response_requested = True
    negotiation = [window, extended, identity]
    with associated(port, [build_context(CT)], ext_neg=negotiation) as association:
        acceptor = association.acceptor
        assert association.is_established
        answered = {type(item).__name__ for item in acceptor.primitive.user_information}
        told = (acceptor.implementation_class_uid, acceptor.implementation_version_name)
        length = acceptor.maximum_length
    assert "SOPClassExtendedNegotiation" not in answered
    assert "UserIdentityNegotiation" not in answered
    assert "AsynchronousOperationsWindowNegotiation" not in answered
    assert told == (IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)
    assert f"| largest PDU offered | {length} bytes |" in STATEMENT


def test_of_several_syntaxes_the_uncompressed_one_is_taken(port: int) -> None:
    syntaxes = KNOWN_SYNTAXES[::-1]
    with associated(port, [build_context(CT, syntaxes)]) as association:
        (context,) = association.accepted_contexts
    assert str(context.transfer_syntax[0]) == "1.2.840.10008.1.2.1"


class AcceptsEverything:
    """An SCP that accepts whatever is proposed, in any role, and writes it down."""

    def __init__(self) -> None:
        self.requests: list[list[Claim]] = []
        self.implementations: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._server: Any = None
        self.port = 0

    def __enter__(self) -> "AcceptsEverything":
        ae = AE(ae_title="ANY")
        ae.maximum_associations = 20
        ae.add_supported_context("1.2.840.10008.1.1")  # a server needs one; see _requested
        self._server = ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                (evt.EVT_REQUESTED, self._requested),
                (evt.EVT_C_STORE, lambda _: 0),
                (evt.EVT_C_FIND, lambda _: iter([(0x0000, None)])),
                (evt.EVT_C_GET, lambda _: iter([0])),
                (evt.EVT_C_MOVE, lambda _: iter([("127.0.0.1", 1), 0])),
                (evt.EVT_N_ACTION, lambda _: (0, Dataset())),
                (evt.EVT_N_EVENT_REPORT, lambda _: (0, Dataset())),
            ],
        )
        self.port = int(self._server.server_address[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    @property
    def peer(self) -> Peer:
        return Peer(name="any", ae_title="ANY", port=self.port)

    def _requested(self, event: evt.Event) -> None:
        association: Any = event.assoc
        requestor = association.requestor
        wanted: dict[str, set[str]] = defaultdict(set)
        for context in requestor.primitive.presentation_context_definition_list:
            wanted[str(context.abstract_syntax)].update(map(str, context.transfer_syntax))
        roles = {str(uid): item for uid, item in requestor.role_selection.items()}
        claims, taken = [], []
        for uid, syntaxes in wanted.items():
            supported = build_context(uid, sorted(syntaxes))
            item = roles.get(uid)
            supported.scu_role = item.scu_role if item else None
            supported.scp_role = item.scp_role if item else None
            taken.append(supported)
            role = SCU if item is None else BOTH if item.scu_role and item.scp_role else SCP
            if item is not None and not item.scp_role:
                role = SCU
            claims.append(
                Claim(sop_class_uid=uid, role=role, transfer_syntax_uids=frozenset(syntaxes))
            )
        association.acceptor.supported_contexts = taken
        with self._lock:
            self.requests.append(claims)
            self.implementations.add(
                (
                    str(requestor.implementation_class_uid),
                    str(requestor.implementation_version_name),
                )
            )


def perform(name: str, peer: Peer, folder: Path) -> None:
    """Do what an activity of the statement does, by the node's own functions."""
    ask: Any = {"calling_ae_title": "ONCONODE", "settings": DELIVER}
    archive = DimseArchive(peer=peer, **ask)
    wanted = Wanted(study_instance_uid="1.2.3")
    if name == "Verify":
        echo(peer, **ask)
    elif name == "Send results":
        paths = [
            write_file(folder / f"{n}.dcm", make_ct(n, SOPClassUID=UID(claim.sop_class_uid)))
            for n, claim in enumerate(ACTIVITIES[name].claims)
        ]
        send_objects(paths, peer=peer, **ask)
    elif name == "Ask for commitment":
        transaction = Transaction(
            transaction_uid="1.2.3", destination="any", objects=((CT, "1.2.4"),)
        )
        request_commitment(transaction, peer=peer, record=lambda _: True, **ask)
    elif name == "Report on commitment":
        reporter = CommitmentReporter(requests=NoBook(), peers=[peer], held=lambda _: {}, **ask)
        reporter.report("ANY")
    elif name == "Query":
        archive.find_studies(StudyKeys(study_instance_uid="1.2.3"))
    elif name == "Have moved to the node":
        archive.move(wanted, destination_ae_title="ONCONODE")
    elif name == "Get":
        archive.get(wanted, folder)
    else:
        raise AssertionError(name)


@pytest.mark.parametrize("name", list(ACTIVITIES))
def test_the_node_proposes_what_is_claimed_and_nothing_else(name: str, tmp_path: Path) -> None:
    # what comes after the negotiation is not asked here
    with AcceptsEverything() as scp, suppress(OncoNodeError):
        perform(name, scp.peer, tmp_path)
    assert len(scp.requests) == 1
    activity: Activity = ACTIVITIES[name]
    assert set(scp.requests[0]) == set(activity.claims)
    assert scp.implementations == {(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)}
    assert len(scp.requests[0]) <= MOST
