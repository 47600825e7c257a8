"""Faults of a settings model, told with file, line and remedy."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from node.config.document import Document, Location
from node.domain.errors import Problem

SECRET_KEYS = frozenset({"database_url"})
"""Values of these keys may hold a password and are never shown."""

EXPECTED: Mapping[str, tuple[str, str]] = {
    "string_type": ("text", "put the value in quotes"),
    "int_type": ("a whole number", "write a number without quotes"),
    "int_from_float": ("a whole number", "leave the fraction out"),
    "float_type": ("a number", "write a number without quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "tuple_type": ("a list", "write [a, b] or one '- item' a line"),
    "path_type": ("a path", "put the path in quotes"),
    "model_type": ("keys and values", "indent 'key: value' lines below it"),
    "too_short": ("at least one entry", "add an entry or take the rule out"),
}
"""pydantic error type -> what was expected, and the remedy."""

AE_TITLE_RULE = "1 to 16 printable ASCII characters, without backslash (PS3.5 6.2, VR AE)"


def list_faults(
    fault: ValidationError, document: Document, model: type[BaseModel], above: Location = ()
) -> list[Problem]:
    """Turn each error of pydantic into a Problem that names file and line.

    Parameters
    ----------
    fault : ValidationError
        As raised for one part of the document.
    document : Document
        Knows the lines.
    model : type
        The model that refused; its field names are offered for misspelt keys.
    above : tuple
        Where in the document that part stands.
    """
    return [_tell(error, document, model, above) for error in fault.errors(include_url=False)]


def _tell(
    error: ErrorDetails, document: Document, model: type[BaseModel], above: Location
) -> Problem:
    inner = error["loc"]
    key = ".".join(str(part) for part in inner) or "the entry"
    tag = document.place((*above, *inner))
    if error["type"] == "extra_forbidden":
        return _unknown_key(inner, tag, model)
    if error["type"] == "missing":
        return Problem(
            code="missing-key",
            tag=tag,
            found=f"no {key!r}",
            expected="this key",
            remedy=f"add '{inner[-1]}: ...' to the entry",
        )
    found = f"{key}: {_show(inner, error['input'])}"
    if inner and inner[-1] == "ae_title" and error["type"].startswith("string_"):
        code, expected = "bad-ae-title", AE_TITLE_RULE
        remedy = "put it in quotes" if error["type"] == "string_type" else "correct the AE title"
    elif error["type"] in EXPECTED:
        code, (expected, remedy) = "wrong-type", EXPECTED[error["type"]]
    else:
        code, expected, remedy = "bad-value", _describe(error, model), "correct the value"
    return Problem(code=code, tag=tag, found=found, expected=expected, remedy=remedy)


def _unknown_key(inner: Location, tag: str, model: type[BaseModel]) -> Problem:
    known = sorted(_fields_at(model, inner[:-1]))
    close = difflib.get_close_matches(str(inner[-1]), known, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else "take it out or correct its name"
    return Problem(
        code="unknown-key",
        tag=tag,
        found=".".join(str(part) for part in inner),
        expected="one of " + ", ".join(known),
        remedy=remedy,
    )


def _fields_at(model: type[BaseModel], location: Location) -> Mapping[str, Any]:
    for part in location:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return {}
        model = inner
    return model.model_fields


def _show(location: Location, value: Any) -> str:
    if SECRET_KEYS & {str(part) for part in location}:
        return "a value that is not shown (it may hold a password)"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _describe(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Say what was expected: the field's own description, else pydantic's words."""
    location = [part for part in error["loc"] if isinstance(part, str)]
    field = _fields_at(model, tuple(location[:-1])).get(location[-1]) if location else None
    if field is not None and field.description:
        return str(field.description)
    if error["type"] == "string_pattern_mismatch":
        return f"text like {error['ctx']['pattern']}"
    return error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
