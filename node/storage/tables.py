"""Every table of the node.

The schema in a database comes from ``migrations/``; a test keeps both alike. Rows never leave
this layer and the job ledger: callers get frozen dataclasses.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from node.storage.clock import UtcDateTime

UID = String(64)  # PS3.5 section 9.1
AE_TITLE = String(16)  # PS3.5 section 6.2, VR AE
COUNTER = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers only INTEGER keys


class Table(DeclarativeBase):
    """Base of all tables; names of constraints are fixed so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy reads it as declared


class StudyRow(Table):
    """A study of which at least one object was received."""

    __tablename__ = "studies"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    last_received_at: Mapped[datetime]
    assembled_digest: Mapped[str | None] = mapped_column(Text)
    """Digest of what was assembled; NULL while objects came that no job has seen (dirty)."""

    __table_args__ = (Index(None, "assembled_digest", "last_received_at"),)


class InstanceRow(Table):
    """A received object whose file is safe on disk."""

    __tablename__ = "instances"

    instance_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, unique=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    study_instance_uid: Mapped[str] = mapped_column(
        ForeignKey("studies.study_instance_uid"), index=True
    )
    series_instance_uid: Mapped[str] = mapped_column(UID)
    modality: Mapped[str] = mapped_column(Text)  # as sent, also where it breaks the rules of CS
    calling_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    path: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[datetime]


class QuarantinedRow(Table):
    """An object that was refused, and why."""

    __tablename__ = "quarantined_objects"

    quarantined_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    path: Mapped[str] = mapped_column(Text)
    calling_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    status: Mapped[int]
    sop_instance_uid: Mapped[str] = mapped_column(Text)
    problems: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    received_at: Mapped[datetime] = mapped_column(index=True)


class JobRow(Table):
    """A piece of work: one selection of series for one bundle."""

    __tablename__ = "jobs"

    job_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    series_instance_uids: Mapped[list[str]] = mapped_column(JSON)
    bundle: Mapped[str] = mapped_column(Text)
    rule: Mapped[str] = mapped_column(Text)
    destinations: Mapped[list[str]] = mapped_column(JSON)
    calling_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    content_digest: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    stage: Mapped[str] = mapped_column(String(32))
    attempts: Mapped[int]
    postponements: Mapped[int]
    not_before: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    lease_owner: Mapped[str] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text)
    problems: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    result: Mapped[dict[str, Any]] = mapped_column(JSON)
    intake: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    priority: Mapped[str | None] = mapped_column(String(8))
    queue_place: Mapped[datetime | None]
    """What waits is ordered by it: since when, less the head start of its priority."""
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Estimated need of its worker; 0: not known."""

    __table_args__ = (Index(None, "state", "not_before"),)


class JobEventLine(Table):
    """One line of a job's history; lines are only ever added."""

    __tablename__ = "job_events"

    event_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id"), index=True)
    at: Mapped[datetime]
    event: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    """State after the event."""
    stage: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[int]
    owner: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)


class DeliveryRow(Table):
    """One object for one destination: the unique key is what keeps a send from doubling."""

    __tablename__ = "deliveries"

    delivery_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id"), index=True)
    """The job that asked first; ``job_deliveries`` names all that wait for it."""
    destination: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    sop_class_uid: Mapped[str] = mapped_column(UID)
    sop_instance_uid: Mapped[str] = mapped_column(UID)
    path: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    not_before: Mapped[datetime]
    lease_owner: Mapped[str] = mapped_column(Text)
    lease_until: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime]
    stands_for: Mapped[str | None] = mapped_column(UID)
    """SOP Instance UID of the object that this destination refused for good."""

    __table_args__ = (
        UniqueConstraint("destination", "sop_instance_uid"),
        Index(None, "state", "not_before"),
    )


class JobDeliveryRow(Table):
    """Which jobs wait for which deliveries: two jobs may make the same object."""

    __tablename__ = "job_deliveries"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.job_id"), primary_key=True)
    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.delivery_id"), primary_key=True, index=True
    )


class CommitmentRow(Table):
    """The proof of one accepted delivery: asked for, awaited, or done with."""

    __tablename__ = "commitments"

    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.delivery_id"), primary_key=True, autoincrement=False
    )
    destination: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    transaction_uid: Mapped[str] = mapped_column(UID)
    """The latest one that asked; empty before the first."""
    due_at: Mapped[datetime]
    """When to ask; when the answer is overdue, once it is asked for."""
    attempts: Mapped[int]
    losses: Mapped[int]
    accepted_at: Mapped[datetime]
    detail: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index(None, "state", "due_at"),)


class CommitmentTransactionRow(Table):
    """A Storage Commitment request to a destination; its answer may come after a restart."""

    __tablename__ = "commitment_transactions"

    transaction_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    destination: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class CommitmentItemRow(Table):
    """Which deliveries a transaction asks about, also after it was overdue."""

    __tablename__ = "commitment_items"

    transaction_uid: Mapped[str] = mapped_column(
        ForeignKey("commitment_transactions.transaction_uid"), primary_key=True
    )
    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.delivery_id"), primary_key=True, index=True, autoincrement=False
    )


