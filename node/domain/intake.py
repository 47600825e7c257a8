"""What assembling found out of a study, and a job and its results have to say of it."""

from collections.abc import Mapping
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
    parts : mapping of str to Part
        Series Instance UID -> which of its volumes was taken, for series that hold several.
    predecessor : DocumentRef or None
        Report of an earlier job on the same study, made before further images came.
    """

    completeness: Completeness = field(default_factory=Completeness)
    parts: Mapping[str, Part] = field(default_factory=dict)
    predecessor: DocumentRef | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> "Intake":
        """Read what ``to_json`` gave; of a job without it, what is known of old ones: nothing."""
        if not value:
            return cls()
        told = value["completeness"]
        return cls(
            completeness=Completeness(
                arrival=Arrival(told["arrival"]),
                missing=int(told["missing"]),
                limitations=tuple(told["limitations"]),
            ),
            parts={uid: Part(**part) for uid, part in value["parts"].items()},
            predecessor=DocumentRef(**value["predecessor"]) if value["predecessor"] else None,
        )
