"""Settings of ``node.yaml``."""

from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from node.config.fields import (
    AbsolutePath,
    Address,
    AETitle,
    Frozen,
    Language,
    Name,
    Network,
    Port,
    Seconds,
    Text,
)


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
