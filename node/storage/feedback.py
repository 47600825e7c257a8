"""The store of what people say of results: added to, never changed."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Engine, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from node.domain.feedback import (
    Feedback,
    FeedbackAspect,
    FeedbackKind,
    FeedbackSource,
    Opinion,
    OutlineAgreement,
    Voice,
)
from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import FeedbackRow

ATTEMPTS = 5
"""PostgreSQL: another process may number a version of the same subject at the same moment."""


@dataclass(frozen=True, kw_only=True)
class Added:
    """What became of an opinion.

    Parameters
    ----------
    feedback : Feedback
        As it is kept.
    is_new : bool
        False where just this is kept already.
    """

    feedback: Feedback
    is_new: bool


class FeedbackStore:
    """Opinions with their versions.

    Parameters
    ----------
    engine : Engine
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def add(self, opinion: Opinion) -> Added:
        """Keep an opinion; a later one of the same author on the same supersedes the earlier.

        What is already the author's latest word adds nothing: a click repeated. Nor does an
        object that was heard before, whenever it comes again.
        """
        for attempt in range(ATTEMPTS):
            try:
                with writing(self._engine) as session:
                    return self._add(session, opinion)
            except IntegrityError:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def list(
        self,
        *,
        study: str | None = None,
        job: str | None = None,
        tracking_uid: str | None = None,
        author: str | None = None,
        bundle: str | None = None,
        kinds: Iterable[FeedbackKind] = (),
        voice: Voice | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        superseded: bool = False,
        limit: int | None = None,
    ) -> tuple[Feedback, ...]:
        """Return what was said, the latest first.

        Parameters
        ----------
        study, job, tracking_uid, author, bundle : str, optional
            Only of these.
        kinds : iterable of FeedbackKind
            Only these; all without any.
        voice : Voice, optional
            Only of people, or only of algorithms.
        since, before : datetime, optional
            Bounds of when it was said; ``before`` is not included.
        superseded : bool
            Also what its author has taken back by a later word.
        limit : int, optional
        """
        asked = {
            FeedbackRow.study_instance_uid: study,
            FeedbackRow.job_id: job,
            FeedbackRow.tracking_uid: tracking_uid,
            FeedbackRow.author: author,
            FeedbackRow.bundle: bundle,
            FeedbackRow.voice: None if voice is None else voice.value,
        }
        query = select(FeedbackRow, _is_current().label("is_current"))
        query = query.where(
            *(column == value for column, value in asked.items() if value is not None)
        )
        wanted = [kind.value for kind in kinds]
        if wanted:
            query = query.where(FeedbackRow.kind.in_(wanted))
        if since is not None:
            query = query.where(FeedbackRow.said_at >= since)
        if before is not None:
            query = query.where(FeedbackRow.said_at < before)
        if not superseded:
            query = query.where(_is_current())
        query = query.order_by(FeedbackRow.said_at.desc(), FeedbackRow.feedback_id.desc())
        with reading(self._engine) as session:
            rows = session.execute(query.limit(limit)).all()
            return tuple(_feedback_of(row, is_current=bool(current)) for row, current in rows)

    def get(self, feedback_id: int) -> Feedback:
        """Return one; KeyError if there is none of that number."""
        query = select(FeedbackRow, _is_current()).where(FeedbackRow.feedback_id == feedback_id)
        with reading(self._engine) as session:
            found = session.execute(query).one_or_none()
            if found is None:
                raise KeyError(feedback_id)
            return _feedback_of(found[0], is_current=bool(found[1]))

    def history(self, feedback_id: int) -> tuple[Feedback, ...]:
        """Return every version of an opinion, the first first; KeyError if there is none."""
        subject = (
            select(FeedbackRow.subject)
            .where(FeedbackRow.feedback_id == feedback_id)
            .scalar_subquery()
        )
        query = select(FeedbackRow, _is_current()).where(FeedbackRow.subject == subject)
        with reading(self._engine) as session:
            rows = session.execute(query.order_by(FeedbackRow.version)).all()
            if not rows:
                raise KeyError(feedback_id)
            return tuple(_feedback_of(row, is_current=bool(current)) for row, current in rows)

    def _add(self, session: Session, opinion: Opinion) -> Added:
        subject, digest = _subject(opinion), _digest(opinion)
        versions = session.scalars(
            select(FeedbackRow).where(FeedbackRow.subject == subject).order_by(FeedbackRow.version)
        ).all()
        latest = max(versions, key=_order, default=None)
        if opinion.sop_instance_uid:
            same = [row for row in versions if row.sop_instance_uid == opinion.sop_instance_uid]
        else:
            same = [row for row in (latest,) if row is not None and row.content_digest == digest]
        if same:
            kept = _feedback_of(same[-1], is_current=same[-1] is latest)
            return Added(feedback=kept, is_new=False)
        row = _row_of(opinion)
        row.subject, row.content_digest = subject, digest
        row.version = len(versions) + 1
        row.recorded_at = self._now()
        session.add(row)
        session.flush()
        is_current = max([*versions, row], key=_order) is row
        return Added(feedback=_feedback_of(row, is_current=is_current), is_new=True)


