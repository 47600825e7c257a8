"""Opinions on results."""

from datetime import UTC, datetime
from typing import Any

from node.domain.feedback import FeedbackKind, FeedbackSource, Opinion

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def make_opinion(**values: Any) -> Opinion:
    """A user of the web page agrees with a lesion that was called malignant."""
    return Opinion(
        **{
            "kind": FeedbackKind.AGREE,
            "source": FeedbackSource.WEB,
            "study_instance_uid": "1.2",
            "job_id": "j1",
            "bundle": "brain",
            "author": "anna",
            "at": NOON,
            "tracking_uid": "2.25.1",
            "class_before": "Malignant",
            **values,
        }
    )
