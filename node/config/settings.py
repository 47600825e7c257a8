"""The settings of a node as frozen models; unknown keys are refused."""

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
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


def _check_range(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("the first number of a range is its lower end")
    return ends


def _check_network(text: str) -> str:
    ip_network(text)
    return text


Address = Annotated[str, AfterValidator(_check_address)]
Network = Annotated[str, AfterValidator(_check_network)]
Permission = Literal["echo", "store", "commit"]
Lane = Literal["stat", "high", "routine"]
"""A ``node.domain.priority.Priority``."""


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


Language = Literal["en", "zh"]
"""Of what people read; see ``node.language``."""


class Frozen(BaseModel):
    """Base: immutable; unknown keys, infinities and NaN are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ReceiveSettings(Frozen):
    """The C-STORE listener."""

    maximum_associations: int = Field(32, ge=1, le=512)
    maximum_pdu_bytes: int = Field(131072, ge=4096, le=1048576)
    acse_timeout_s: Seconds = 30
    dimse_timeout_s: Seconds = 60
    network_timeout_s: Seconds = 120
    minimum_free_disk_mb: int = Field(1024, ge=0)
    maximum_dataset_mb: int = Field(2048, ge=1)
    answer_commitment: bool = True
    check_called_ae_title: bool = True
    called_ae_titles: tuple[AETitle, ...] = ()
    allowed_addresses: tuple[Network, ...] = ()
    keep_associations: int = Field(10000, ge=100, le=10000000)


class TlsSettings(Frozen):
    """DICOM over TLS: the node's own certificate, and whom it trusts."""

    listen: Literal["beside", "only", "never"] = "beside"
    port: int = Field(2762, ge=0, le=65535)
    certificate: Path | None = None
    key: Path | None = None
    key_password_file: Path | None = None
    ca: Path | None = None
    require_client_certificate: bool = True
    warn_days: int = Field(30, ge=0)

    @property
    def is_listening(self) -> bool:
        """Whether there is a TLS port: there is none without a certificate."""
        return self.certificate is not None and self.listen != "never"


class AssembleSettings(Frozen):
    """When a study counts as arrived."""

    quiet_time_s: Seconds = 10
    quiet_time_by_ae: dict[Text, Seconds] = Field({})
    incomplete_wait_s: Seconds = 600
    incomplete_check_s: float = Field(60, ge=1)
    process_partial: bool = True
    ask_peers: tuple[Name, ...] = ()
    fetch_missing: Literal["never", "move", "get"] = "never"
    minimum_slices: int = Field(3, ge=1)


class JobSettings(Frozen):
    """Durable work and the engine that runs it."""

    scheduler_address: str = Field(
        "",
        pattern=r"^$|^(tcp|tls)://[^\s/]+:\d+$",
        description="tcp://HOST:PORT, or empty text for a scheduler of the node's own",
    )
    workers: int = Field(1, ge=1, le=64)
    threads_per_worker: int = Field(2, ge=1, le=64)
    lease_s: float = Field(60, ge=1)
    maximum_attempts: int = Field(5, ge=1)
    retry_backoff_s: float = Field(5, gt=0)
    retry_backoff_maximum_s: float = Field(900, gt=0)
    poll_interval_s: float = Field(0.5, gt=0)
    keep_days: float = Field(14, gt=0)
    keep_headers_days: float = Field(90, ge=0)
    memory_limit_mb: int = Field(0, ge=0)
    load_timeout_s: float = Field(900, gt=0)
    read_timeout_s: float = Field(900, gt=0)
    segment_timeout_s: float = Field(3600, gt=0)
    radiomics_timeout_s: float = Field(3600, gt=0)
    classify_timeout_s: float = Field(900, gt=0)
    compare_timeout_s: float = Field(900, gt=0)
    report_timeout_s: float = Field(1800, gt=0)

    @property
    def stage_timeouts_s(self) -> dict[str, float]:
        """Stage of a job -> how long it may take; "load" is the loading of the bundle."""
        return {
            "load": self.load_timeout_s,
            "read": self.read_timeout_s,
            "segment": self.segment_timeout_s,
            "radiomics": self.radiomics_timeout_s,
            "classify": self.classify_timeout_s,
            "compare": self.compare_timeout_s,
            "report": self.report_timeout_s,
        }


class DeliverSettings(Frozen):
    """Sending of results."""

    maximum_attempts: int = Field(500, ge=1)
    retry_backoff_s: float = Field(5, gt=0)
    retry_backoff_maximum_s: float = Field(900, gt=0)
    acse_timeout_s: Seconds = 15
    dimse_timeout_s: Seconds = 60
    maximum_pdu_bytes: int = Field(131072, ge=4096, le=1048576)
    commitment_wait_s: Seconds = 5
    commitment_timeout_s: float = Field(14400, gt=0)
    maximum_losses: int = Field(3, ge=0)


class ReportSettings(Frozen):
    """How results look."""

    seg_series_number: int = Field(9101, ge=1)
    sr_series_number: int = Field(9102, ge=1)
    send_empty_seg: bool = False
    keep_empty_frames: bool = False
    comprehensive_sr: bool = False
    language: Language = "en"
    pdf: bool = False


class TriageSettings(Frozen):
    """Which results are flagged for a person to look at first; see ``node.domain.triage``."""

    malignant_probability: float = Field(0.5, ge=0, le=1)
    growth_share: float = Field(0.25, ge=0)
    growth_ml: float = Field(0.05, ge=0)
    new_lesion_long_axis_mm: float = Field(5, ge=0)


OWN_ARCHIVE = "own"
"""Stands for the node's own archive among the names of peers."""


class PriorsSettings(Frozen):
    """Where earlier examinations are looked for, to compare with."""

    look_in: tuple[Name, ...] = ()
    timeout_s: float = Field(120, gt=0, le=600)
    maximum_studies: int = Field(10, ge=1, le=1000)
    fetch: Literal["get", "move"] = "get"


class DiskSettings(Frozen):
    """Room on the disk of ``data_dir``; the hard mark is ``receive.minimum_free_disk_mb``."""

    soft_free_mb: int = Field(2048, ge=0)
    clean_up: bool = True
    quarantine_mb: int = Field(2048, ge=0)


class LogSettings(Frozen):
    """Structured log."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    json_lines: bool = True
    files: int = Field(5, ge=0, le=100)
    file_mb: int = Field(20, ge=1, le=10240)


class MetricsSettings(Frozen):
    """Prometheus metrics and health over HTTP."""

    bind_address: Address = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535)


AbsolutePath = Annotated[
    str,
    Field(pattern=r"^$|^/", description="an absolute path, or empty text for none"),
]


class AuditSettings(Frozen):
    """Audit trail of PS3.15 A.5, in ``data_dir/audit``."""

    enabled: bool = True
    patient_id: bool = True
    file_mb: int = Field(50, ge=1, le=10240)
    syslog_host: str = Field("", pattern=r"^[A-Za-z0-9_.:-]{0,253}$")
    syslog_port: Port = 6514
    syslog_ca_file: AbsolutePath = ""
    syslog_certificate_file: AbsolutePath = ""
    syslog_key_file: AbsolutePath = ""


class WebSettings(Frozen):
    """The web page."""

    enabled: bool = False
    address: Address = "127.0.0.1"
    port: int = Field(8840, ge=1, le=65535)
    environment: Literal["test", "production"] = "test"
    certificate_file: AbsolutePath = ""
    key_file: AbsolutePath = ""
    trusted_proxies: tuple[Network, ...] = ()
    session_idle_minutes: float = Field(30, gt=0, le=1440)
    session_hours: float = Field(12, gt=0, le=168)

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        if bool(self.certificate_file) != bool(self.key_file):
            raise ValueError("certificate_file and key_file stand together")
        is_alone = self.address == "localhost" or ip_address(self.address).is_loopback
        if not (is_alone or self.certificate_file or self.trusted_proxies):
            raise ValueError(
                "passwords would cross the network in clear: set certificate_file and key_file, "
                "or trusted_proxies where a proxy speaks TLS"
            )
        return self


class FeedbackSettings(Frozen):
    """What people say of results by DICOM objects; ``feedback`` of a peer has it asked, too."""

    enabled: bool = True
    ask_every_s: float = Field(3600, ge=10)
    ask_days: float = Field(30, gt=0)


class NodeSettings(Frozen):
    """``node.yaml``."""

    ae_title: AETitle = "ONCONODE"
    bind_address: Address = "127.0.0.1"
    port: int = Field(11112, ge=0, le=65535)
    data_dir: Path = Path("data")
    models_dir: Path = Path("models")
    database_url: str = Field(
        "",
        pattern=r"^$|^(sqlite|postgresql)(\+[a-z0-9]+)?://",
        description="postgresql+psycopg://..., sqlite:///..., or empty text for SQLite in data_dir",
    )
    accept_unknown_peers: bool = True
    receive: ReceiveSettings = ReceiveSettings()
    tls: TlsSettings = TlsSettings()
    assemble: AssembleSettings = AssembleSettings()
    jobs: JobSettings = JobSettings()
    deliver: DeliverSettings = DeliverSettings()
    report: ReportSettings = ReportSettings()
    priors: PriorsSettings = PriorsSettings()
    triage: TriageSettings = TriageSettings()
    disk: DiskSettings = DiskSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    audit: AuditSettings = AuditSettings()
    web: WebSettings = WebSettings()
    feedback: FeedbackSettings = FeedbackSettings()


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


class SeriesMatch(Frozen):
    """Conditions on a series; a list matches when any entry does, all given keys must match.

    Text is compared without regard to case; ``*`` and ``?`` are wildcards.
    In ``body_part`` and ``series_description`` an empty text stands for a missing attribute.
    """

    modality: tuple[Text, ...] = ()
    body_part: tuple[str, ...] = ()
    series_description: tuple[str, ...] = ()
    not_series_description: tuple[Text, ...] = ()
    calling_ae: tuple[Text, ...] = ()
    contrast_agent: bool | None = None
    requested_priority: tuple[Text, ...] = ()


Range = Annotated[tuple[float, float], AfterValidator(_check_range)]


End = Literal["first", "last"]


class PartChoice(Frozen):
    """Which volume of a series that holds several is meant; without a key the default holds.

    ``first`` and ``last`` are those of the lowest and of the highest value. In ``image_type``
    ``*`` and ``?`` are wildcards, and values are separated by a backslash, as in the header.
    """

    stack: Text | None = None
    image_type: Text | None = None
    echo_time_ms: End | float | None = None
    b_value: End | float | None = None
    temporal_position: End | int | None = None
    trigger_time_ms: End | float | None = None
    inversion_time_ms: End | float | None = None
    acquisition: End | int | None = None


class SequenceMatch(Frozen):
    """Conditions that tell an MR sequence by its header; all given keys must match.

    ``description`` means SeriesDescription, and ProtocolName where a series has none. It is
    compared without regard to case, with ``*`` and ``?``; ``_ - . , / ( )`` count as spaces and
    there is one at either end, so that ``"* post *"`` is the word and not "posterior".
    One of ``scanning_sequence`` must be among the values of the attribute. A missing number
    fails its range.

    ``part`` says which volume is meant of a series that holds several, in place of the rule's
    ``part``; one series may play several roles if each names another part.
    """

    description: tuple[Pattern, ...] = ()
    and_description: tuple[Pattern, ...] = ()
    not_description: tuple[Pattern, ...] = ()
    contrast_agent: bool | None = None
    scanning_sequence: tuple[Text, ...] = ()
    echo_time_ms: Range | None = None
    repetition_time_ms: Range | None = None
    inversion_time_ms: Range | None = None
    part: PartChoice | None = None


class RoutingRule(Frozen):
    """One rule of ``routing.yaml``; the first rule that matches a series of a study wins.

    ``roles`` takes the place of what a bundle of several sequences says of a role: alternatives
    in the order of preference. ``prompt_labels`` says which regions of a SEG, RTSTRUCT or SR point
    at lesions, for bundles that refine them; without it, organs are left out by their usual names.
    ``part`` says which echo, b-value, phase ... is taken of a series that holds several.
    ``priority`` comes before that of the sender; without both a study is routine.
    ``compare: false`` looks for no earlier examinations, whatever ``priors`` says.
    """

    name: Name
    match: SeriesMatch
    bundle: BundleName
    destinations: tuple[Name, ...] = Field(min_length=1)
    roles: dict[Name, tuple[SequenceMatch, ...]] = Field(default_factory=dict)
    prompt_labels: tuple[Text, ...] = ()
    part: PartChoice = PartChoice()
    priority: Lane | None = None
    compare: bool = True


class Settings(Frozen):
    """Everything that the node reads at start."""

    node: NodeSettings = NodeSettings()
    peers: tuple[Peer, ...] = ()
    routing: tuple[RoutingRule, ...] = ()

    def peer(self, name: str) -> Peer:
        """Return the peer of that name; KeyError if there is none."""
        for peer in self.peers:
            if peer.name == name:
                return peer
        raise KeyError(name)
