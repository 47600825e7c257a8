"""Keeping patients out of the log, whoever writes to it.

Three nets, one behind the other: libraries that dump data sets at debug level are held at
warnings, values under a patient's keys are withheld, and values that are not plain (a pydicom
Dataset, an array) are replaced by the name of their type. Warnings of DICOM libraries, and errors
of all libraries, quote the value they complain of, so only place and type are kept.
"""

from collections.abc import MutableMapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import ExcInfo

PATIENT_KEYS = frozenset(
    {
        "accession_number",
        "institution_name",
        "operators_name",
        "other_patient_ids",
        "patient_address",
        "patient_birth_date",
        "patient_id",
        "patient_name",
        "referring_physician_name",
    }
)
"""Keys whose values never reach a log; compared without case and underscores."""

WITHHELD = "[withheld]"

_SQUEEZED = frozenset(key.replace("_", "") for key in PATIENT_KEYS)

_TRACEBACK = ExceptionDictTransformer(show_locals=False)

_DICOM_PACKAGES = ("pydicom", "pynetdicom", "highdicom", "pylibjpeg", "openjpeg", "jpeg_ls")


def withhold_patient_text(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Structlog processor: withhold patient keys, and values that are not plain."""
    for key, value in event.items():
        if not key.startswith("_") and key != "exc_info":
            event[key] = _withhold(key, value)
    message = getattr(event.get("_record"), "msg", None)
    if isinstance(message, BaseException):
        event["event"] = type(message).__name__
    return event


def describe_error(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """Tell type and frames of an error and of what caused it; their texts are withheld."""
    return [_without_text(stack) for stack in _TRACEBACK(exc_info)]


def print_error(stream: TextIO, exc_info: ExcInfo) -> None:
    """Write the same as lines."""
    for stack in describe_error(exc_info):
        stream.write(f"\n{stack['exc_type']}")
        for frame in stack["frames"]:
            stream.write(f"\n  {frame['filename']}:{frame['lineno']} in {frame['name']}")


def _without_text(stack: dict[str, Any]) -> dict[str, Any]:
    stack |= {"exc_value": WITHHELD, "exc_notes": []}
    for stacks in stack.get("exceptions", ()):
        for each in stacks:
            _without_text(each)
    return stack


def describe_warning(category: type[Warning], message: str, filename: str, lineno: int) -> str:
    """Tell of a Python warning; of a DICOM library's only the place, as its text quotes values."""
    place = f"{category.__name__} at {filename}:{lineno}"
    parts = Path(filename).parts
    quoted = any(package in parts for package in _DICOM_PACKAGES)
    return place if quoted else f"{place}: {message}"


def _withhold(key: str, value: Any) -> Any:
    if key.lower().replace("_", "") in _SQUEEZED:
        return WITHHELD
    match value:
        case None | str() | int() | float():
            result: Any = value
        case Path() | date() | datetime():
            result = str(value)
        case dict():
            result = {str(inner): _withhold(str(inner), item) for inner, item in value.items()}
        case list() | tuple() | set() | frozenset():
            result = [_withhold(key, item) for item in value]
        case BaseException():
            result = type(value).__name__
        case _:
            result = f"[{type(value).__name__}]"
    return result
