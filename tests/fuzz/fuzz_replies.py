"""What receivers of results answer, damaged: STOW-RS, FHIR servers, and HL7 acknowledgements."""

import json
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests
from factories_receive import make_ct, write_file
from fuzz_pieces import TEXTS, Change, Changes, damage_bytes, pick
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from node.config.settings import DeliverSettings, DicomWeb, Fhir, Peer
from node.deliver.fhir import send_bundles
from node.deliver.greeting import greet
from node.deliver.hl7_answer import NoAnswer, read_answer
from node.deliver.stow import store_objects
from node.domain.errors import SetupFault, TryLater

JSON: tuple[Any, ...] = (
    None, 0, -1, 1e308, float("nan"), True, "", "x", "1" * 5000, [], [None], [[]], [{}], {},
    {"vr": "SQ"}, {"Value": 3}, {"Value": {}}, {"Value": "abc"}, {"Value": [{"Alphabetic": 1}]},
    ["2147483648"], [1, 2, "3"],
)  # fmt: skip
"""Values where others belong."""
DICOM_JSON, FHIR_JSON = "application/dicom+json", "application/fhir+json"
TYPES = (DICOM_JSON, FHIR_JSON, "application/dicom+xml", "application/json;charset=x", "", "a/b")
STATUSES = (200, 202, 204, 299, 400, 404, 409, 422, 503, 600)
ACKNOWLEDGEMENT = (
    b"MSH|^~\\&|RIS|H|ONCODE||20260101||ACK^R01^ACK|9|P|2.5.1\r"
    b"MSA|AE|C1|text\rERR||PID^1^3|204^Unknown key^HL70357|E\r"
)
ARCHIVE = Peer(name="a", ae_title="A", dicomweb=DicomWeb(url="http://a.invalid/dicom-web"))
RECORDS = Peer(name="r", fhir=Fhir(url="http://r.invalid/r4"))
SETTINGS = DeliverSettings(acse_timeout_s=1, dimse_timeout_s=1)


def _stored() -> dict[str, Any]:
    item = {
        "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00081155": {"vr": "UI", "Value": [str(make_ct().SOPInstanceUID)]},
        "00081197": {"vr": "US", "Value": [0xA700]},
    }
    return {
        "00081190": {"vr": "UR", "Value": ["http://a.invalid/studies/1"]},
        "00081198": {"vr": "SQ", "Value": [item]},
        "00081199": {"vr": "SQ", "Value": [deepcopy(item)]},
    }


ANSWERS: tuple[dict[str, Any], ...] = (
    _stored(),
    {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [{"response": {"status": "201 Created"}}],
    },
    {
        "resourceType": "OperationOutcome",
        "issue": [{"code": "invalid", "expression": ["Bundle.entry[0]"], "diagnostics": "name"}],
    },
    {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server", "interaction": [{"code": "transaction"}]}],
    },
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container and key of a value."""
    for key in list(value if isinstance(value, dict) else range(len(value))):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def damage_json(whole: Any, changes: Changes) -> bytes:
    """Replace or remove values at any depth, or damage the text."""
    told, of_text = deepcopy(whole), []
    for kind, where, what in changes:
        places = list(_places(told))
        if kind > 10 or not places:
            of_text.append(Change(kind, where, what))
            continue
        container, key = places[where % len(places)]
        if kind > 8:
            del container[key]
        else:
            container[key] = deepcopy(JSON[what % len(JSON)])
    return damage_bytes(json.dumps(told).encode(), of_text)


@cache
def _object(folder: Path) -> Path:
    return write_file(folder / "object.dcm", make_ct())


@cache
def _message(folder: Path) -> Path:
    path = folder / "message.json"
    resource = {"resourceType": "ImagingStudy", "subject": {"identifier": {"value": "P-1"}}}
    entry = {"resource": resource, "request": {"method": "POST", "url": "ImagingStudy"}}
    path.write_text(json.dumps({"resourceType": "Bundle", "entry": [entry]}))
    return path


def fuzz_replies(changes: Changes, folder: Path) -> None:
    """HTTP answers to results: each is a verdict, or the peer is tried again; nothing is raised."""
    whole = pick(changes, ANSWERS)
    body = damage_json(whole, changes)
    drawn = sum(change.what for change in changes)
    status = STATUSES[drawn % len(STATUSES)]
    media = TYPES[(drawn // 16) % len(TYPES)]

    def answer(_adapter: HTTPAdapter, request: Any, **_: Any) -> requests.Response:
        headers = {"Content-Type": media}
        raw = HTTPResponse(
            BytesIO(body), status=status, headers=headers, preload_content=False, reason="x"
        )
        return HTTPAdapter().build_response(request, raw)

    with patch.object(HTTPAdapter, "send", answer):
        with suppress(TryLater):
            (stored,) = store_objects([_object(folder)], peer=ARCHIVE, settings=SETTINGS)
            assert not (stored.accepted and stored.retry)
        with suppress(TryLater):
            (sent,) = send_bundles([_message(folder)], peer=RECORDS, settings=SETTINGS)
            assert not (sent.accepted and sent.retry)
            assert "name" not in sent.detail.partition("HTTP")[2], "a text of the server"
        with suppress(TryLater, SetupFault):
            greet(RECORDS, SETTINGS)


def fuzz_acknowledgement(changes: Changes, _folder: Path) -> None:
    """Acknowledgements: a verdict, or none of this message; short codes are all that is kept."""
    segments = ACKNOWLEDGEMENT.split(b"|")
    for kind, where, what in changes:
        if kind % 3 == 0:
            segments[where % len(segments)] = TEXTS[what % len(TEXTS)]
    content = damage_bytes(b"|".join(segments), [each for each in changes if each.kind % 3])
    with suppress(NoAnswer):
        told = read_answer(content, "C1")
        assert told.verdict is not None
        assert all(len(each) <= 20 for each in (*told.errors, *told.places))
        str(told)
