"""STOW-RS: results over HTTP, one object a request, each with its own outcome.

References
----------
PS3.18 section 10.5 (Store transaction; 10.5.3: 202 and 409), annex I.2 (its response).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import Dataset, dcmread

from node.config.settings import DeliverSettings, Peer
from node.deliver.c_store import SendOutcome, log_outcome
from node.deliver.status import PROCESSING_FAILURE, Verdict, rule_of
from node.deliver.web_client import (
    JSON,
    UNDECIDED,
    XML,
    WebRefused,
    media_type,
    open_client,
    read_json,
    web_failures,
)
from node.dicom.damage import DAMAGED
from node.domain.errors import TryLater
from node.jobs.job import UNREADABLE

SUCCESS = 0x0000
CONFLICT, PARTLY = 409, 202
REFERENCED = "ReferencedSOPSequence"


class NoVerdict(TryLater):
    """The peer answered, but not whether it keeps the object."""


def store_objects(
    paths: Sequence[Path],
    *,
    peer: Peer,
    settings: DeliverSettings,
    on_outcome: Callable[[SendOutcome], None] = lambda _: None,
    wanted: Callable[[Path], bool] = lambda _: True,
) -> tuple[SendOutcome, ...]:
    """Send files; see ``send_objects`` for the parameters.

    Returns
    -------
    tuple of SendOutcome
        One for each path that was wanted, in order.

    Raises
    ------
    TryLater
        If the peer cannot be reached for the first object.
    """
    answers: list[requests.Response] = []
    client = open_client(peer, settings, on_answer=answers.append)
    outcomes: list[SendOutcome] = []
    for path in paths:
        if not wanted(path):
            continue
        try:
            dataset = dcmread(path)
            uid = str(dataset.SOPInstanceUID)
        except DAMAGED as error:
            outcome = _outcome(
                path, "", PROCESSING_FAILURE, f"{UNREADABLE}: {type(error).__name__}", retry=False
            )
        else:
            try:
                with web_failures(peer, "STOW-RS"):
                    outcome = _read(path, uid, _store(client, peer, dataset, answers))
            except TryLater as reason:
                if not outcomes and not isinstance(reason, NoVerdict):
                    raise
                outcome = _outcome(path, uid, PROCESSING_FAILURE, str(reason), retry=True)
            except WebRefused as reason:
                is_unclear = reason.status in UNDECIDED
                outcome = _outcome(path, uid, PROCESSING_FAILURE, str(reason), retry=is_unclear)
                outcome = replace(outcome, refused=not is_unclear)
        outcomes.append(outcome)
        log_outcome(peer, outcome)
        on_outcome(outcome)
    return tuple(outcomes)


def _store(
    client: DICOMwebClient, peer: Peer, dataset: Dataset, answers: list[requests.Response]
) -> Dataset:
    """Send an object and return what the peer says of it.

    dicomweb-client keeps to itself what a conflict says, and takes a page for people, or an empty
    202, for success.
    """
    answers.clear()
    try:
        told = client.store_instances([dataset])
    except requests.HTTPError:
        if answers[-1].status_code != CONFLICT or media_type(answers[-1]) not in JSON:
            raise
        told = read_json(answers[-1])
        if "FailedSOPSequence" not in told:
            raise
        return told
    status, media = answers[-1].status_code, media_type(answers[-1])
    if answers[-1].content and media not in (*JSON, *XML):
        raise NoVerdict(f"{peer.name}: STOW-RS answered HTTP {status} with {media or 'no type'}")
    if status == PARTLY and not (told.get("FailedSOPSequence") or told.get(REFERENCED)):
        raise NoVerdict(f"{peer.name}: STOW-RS answered HTTP {status} and names no object")
    return told


def _read(path: Path, uid: str, answer: Any) -> SendOutcome:
    """Read the answer to one object: it failed if it stands in the sequence of failures."""
    for item in answer.get("FailedSOPSequence") or ():
        if str(item.get("ReferencedSOPInstanceUID", uid)) == uid:
            status = int(item.get("FailureReason") or PROCESSING_FAILURE)
            rule = rule_of(status)
            detail = f"STOW-RS 0x{status:04X} {rule.meaning}"
            if rule.verdict is Verdict.ACCEPTED:
                return _accepted(path, uid, status, detail)
            outcome = _outcome(path, uid, status, detail, retry=rule.verdict is Verdict.RETRY)
            return replace(outcome, refused=rule.verdict is Verdict.GIVE_UP)
    return _accepted(path, uid, SUCCESS, "STOW-RS success")


def _accepted(path: Path, uid: str, status: int, detail: str) -> SendOutcome:
    return SendOutcome(
        path=path, sop_instance_uid=uid, status=status, accepted=True, retry=False, detail=detail
    )


def _outcome(path: Path, uid: str, status: int, detail: str, *, retry: bool) -> SendOutcome:
    return SendOutcome(
        path=path, sop_instance_uid=uid, status=status, accepted=False, retry=retry, detail=detail
    )
