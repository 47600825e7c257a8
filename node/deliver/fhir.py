"""Results for a FHIR server: one transaction each, which the server takes as a whole or not at all.

References
----------
http://hl7.org/fhir/R4/http.html#transaction (rules of the answer), operationoutcome.html.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import requests

from node.config.settings import DeliverSettings, Fhir, Peer
from node.deliver.c_store import SendOutcome, log_outcome
from node.deliver.messages import address_bundle
from node.deliver.status import PROCESSING_FAILURE, Verdict
from node.deliver.web_client import (
    BoundedSession,
    WebRefused,
    media_type,
    open_session,
    timeouts_of,
    web_failures,
)
from node.domain.errors import SetupFault, TryLater

FHIR_JSON = "application/fhir+json"
CONFLICT = 409
WORDS = "abcdefghijklmnopqrstuvwxyz-"


class NoVerdict(TryLater):
    """The server answered, but not whether it took the transaction."""


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
    outcomes: list[SendOutcome] = []
    with _open(service) as session:
        for path in paths:
            if not wanted(path):
                continue
            try:
                bundle = address_bundle(json.loads(path.read_text()), service.patient_id_system)
            except (OSError, ValueError, KeyError) as error:
                outcome = _outcome(path, f"unreadable: {type(error).__name__}", Verdict.GIVE_UP)
            else:
                try:
                    outcome = _send(session, peer, service, bundle, path, settings)
                except TryLater as reason:
                    if not outcomes and not isinstance(reason, NoVerdict):
                        raise
                    outcome = _outcome(path, str(reason), Verdict.RETRY)
            outcomes.append(outcome)
            log_outcome(peer, outcome)
            on_outcome(outcome)
    return tuple(outcomes)


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


def _send(  # noqa: PLR0917 - handed on as they came
    session: BoundedSession,
    peer: Peer,
    service: Fhir,
    bundle: dict[str, Any],
    path: Path,
    settings: DeliverSettings,
) -> SendOutcome:
    content = json.dumps(bundle, ensure_ascii=False).encode()
    answers: list[requests.Response] = []
    try:
        with web_failures(peer, "FHIR"):
            answer = session.post(
                service.url,
                data=content,
                headers={"Content-Type": f"{FHIR_JSON}; charset=utf-8"},
                timeout=timeouts_of(settings),
                allow_redirects=False,
            )
            answers.append(answer)
            answer.raise_for_status()
    except WebRefused as refused:
        detail = f"{refused}{_issues(answers)}"
        verdict = Verdict.RETRY if refused.status == CONFLICT else Verdict.GIVE_UP
        return _outcome(path, detail, verdict)
    return _judge(path, answer, len(bundle["entry"]), peer)


def _judge(path: Path, answer: requests.Response, entries: int, peer: Peer) -> SendOutcome:
    """Say whether the server tells of each entry that it was done."""
    try:
        told = answer.json()
        statuses = [str(entry["response"]["status"]) for entry in told["entry"]]
        is_answer = told["resourceType"] == "Bundle" and told["type"] == "transaction-response"
    except (ValueError, KeyError, TypeError):
        is_answer, statuses = False, []
    if not is_answer:
        kind = media_type(answer) or "no type"
        raise NoVerdict(f"{peer.name}: HTTP {answer.status_code} with {kind}, no answer")
    done = [status for status in statuses if status.startswith("2")]
    if len(done) != entries or len(statuses) != entries:
        raise NoVerdict(f"{peer.name}: {len(done)} of {entries} entries were done")
    return _outcome(path, f"FHIR HTTP {answer.status_code}", Verdict.ACCEPTED)


def _issues(answers: list[requests.Response]) -> str:
    """Return the codes and places of an OperationOutcome; its texts may hold patient data."""
    try:
        issues = answers[-1].json()["issue"]
        told = {str(issue["code"]) for issue in issues}
        places = {str(each) for issue in issues for each in issue.get("expression", ())}
    except (IndexError, ValueError, KeyError, TypeError):
        return ""
    codes = sorted(each for each in told if set(each) <= set(WORDS))
    return f": {', '.join([*codes, *sorted(each[:60] for each in places)[:3]])}"


def _outcome(path: Path, detail: str, verdict: Verdict) -> SendOutcome:
    return SendOutcome(
        path=path,
        sop_instance_uid="",
        status=0 if verdict is Verdict.ACCEPTED else PROCESSING_FAILURE,
        accepted=verdict is Verdict.ACCEPTED,
        retry=verdict is Verdict.RETRY,
        detail=detail,
    )
