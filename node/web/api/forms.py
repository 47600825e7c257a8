"""The JSON of the API: names here are promised, those of the dataclasses behind them are not."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict

from node.domain.priority import Priority
from node.jobs.job import CommitmentState, DeliveryState
from node.jobs.state import JobState
from node.storage.associations import AssociationResult

OneUid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
JobId = Annotated[str, Path(pattern=r"^[0-9a-z]{1,64}$")]
Limit = Annotated[int, Query(ge=1, le=500)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Uid = Annotated[str, Query(pattern=r"^[0-9.]{0,64}$", description="Study Instance UID, or a part")]
PeerName = Annotated[str, Query(pattern=r"^[A-Za-z0-9_.-]{0,64}$")]
Title = Annotated[str, Query(pattern=r"^[\x20-\x7e]{0,16}$", description="AE title")]


class Form(BaseModel):
    """Base: read off the dataclass of the same keys."""

    model_config = ConfigDict(from_attributes=True)


class Fault(BaseModel):
    """Why a request was not answered."""

    detail: str


class Page(BaseModel):
    """A part of a list."""

    total: int
    limit: int
    offset: int


class ProblemForm(Form):
    """One fault of an input."""

    code: str
    found: str
    expected: str
    remedy: str
    tag: str
    uid: str


class JobForm(Form):
    """A job."""

    job_id: str
    study_instance_uid: str
    series_instance_uids: tuple[str, ...]
    bundle: str
    rule: str
    destinations: tuple[str, ...]
    calling_ae_title: str
    state: JobState
    stage: str
    priority: Priority
    attempts: int
    created_at: datetime
    updated_at: datetime
    error: str
    problems: tuple[ProblemForm, ...]


class EventForm(Form):
    """A line of a job's history."""

    at: datetime
    event: str
    state: JobState
    stage: str
    attempt: int
    detail: str


class DeliveryForm(Form):
    """One object for one destination."""

    delivery_id: int
    job_id: str
    destination: str
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    state: DeliveryState
    attempts: int
    error: str
    commitment: CommitmentState | None
    commitment_detail: str
    losses: int
    stands_for: str


class WholeJobForm(BaseModel):
    """A job with its history, its deliveries, and its result (``result.json``)."""

    job: JobForm
    events: list[EventForm]
    deliveries: list[DeliveryForm]
    result: dict[str, Any]


class JobPage(Page):
    """Jobs, the latest first."""

    items: list[JobForm]


class DeliveryPage(Page):
    """Deliveries, the latest first."""

    items: list[DeliveryForm]


class StudyForm(Form):
    """A study of which files are here."""

    study_instance_uid: str
    last_received_at: datetime
    calling_ae_title: str
    modalities: tuple[str, ...]
    objects: int
    series: int
    waits: bool


class StudyPage(BaseModel):
    """Studies, the latest received first."""

    limit: int
    offset: int
    items: list[StudyForm]


class WholeStudyForm(BaseModel):
    """A study with its jobs."""

    study: StudyForm
    jobs: list[JobForm]


class AssociationForm(Form):
    """An association that was asked for here."""

    started_at: datetime
    ended_at: datetime | None
    address: str
    calling_ae_title: str
    called_ae_title: str
    peer: str
    tls: str
    result: AssociationResult
    rejection: str
    reason: str
    objects_stored: int
    objects_refused: int
    bytes_stored: int


class AssociationList(BaseModel):
    """Associations, the latest first."""

    items: list[AssociationForm]


class PeerForm(Form):
    """A peer, and the traffic with it."""

    name: str
    ae_title: str
    address: str
    last_called_at: datetime | None
    last_call: str
    last_sent_at: datetime | None
    waiting: int
    failed: int
    oldest_s: float
    state: str
    error: str


class DiskForm(Form):
    """The disk of the node."""

    free_bytes: int
    soft_bytes: int
    hard_bytes: int
    state: str
    usage: Mapping[str, int]


class BundleForm(Form):
    """A model that rules name; without version it is not there."""

    name: str
    version: str
    rules: tuple[str, ...]


class StepForm(Form):
    """A station of the flow."""

    name: str
    count: int
    oldest_s: float


class AlarmForm(Form):
    """Something to look at."""

    kind: str
    level: str
    about: str
    count: int


class RunningForm(Form):
    """A job that a worker holds."""

    job_id: str
    study_instance_uid: str
    bundle: str
    stage: str
    stage_began_at: datetime
    priority: Priority


class OverviewForm(Form):
    """One look at the node."""

    at: datetime
    steps: tuple[StepForm, ...]
    running: tuple[RunningForm, ...]
    jobs: Mapping[str, int]
    associations_open: int
    peers: tuple[PeerForm, ...]
    disk: DiskForm
    bundles: tuple[BundleForm, ...]
    processes: Mapping[str, bool]
    alarms: tuple[AlarmForm, ...]