def _order(row: FeedbackRow) -> tuple[datetime, int]:
    return row.said_at, row.version


def _is_current() -> ColumnElement[bool]:
    """Nothing of the same subject was said later, or as late and heard later."""
    other = aliased(FeedbackRow)
    later = (other.said_at > FeedbackRow.said_at) | (
        (other.said_at == FeedbackRow.said_at) & (other.version > FeedbackRow.version)
    )
    return ~exists().where(other.subject == FeedbackRow.subject, later)


def _subject(opinion: Opinion) -> str:
    lesion = opinion.tracking_uid or f"region {opinion.region}"
    if not opinion.tracking_uid and opinion.author.startswith("("):
        # nobody is named, and tools call every first segment alike: other readers, other lesions
        lesion = f"{lesion} of {opinion.sop_instance_uid}"
    aspect = opinion.aspect
    if aspect is FeedbackAspect.RESULT:
        lesion = opinion.result_sop_instance_uid
    parts = (opinion.author, opinion.voice.value, opinion.job_id, aspect.value, lesion)
    return sha256("\0".join(parts).encode()).hexdigest()


def _digest(opinion: Opinion) -> str:
    """Of what is said, not of when."""
    said = {key: value for key, value in asdict(opinion).items() if key != "at"}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


PLAIN = (
    "study_instance_uid",
    "job_id",
    "bundle",
    "bundle_digest",
    "author",
    "tracking_uid",
    "region",
    "comment",
    "class_before",
    "class_after",
    "malignancy_probability",
    "result_sop_instance_uid",
    "sop_class_uid",
    "sop_instance_uid",
)
"""Columns that are in an opinion by the same name."""


def _row_of(opinion: Opinion) -> FeedbackRow:
    return FeedbackRow(
        kind=opinion.kind.value,
        source=opinion.source.value,
        voice=opinion.voice.value,
        said_at=opinion.at,
        outline=None if opinion.outline is None else asdict(opinion.outline),
        **{name: getattr(opinion, name) for name in PLAIN},
    )


def _feedback_of(row: FeedbackRow, *, is_current: bool) -> Feedback:
    values: dict[str, Any] = {name: getattr(row, name) for name in PLAIN}
    return Feedback(
        feedback_id=row.feedback_id,
        version=row.version,
        recorded_at=row.recorded_at,
        is_current=is_current,
        opinion=Opinion(
            kind=FeedbackKind(row.kind),
            source=FeedbackSource(row.source),
            voice=Voice(row.voice),
            at=row.said_at,
            outline=None if row.outline is None else OutlineAgreement(**row.outline),
            **values,
        ),
    )
