"""Results for a FHIR server: one transaction each, which the server takes as a whole or not at all.

References
----------
http://hl7.org/fhir/R4/http.html#transaction (rules of the answer), operationoutcome.html.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from string import ascii_letters, digits
from typing import Any

import requests

from node.config.settings import DeliverSettings, Fhir, Peer
from node.deliver.c_store import SendOutcome
from node.deliver.messages import address_bundle, send_each
from node.deliver.status import Verdict
from node.deliver.web_client import (
    UNDECIDED,
    BoundedSession,
    WebRefused,
    media_type,
    open_session,
    timeouts_of,
    web_failures,
)
from node.dicom.damage import DAMAGED
from node.domain.errors import SetupFault

FHIR_JSON = "application/fhir+json"
WORDS = "abcdefghijklmnopqrstuvwxyz-"
PATH = f"{ascii_letters}{digits}.[]()_-"
"""What FHIRPath of an element is made of; what else stands there may be a value."""


def send_bundles(
    paths: Sequence[Path],
    *,
    peer: Peer,
    settings: DeliverSettings,
    on_outcome: Callable[[SendOutcome], None] = lambda _: None,
    wanted: Callable[[Path], bool] = lambda _: True,
) -> tuple[SendOutcome, ...]:
    """Send transactions; see ``node.deliver.c_store.send_objects`` for the parameters.

    Returns
    -------
    tuple of SendOutcome
        One for each path that was wanted, in order.

    Raises
    ------
    TryLater
        If the server cannot be reached for the first one.
    SetupFault
        If the peer takes no FHIR, or a secret cannot be read.
    """
    service = _service_of(peer)
    with _open(service) as session:
        send = partial(_send, session=session, peer=peer, service=service, settings=settings)
        return send_each(paths, send, peer=peer, on_outcome=on_outcome, wanted=wanted)


def read_capabilities(peer: Peer, settings: DeliverSettings) -> dict[str, Any]:
    """Return the CapabilityStatement of a server.

    Raises
    ------
    TryLater
        If it cannot be reached.
    SetupFault
        If it answers something else, or a secret cannot be read.
    """
    service = _service_of(peer)
    with _open(service) as session, web_failures(peer, "FHIR"):
        answer = session.get(f"{service.url.rstrip('/')}/metadata", timeout=timeouts_of(settings))
        answer.raise_for_status()
        told = answer.json()
    if not isinstance(told, dict) or told.get("resourceType") != "CapabilityStatement":
        raise SetupFault(f"{peer.name}: what stands at its url is no FHIR service")
    return told


def _service_of(peer: Peer) -> Fhir:
    if peer.fhir is None:
        raise SetupFault(f"{peer.name}: peers.yaml names no fhir")
    return peer.fhir


def _open(service: Fhir) -> BoundedSession:
    session = open_session(service)
    session.headers["Accept"] = FHIR_JSON
    return session


def _send(
    content: bytes,
    *,
    session: BoundedSession,
    peer: Peer,
    service: Fhir,
    settings: DeliverSettings,
) -> tuple[Verdict, str]:
    bundle = address_bundle(json.loads(content), service.patient_id_system)
    answers: list[requests.Response] = []
    try:
        with web_failures(peer, "FHIR"):
            answer = session.post(
                service.url,
                data=json.dumps(bundle, ensure_ascii=False).encode(),
                headers={"Content-Type": f"{FHIR_JSON}; charset=utf-8"},
                timeout=timeouts_of(settings),
                allow_redirects=False,
            )
            answers.append(answer)
            answer.raise_for_status()
    except WebRefused as refused:
        is_unclear = refused.status in UNDECIDED
        return Verdict.RETRY if is_unclear else Verdict.GIVE_UP, f"{refused}{_issues(answers)}"
    return _judge(answer, len(bundle["entry"]))


def _judge(answer: requests.Response, entries: int) -> tuple[Verdict, str]:
    """Say whether the server tells of each entry that it was done; else nothing is known."""
    said = f"FHIR HTTP {answer.status_code}"
    try:
        told = answer.json()
        statuses = [str(entry["response"]["status"]) for entry in told["entry"]]
        is_answer = told["resourceType"] == "Bundle" and told["type"] == "transaction-response"
    except DAMAGED:
        is_answer, statuses = False, []
    if not is_answer:
        return Verdict.RETRY, f"{said} with {media_type(answer) or 'no type'}, no answer"
    done = [status for status in statuses if status.startswith("2")]
    if not len(done) == len(statuses) == entries:
        return Verdict.RETRY, f"{said}: {len(done)} of {entries} entries were done"
    return Verdict.ACCEPTED, said


def _issues(answers: list[requests.Response]) -> str:
    """Return the codes and places of an OperationOutcome; its texts may hold patient data."""
    try:
        issues = answers[-1].json()["issue"]
        told = {str(issue["code"]) for issue in issues}
        said = {str(each) for issue in issues for each in issue.get("expression", ())}
    except DAMAGED:
        return ""
    places = {each for each in said if set(each) <= set(PATH)}
    codes = sorted(each for each in told if set(each) <= set(WORDS))
    return f": {', '.join([*codes, *sorted(each[:60] for each in places)[:3]])}"