class CommitmentRequestRow(Table):
    """A peer's request that this node commits to objects, until the peer has its answer."""

    __tablename__ = "commitment_requests"

    request_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    calling_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    transaction_uid: Mapped[str] = mapped_column(UID)
    objects: Mapped[list[list[str]]] = mapped_column(JSON)
    """Pairs of SOP Class UID and SOP Instance UID."""
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    not_before: Mapped[datetime]
    received_at: Mapped[datetime]
    error: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint("calling_ae_title", "transaction_uid"),
        Index(None, "state", "not_before"),
    )


class AssociationRow(Table):
    """An association that was asked for here, and what came of it."""

    __tablename__ = "associations"

    association_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    """Rises with time: the lowest are forgotten first."""
    token: Mapped[str] = mapped_column(String(32), unique=True)
    listener: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    address: Mapped[str] = mapped_column(Text)
    port: Mapped[int]
    """That of the node which was called."""
    tls: Mapped[str] = mapped_column(String(16))
    certificate: Mapped[str] = mapped_column(Text)
    calling_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    called_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    peer: Mapped[str] = mapped_column(String(64))
    result: Mapped[str] = mapped_column(String(16))
    rejection: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(Text)
    accepted: Mapped[dict[str, list[str]]] = mapped_column(JSON)
    """Transfer syntax -> SOP classes."""
    refused: Mapped[list[list[Any]]] = mapped_column(JSON)
    """[SOP class, reason, proposed transfer syntaxes] of each context."""
    objects_stored: Mapped[int]
    objects_refused: Mapped[int]
    bytes_stored: Mapped[int] = mapped_column(BigInteger)


class NegotiationRow(Table):
    """What a peer said to a SOP class in a transfer syntax, where it differs from before."""

    __tablename__ = "negotiations"

    negotiation_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    peer: Mapped[str] = mapped_column(String(64), index=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    accepted: Mapped[bool]
    negotiated_at: Mapped[datetime]


class DeletionRow(Table):
    """Something that the node removed from its disk; lines are only ever added."""

    __tablename__ = "deletions"

    deletion_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(String(32))
    objects: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class AuditAnchorRow(Table):
    """A record of the audit trail as it was once: the trail must still hold it."""

    __tablename__ = "audit_anchors"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sha256: Mapped[str] = mapped_column(String(64))
    noted_at: Mapped[datetime]


class PastStudyRow(Table):
    """What routing asks of a study that was assembled; it outlives the study's files."""

    __tablename__ = "past_studies"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    assembled_at: Mapped[datetime] = mapped_column(index=True)
    series: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """Of each: uid, modality, sop_class_uid, instances, places, attributes."""


class WebUserRow(Table):
    """A person who may use the web page."""

    __tablename__ = "web_users"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(Text)
    """Of argon2id; empty where somebody else proves who the person is."""
    must_change: Mapped[bool]
    """The password was given by another person and is good for one login."""
    language: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class WebSessionRow(Table):
    """A login that has not ended; the browser alone knows the token."""

    __tablename__ = "web_sessions"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("web_users.name", ondelete="CASCADE"), index=True)
    csrf_token: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(Text)
    began_at: Mapped[datetime]
    seen_at: Mapped[datetime]


class WebTokenRow(Table):
    """A token with which a program asks in the name of a user."""

    __tablename__ = "web_tokens"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("web_users.name", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class WebFailureRow(Table):
    """A failed login of late."""

    __tablename__ = "web_failures"

    failure_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    user: Mapped[str] = mapped_column(String(64), index=True)
    address: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[datetime] = mapped_column(index=True)


class FeedbackRow(Table):
    """An opinion on a result; rows are only ever added, and outlive jobs and files."""

    __tablename__ = "feedback"

    feedback_id: Mapped[int] = mapped_column(COUNTER, primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(String(64))
    """Digest of author, lesion and aspect: what versions are counted by."""
    version: Mapped[int]
    content_digest: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(16))
    voice: Mapped[str] = mapped_column(String(16))
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    job_id: Mapped[str] = mapped_column(String(64), index=True)  # no foreign key: jobs are purged
    bundle: Mapped[str] = mapped_column(Text)
    bundle_digest: Mapped[str] = mapped_column(String(64))
    tracking_uid: Mapped[str | None] = mapped_column(UID, index=True)
    region: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)
    said_at: Mapped[datetime] = mapped_column(index=True)
    recorded_at: Mapped[datetime]
    comment: Mapped[str] = mapped_column(Text)
    class_before: Mapped[str] = mapped_column(Text)
    class_after: Mapped[str] = mapped_column(Text)
    malignancy_probability: Mapped[float | None] = mapped_column(Double)
    outline: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    result_sop_instance_uid: Mapped[str] = mapped_column(UID)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    sop_instance_uid: Mapped[str] = mapped_column(UID, index=True)

    __table_args__ = (UniqueConstraint("subject", "version"),)


class HeardObjectRow(Table):
    """An object that was read for what it says of the result of a job; each is read once."""

    __tablename__ = "heard_objects"

    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    job_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    outcome: Mapped[str] = mapped_column(String(16))
    heard_at: Mapped[datetime]
