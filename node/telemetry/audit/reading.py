"""Records of the audit trail as people read them."""

import base64
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from node.telemetry.audit.chain import list_files
from node.telemetry.audit.verify import read_records

OUTCOMES = {"0": "success", "4": "minor failure", "8": "serious failure", "12": "major failure"}
SEARCHED_FILES = 4
"""The latest files of a trail in which a page looks; the whole may be years long."""


@dataclass(frozen=True, kw_only=True)
class ShownRecord:
    """A record in words.

    Parameters
    ----------
    number : int
    at : str
        ISO 8601, UTC.
    event, outcome, who, about : str
        ``outcome`` is ``success``, or how serious the failure is.
    """

    number: int
    at: str
    event: str
    outcome: str
    who: str
    about: str


def select_records(
    folder: Path, *, event: str = "", study: str = "", files: list[Path] | None = None
) -> Iterator[tuple[Mapping[str, Any], ET.Element]]:
    """Yield the sound records of a trail with their messages, oldest first.

    Parameters
    ----------
    folder : Path
    event : str
        Only those of this DCM code; empty: all.
    study : str
        Only those about this Study Instance UID; empty: all.
    files : list of Path, optional
        Of the trail; all by default.
    """
    for record in read_records(folder, files=files):
        # written by this node, and covered by the digest that ``read_records`` has checked
        message = ET.fromstring(record["xml"])  # noqa: S314 - as above
        code = message.find("EventIdentification/EventID")
        if event and (code is None or code.get("csd-code") != event):
            continue
        objects = message.iter("ParticipantObjectIdentification")
        if study and all(item.get("ParticipantObjectID") != study for item in objects):
            continue
        yield record, message


def latest_records(
    folder: Path, *, limit: int, event: str = "", study: str = ""
) -> list[ShownRecord]:
    """Return the latest records in words, the latest first; only the latest files are searched."""
    found: list[ShownRecord] = []
    for path in reversed(list_files(folder)[-SEARCHED_FILES:]):
        wanted = limit - len(found)
        of_file = deque(select_records(folder, event=event, study=study, files=[path]), wanted)
        found += [show_record(*each) for each in reversed(of_file)]
        if len(found) == limit:
            break
    return found


def show_record(record: Mapping[str, Any], message: ET.Element) -> ShownRecord:
    """Return a record in words."""
    identification = message.find("EventIdentification")
    assert identification is not None, "every message has one"
    kinds = [*identification.iter("EventID"), *identification.iter("EventTypeCode")]
    outcome = identification.get("EventOutcomeIndicator", "")
    told = identification.findtext("EventOutcomeDescription", "")
    about = [_about(item) for item in message.iter("ParticipantObjectIdentification")]
    return ShownRecord(
        number=record["number"],
        at=record["at"],
        event=": ".join(kind.get("originalText", "") for kind in kinds),
        outcome=OUTCOMES.get(outcome, outcome),
        who=", ".join(each.get("UserID", "") for each in message.iter("ActiveParticipant")),
        about="; ".join(filter(None, (told, *about))),
    )


def _about(item: ET.Element) -> str:
    words = [item.findtext("ParticipantObjectName", ""), item.get("ParticipantObjectID", "")]
    words += [
        base64.b64decode(detail.get("value", "")).decode("utf-8", "replace")
        for detail in item.iter("ParticipantObjectDetail")
    ]
    count = sum(int(each.get("NumberOfInstances", "0")) for each in item.iter("SOPClass"))
    if count:
        words.append(f"({count} objects)")
    return " ".join(dict.fromkeys(words))
