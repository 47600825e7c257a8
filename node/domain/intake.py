"""What assembling found out of a study, and a job and its results have to say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from node.domain.study import Part


class Arrival(StrEnum):
    """Whether a study is all there."""

    COMPLETE = "COMPLETE"  # its source counts no more than arrived
    PROBABLY_COMPLETE = "PROBABLY COMPLETE"  # quiet, and without a gap; nobody counts
    INCOMPLETE = "INCOMPLETE"


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """How complete the series of a case are.

    Parameters
    ----------
    arrival : Arrival
    missing : int
        Images that are missing; 0 where their number is not known.
    limitations : tuple of str
        What that means for the result, in sentences.
    """

    arrival: Arrival = Arrival.PROBABLY_COMPLETE
    missing: int = 0
    limitations: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether a result covers only a part of what was acquired."""
        return self.arrival is Arrival.INCOMPLETE

    def __str__(self) -> str:
        return f"{self.arrival} ({self.missing} missing)" if self.missing else str(self.arrival)


@dataclass(frozen=True, kw_only=True)
class DocumentRef:
    """A structured report that was made before.

    Parameters
    ----------
    study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid : str
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What a job knows of the arrival of its study.

    Parameters
    ----------
    completeness : Completeness
    parts : tuple of (Part or None)
        Which volume was taken of each series of the job, None of a series that holds one.
    predecessor : DocumentRef or None
        Report of an earlier job on the same study, made before further images came.
    """

    completeness: Completeness = field(default_factory=Completeness)
    parts: tuple[Part | None, ...] = ()
    predecessor: DocumentRef | None = None

    def part(self, place: int) -> Part | None:
        """Which volume was taken of the series at a place of the job, from 0."""
        return self.parts[place] if place < len(self.parts) else None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(
        cls, value: Mapping[str, Any] | None, series_instance_uids: Sequence[str] = ()
    ) -> "Intake":
        """Read what ``to_json`` gave; of a job without it, what is known of old ones: nothing.

        Jobs of the first versions have a mapping from ``series_instance_uids`` for parts.
        """
        if not value:
            return cls()
        told, parts = value["completeness"], value["parts"]
        if isinstance(parts, Mapping):
            parts = [parts.get(uid) for uid in series_instance_uids]
        return cls(
            completeness=Completeness(
                arrival=Arrival(told["arrival"]),
                missing=int(told["missing"]),
                limitations=tuple(told["limitations"]),
            ),
            parts=tuple(None if part is None else Part(**part) for part in parts),
            predecessor=DocumentRef(**value["predecessor"]) if value["predecessor"] else None,
        )
