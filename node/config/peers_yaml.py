"""Settings of ``peers.yaml``: who is out there, and what each gets."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from node.config.fields import (
    AbsolutePath,
    AETitle,
    Frozen,
    Host,
    Lane,
    Language,
    Name,
    Network,
    Port,
)

Permission = Literal["echo", "store", "commit"]


def _check_ladder(forms: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(forms)) < len(forms):
        raise ValueError("every form stands once")
    if "none" in forms[:-1]:
        raise ValueError("none stands last: nothing comes after it")
    for form in forms[1:]:
        if form.split("+")[0] in ("seg", "labelmap", "auto"):
            raise ValueError(f"{form} stands first, if at all: the others are made from it")
    if any(len(set(form.split("+"))) < len(form.split("+")) for form in forms):
        raise ValueError("every form stands once")
    return forms


ResultForm = Annotated[
    str,
    Field(
        pattern=r"^none$|^(seg|labelmap|auto|rtstruct|secondary_capture)"
        r"(\+(rtstruct|secondary_capture|fractional|parametric_map))*$",
        description="seg, labelmap, auto, rtstruct or secondary_capture, with others after a +, "
        "or none",
    ),
]
ReportForm = Literal["comprehensive_3d", "comprehensive", "enhanced", "none"]


class WebService(Frozen):
    """Something that is reached over HTTP, and how the node proves who it is."""

    url: str = Field(pattern=r"^https?://[^\s@?#]+$", description="http(s)://HOST[:PORT]/PATH")
    username: str = ""
    password_file: AbsolutePath = ""
    token_file: AbsolutePath = ""
    ca_file: AbsolutePath = ""


class DicomWeb(WebService):
    """The DICOMweb services of a peer, used in the place of DIMSE."""

    store: bool = True
    query: bool = True


Sent = Literal["all", "flagged"]
"""Which results a receiver of messages gets: every one, or those that triage flagged."""
Hl7Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^|^~\\&\r\n]{0,20}$")]


class Hl7(Frozen):
    """HL7 v2 over MLLP: a RIS that takes results as ORU^R01, at the peer's host and port."""

    send: Sent = "all"
    sending_application: Hl7Name = "ONCONODE"
    sending_facility: Hl7Name = ""
    receiving_application: Hl7Name = ""
    receiving_facility: Hl7Name = ""
    assigning_authority: Hl7Name = ""
    processing_id: Literal["P", "T", "D"] = "P"


class Fhir(WebService):
    """A FHIR R4 server that takes results as a transaction."""

    send: Sent = "all"
    patient_id_system: str = Field(
        "", pattern=r"^$|^(urn|https?):\S+$", description="a URI, or empty text for none"
    )


class Peer(Frozen):
    """One entry of ``peers.yaml``: a DICOM application entity that we send to or hear from.

    One with ``hl7`` or ``fhir`` is none: it has no AE title and gets messages, no objects.

    ``load_settings`` puts the node's own TLS files where a peer with ``tls`` names none.
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [key]} for key in ("ae_title", "hl7", "fhir")]}
    )

    name: Name
    ae_title: AETitle = ""
    host: Host = "127.0.0.1"
    port: Port = 104
    description: str = ""
    allowed_addresses: tuple[Network, ...] = ()
    maximum_associations: int = Field(0, ge=0)
    permissions: tuple[Permission, ...] = ()
    tls: bool = False
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_key_password_file: Path | None = None
    tls_check_host: bool = True
    commitment: Literal["auto", "require", "off"] = "auto"
    results: Annotated[tuple[ResultForm, ...], AfterValidator(_check_ladder)] = ()
    reports: Annotated[tuple[ReportForm, ...], AfterValidator(_check_ladder)] = ()
    not_evaluable: bool = True
    dicomweb: DicomWeb | None = None
    priority: Lane | None = None
    pdf: bool = False
    language: Language | None = None
    feedback: Literal["off", "move", "get"] = "off"
    hl7: Hl7 | None = None
    fhir: Fhir | None = None

    @property
    def takes_messages(self) -> bool:
        """Whether results go to it as messages instead of DICOM objects."""
        return self.hl7 is not None or self.fhir is not None

    @property
    def title(self) -> str:
        """What it is called in texts: its AE title, or the name of a peer that has none."""
        return self.ae_title or self.name

    @property
    def address(self) -> str:
        """Where it is reached, for people."""
        web = self.dicomweb or self.fhir
        if web is not None:
            return web.url
        return f"{'mllp://' if self.hl7 else ''}{self.host}:{self.port}"

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if not self.takes_messages:
            if not self.ae_title:
                raise ValueError("ae_title, or hl7 or fhir for a receiver of messages")
            return self
        known = {"name", "description", "host", "port", "hl7", "fhir"}
        others = self.model_fields_set - known
        wrong = sorted(key for key in others if not key.startswith("tls"))
        if self.hl7 is not None and self.fhir is not None:
            raise ValueError("hl7 or fhir: a peer of its own for each")
        if wrong:
            raise ValueError(f"messages alone: {', '.join(wrong)} belongs to a DICOM peer")
        if self.hl7 is not None and "port" not in self.model_fields_set:
            raise ValueError("port beside hl7: that of the receiver's MLLP listener")
        if self.fhir is not None and {"host", "port", "tls"} & self.model_fields_set:
            raise ValueError("fhir alone: its url has host, port and TLS")
        return self
