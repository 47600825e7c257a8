"""Earlier examinations that this node has received and processed itself, and not yet purged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.assemble.earlier_report import EarlierReport
from node.bootstrap.parts import Parts
from node.bootstrap.priors.places import Sought
from node.dicom.patient import read_patient_id
from node.domain.study import InstanceRef
from node.jobs.past_results import past_results


@dataclass(kw_only=True, eq=False)
class OwnArchive:
    """Results and received objects of this node.

    Parameters
    ----------
    parts : Parts
    """

    parts: Parts
    remarks: list[str] = field(default_factory=list)
    _folder_of: dict[str, Path] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """Say in words where it is."""
        return "this node"

    def reports(self, sought: Sought) -> Iterator[Path]:
        """Yield the reports of the model's task about the patient; of others the ID is read."""
        done = past_results(
            self.parts.engine, sought.bundle, other_than_study=sought.study_instance_uid
        )
        for result in done:
            for path in sorted((self.parts.spool.results / result.job_id).rglob("*_sr.dcm")):
                if read_patient_id(path) == sought.identity.patient_id:
                    self._folder_of[result.study_instance_uid] = path.parent
                    yield path

    def segmentation(self, report: EarlierReport) -> Path | None:
        """Return the file of the SEG of a report, which lies beside it."""
        folder = self._folder_of.get(report.document.study_instance_uid)
        return next(iter(sorted(folder.glob("*_seg.dcm"))), None) if folder else None

    def images(self, report: EarlierReport) -> Sequence[InstanceRef | Path]:
        """Return the images as they were received; none if they were purged."""
        return [
            item.instance
            for item in self.parts.store.received_of(report.document.study_instance_uid)
            if item.series_instance_uid == report.series_instance_uid
        ]
