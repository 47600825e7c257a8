"""What was received: instances, series and studies, by reference to files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node.domain.geometry import Geometry


@dataclass(frozen=True, kw_only=True)
class InstanceRef:
    """A stored SOP instance.

    Parameters
    ----------
    sop_instance_uid, sop_class_uid, transfer_syntax_uid : str
        As negotiated and checked on receipt.
    path : Path
        DICOM Part 10 file that holds it.
    sha256 : str
        Hex digest of the data set as received (without file meta).
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    path: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SliceRef:
    """Where slice ``k`` of a checked series is stored.

    Parameters
    ----------
    source_uid : str
        SOP Instance UID of the object.
    frame : int
        Frame number (1-based) in it; 1 for single-frame objects.
    """

    source_uid: str
    frame: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of several volumes that a series holds: an echo, a b-value, a temporal position ...

    Parameters
    ----------
    labels : mapping of str to str
        DICOM keyword -> value that its images share and those of other parts do not; empty where
        they have none.
    number, of : int
        Which it is, from 1, in the order of the values, and of how many.
    chosen_by : str
        ``"rule"``, or ``"default"`` where the rule does not say.
    """

    labels: Mapping[str, str]
    number: int
    of: int
    chosen_by: str = "default"

    def __str__(self) -> str:
        told = ", ".join(f"{keyword} {value or 'none'}" for keyword, value in self.labels.items())
        return f"volume {self.number} of {self.of} in the series: {told}"


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series with the attributes that routing rules and readers ask for.

    Parameters
    ----------
    series_instance_uid, study_instance_uid, modality : str
        As in the headers.
    instances : tuple of InstanceRef
        In the order of their position along the normal once geometry was checked.
    attributes : mapping of str to str
        DICOM keyword -> text of the first instance (``SeriesDescription``, ``BodyPartExamined``,
        ``ImageType`` with backslashes ...). Holds no patient attributes.
    slices : tuple of SliceRef
        Slice by slice along the normal; empty until geometry was checked.
    geometry : Geometry or None
        Grid of those slices; None until geometry was checked.
    places : int
        Distinct positions of its images; 0 if they have none, or it was not looked at.
    part : Part or None
        Which of several volumes was taken; None where the series holds one.
    missing_slices : int
        About how many are missing in gaps, of a checked series that was taken all the same.
    """

    series_instance_uid: str
    study_instance_uid: str
    modality: str
    instances: tuple[InstanceRef, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)
    slices: tuple[SliceRef, ...] = ()
    geometry: Geometry | None = None
    places: int = 0
    part: Part | None = None
    missing_slices: int = 0


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that was received of one study.

    Parameters
    ----------
    study_instance_uid : str
        Study Instance UID.
    series : tuple of Series
        Every series, also those that no rule will use.
    calling_ae_title : str
        AE title of the sender of the latest object; empty for files read from a folder.
    """

    study_instance_uid: str
    series: tuple[Series, ...]
    calling_ae_title: str = ""
