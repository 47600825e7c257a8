"""Kinds of values that several settings have, and the base of all settings."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

AETitle = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]+$"
    ),
]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Pattern = Annotated[str, StringConstraints(min_length=1)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:%-]{1,253}$")]
BundleName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)?$"),
]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0)]


def _check_address(text: str) -> str:
    if text != "localhost":
        ip_address(text)
    return text


def _check_network(text: str) -> str:
    ip_network(text)
    return text


Address = Annotated[str, AfterValidator(_check_address)]
Network = Annotated[str, AfterValidator(_check_network)]
Lane = Literal["stat", "high", "routine"]
"""A ``node.domain.priority.Priority``."""


Language = Literal["en", "zh"]
"""Of what people read; see ``node.language``."""


AbsolutePath = Annotated[
    str,
    Field(pattern=r"^$|^/", description="an absolute path, or empty text for none"),
]


class Frozen(BaseModel):
    """Base: immutable; unknown keys, infinities and NaN are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
