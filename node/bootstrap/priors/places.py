"""Where earlier examinations may be: one protocol, and the folders of a person."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Protocol

from node.assemble.earlier_report import SR_CLASSES, EarlierReport
from node.assemble.folder import scan_folder
from node.dicom.patient import StudyIdentity
from node.domain.intake import DocumentRef
from node.domain.study import InstanceRef


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Whose earlier examinations are sought, and by which model.

    Parameters
    ----------
    identity : StudyIdentity
        Of the present study.
    study_instance_uid, modality : str
    study_date : date or None
    bundle, version, digest : str
        Of the model that will be compared; the bundle's name stands for its task.
    """

    identity: StudyIdentity
    study_instance_uid: str
    modality: str
    study_date: date | None
    bundle: str
    version: str
    digest: str


class Place(Protocol):
    """A place that may hold earlier examinations.

    Methods may raise any error of the node's own tree; the caller makes a remark of it.
    """

    @property
    def origin(self) -> str:
        """Say in words where it is."""

    @property
    def remarks(self) -> Sequence[str]:
        """Tell what a reader should know of the search."""

    def reports(self, sought: Sought) -> Iterable[Path]:
        """Return files that may be reports about the patient."""

    def segmentation(self, report: EarlierReport) -> Path | None:
        """Return the file of the SEG of a report."""

    def images(self, report: EarlierReport) -> Sequence[InstanceRef | Path]:
        """Return the images that a report speaks of."""


@dataclass(kw_only=True, eq=False)
class Folders:
    """Folders, or single reports beside their objects, that a person has named.

    Parameters
    ----------
    paths : sequence of Path
        Folders are read at any depth; of a file its folder is, but no other report counts.
    """

    paths: Sequence[Path]
    remarks: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """Say in words where it is."""
        return "a folder"

    @cached_property
    def _instances(self) -> dict[str, list[tuple[str, InstanceRef]]]:
        """Series Instance UID -> SOP Class UID and instance."""
        found: dict[str, list[tuple[str, InstanceRef]]] = defaultdict(list)
        seen = set()
        for path in self.paths:
            for study in scan_folder(path if path.is_dir() else path.parent).studies:
                for series in study.series:
                    for instance in series.instances:
                        if instance.sop_instance_uid not in seen:
                            seen.add(instance.sop_instance_uid)
                            told = (instance.sop_class_uid, instance)
                            found[series.series_instance_uid].append(told)
        return found

    def reports(self, sought: Sought) -> Iterable[Path]:  # noqa: ARG002 - a person has chosen
        """Return every structured report below the folders, and the named ones."""
        folders = [path for path in self.paths if path.is_dir()]
        named = {path.resolve() for path in self.paths if path.is_file()}
        return [
            instance.path
            for members in self._instances.values()
            for sop_class_uid, instance in members
            if sop_class_uid in SR_CLASSES
            and (
                instance.path.resolve() in named
                or any(instance.path.is_relative_to(folder) for folder in folders)
            )
        ]

    def segmentation(self, report: EarlierReport) -> Path | None:
        """Return the file of the SEG of a report."""
        return find_document(report.segmentation, self._instances)

    def images(self, report: EarlierReport) -> Sequence[InstanceRef | Path]:
        """Return the images that a report speaks of."""
        return [instance for _, instance in self._instances.get(report.series_instance_uid, ())]


def find_document(
    document: DocumentRef | None, instances: dict[str, list[tuple[str, InstanceRef]]]
) -> Path | None:
    """Return the file of an object among those of its series."""
    for _, instance in instances.get(document.series_instance_uid, ()) if document else ():
        if document and instance.sop_instance_uid == document.sop_instance_uid:
            return instance.path
    return None
