"""Whose word an object is: by whom it was made, and when.

References
----------
PS3.3 C.8.20.2 (Segment Algorithm Type, Content Creator's Name), C.8.8.5 (ROI Generation
Algorithm), C.8.8.8 (ROI Interpreter), C.17.2 (Verifying Observer, Author Observer);
PS3.16 TID 1002 (Observer Context).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, DT, TM

from node.dicom.text import as_text
from node.domain.feedback import Voice

AUTOMATIC = "AUTOMATIC"
OBSERVER_TYPE = ("121005", "DCM")
DEVICE = "121007"
PERSON_OBSERVER = ("121008", "DCM")

LARGEST_OFFSET_MINUTES = 14 * 60


def voice_of_segment(segment: Dataset) -> Voice:
    """Tell whose a segment is; what a person has only started or mended counts as a person's."""
    kind = str(segment.get("SegmentAlgorithmType") or "").strip().upper()
    return Voice.ALGORITHM if kind == AUTOMATIC else Voice.PERSON


def voice_of_structure(structure: Dataset) -> Voice:
    """Tell whose a region of an RTSTRUCT is."""
    kind = str(structure.get("ROIGenerationAlgorithm") or "").strip().upper()
    return Voice.ALGORITHM if kind == AUTOMATIC else Voice.PERSON


def voice_of_document(dataset: Dataset) -> Voice:
    """Tell whose an SR or Key Object Selection is: a device's only if no person is named."""
    observers = {
        code_of(item.get("ConceptCodeSequence"))[0]
        for item in dataset.get("ContentSequence") or ()
        if code_of(item.get("ConceptNameCodeSequence")) == OBSERVER_TYPE
    }
    is_device = DEVICE in observers and not _document_author(dataset)
    return Voice.ALGORITHM if is_device else Voice.PERSON


def author_of(dataset: Dataset) -> str:
    """Return whom an object names as its author; else what made it, in brackets."""
    observations = dataset.get("RTROIObservationsSequence") or ()
    named = (
        _document_author(dataset),
        dataset.get("ContentCreatorName"),
        *(item.get("ROIInterpreter") for item in observations),
        dataset.get("OperatorsName"),
    )
    for name in named:
        text = as_text(name).strip("^ ")
        if text:
            return text
    made_by = dataset.get("ManufacturerModelName") or dataset.get("Manufacturer") or "unknown"
    return f"({as_text(made_by).strip()})"


def interpreter_of(observation: Dataset | None) -> str:
    """Return who drew a structure of an RTSTRUCT; empty if its observation does not tell."""
    return "" if observation is None else as_text(observation.get("ROIInterpreter")).strip("^ ")


def said_at(dataset: Dataset, *, otherwise: datetime) -> datetime:
    """Return when an object was made, by its own word.

    Parameters
    ----------
    dataset : Dataset
    otherwise : datetime
        Where it does not tell; aware. Nothing is later than this either: clocks go wrong.
    """
    verified = [
        item.get("VerificationDateTime") for item in dataset.get("VerifyingObserverSequence") or ()
    ]
    zone = _zone(dataset)
    moments = [_moment(str(value), zone) for value in verified if value]
    for kind in ("Content", "StructureSet", "InstanceCreation"):
        date, time = dataset.get(f"{kind}Date"), dataset.get(f"{kind}Time")
        if date:
            moments.append(_moment(f"{_date(date)}{_time(time)}", zone))
    for moment in moments:
        if moment is not None:
            return min(moment, otherwise)
    return otherwise


def code_of(codes: object) -> tuple[str, str]:
    """Return value and scheme of the first item of a code sequence; empty ones without any."""
    items = list(codes) if codes else []  # type: ignore[call-overload]  # a pydicom Sequence
    if not items:
        return "", ""
    return str(items[0].get("CodeValue") or ""), str(items[0].get("CodingSchemeDesignator") or "")


def _document_author(dataset: Dataset) -> str:
    for name in _people(dataset):
        text = as_text(name).strip("^ ")
        if text:
            return text
    return ""


def _people(dataset: Dataset) -> Iterator[object]:
    for item in dataset.get("VerifyingObserverSequence") or ():
        yield item.get("VerifyingObserverName")
    for item in dataset.get("ContentSequence") or ():
        if code_of(item.get("ConceptNameCodeSequence")) == PERSON_OBSERVER:
            yield item.get("PersonName")
    for item in dataset.get("AuthorObserverSequence") or ():
        yield item.get("PersonName")


def _moment(text: str, zone: timezone | None) -> datetime | None:
    try:
        parsed = DT(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if parsed is None:
        return None
    moment = datetime(
        parsed.year,
        parsed.month,
        parsed.day,
        parsed.hour,
        parsed.minute,
        parsed.second,
        parsed.microsecond,
        tzinfo=parsed.tzinfo or zone,
    )
    try:
        return moment.astimezone(UTC)  # without any zone it is that of this host
    except (ValueError, OverflowError, OSError):  # at the ends of the calendar
        return None


def _date(value: object) -> str:
    return f"{value:%Y%m%d}" if isinstance(value, DA) else str(value)


def _time(value: object) -> str:
    return f"{value:%H%M%S.%f}" if isinstance(value, TM) else str(value or "")


def _zone(dataset: Dataset) -> timezone | None:
    text = str(dataset.get("TimezoneOffsetFromUTC") or "").strip()
    if len(text) != 5 or text[0] not in "+-" or not text[1:].isdigit():
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    if minutes > LARGEST_OFFSET_MINUTES:
        return None
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
