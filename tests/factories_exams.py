"""Examinations of a sample patient as DICOM, with SEG and SR made from the reference mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from factories_priors import segment_mask
from factories_report import MODEL

from node.assemble.folder import read_folder
from node.assemble.validate import check_series
from node.bootstrap.priors.looking import look_in_folders
from node.compare.exams import compare_exams
from node.config.settings import ReportSettings
from node.domain.prior import Comparison
from node.domain.report import Evidence, EvidenceKind, ModelIdentity, Report
from node.domain.segmentation import Segmentation
from node.domain.study import Series
from node.emulate.phantom import WrittenSeries
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr
from node.volume.read import read_volume

OUTLINER = replace(MODEL, classifier_name="")
PATIENT = {"PatientID": "P1", "PatientBirthDate": "19600101", "PatientSex": "F"}
FIRST_DAY, NEXT_DAY = "20240102", "20240402"


@dataclass(frozen=True, kw_only=True)
class Exam:
    """What one visit left behind.

    Parameters
    ----------
    series : Series
        Checked.
    segmentation : Segmentation
        Of the reference mask.
    images, results : Path
        Folders.
    comparison : Comparison or None
        With the earlier visits that were at hand.
    """

    series: Series
    segmentation: Segmentation
    images: Path
    results: Path
    evidence: tuple[Evidence, ...]
    comparison: Comparison | None = None

    def file(self, kind: EvidenceKind) -> Path:
        """The result of a kind."""
        return next(each.path for each in self.evidence if each.kind is kind)


def headers_of(day: str, **changed: str) -> Mapping[str, Any]:
    """Headers of a visit of the patient."""
    return {**PATIENT, "StudyDate": day, **changed}


def finish_exam(
    written: WrittenSeries,
    folder: Path,
    *,
    is_empty: bool = False,
    model: ModelIdentity = OUTLINER,
    earlier: Sequence[Exam] = (),
    **told: Any,
) -> Exam:
    """Report what the mask of a written series shows, or nothing; beside earlier visits."""
    images = written.paths[0].parent
    (study,) = read_folder(images)
    series = check_series(study.series[0], minimum_slices=3)
    volume = read_volume(series)
    mask = written.mask_of(volume.source_uids)
    segmentation = segment_mask(volume, mask & (not is_empty))
    if earlier:
        folders = [folder for each in earlier for folder in (each.images, each.results)]
        prior = look_in_folders(folders, series, model).prior
        assert prior is not None
        assert prior.series is not None
        compared = compare_exams(volume, segmentation, prior, read_volume(prior.series))
        segmentation = compared.segmentation
        told["comparison"] = compared.comparison
    report = Report(segmentation=segmentation, findings=(), model=model, **told)
    results = folder / "results"
    results.mkdir(parents=True)
    sources = read_sources(written.paths, volume.source_uids)
    seg = build_seg(report, sources, settings=ReportSettings())
    sr = build_sr(report, sources, seg, settings=ReportSettings(), volume=volume)
    evidence = []
    for dataset, kind in ((seg, EvidenceKind.SEG), (sr, EvidenceKind.SR)):
        if dataset is not None:
            path = results / f"{model.name}_{kind.value}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            evidence.append(Evidence(kind=kind, path=path, sop_class_uid=str(dataset.SOPClassUID)))
    return Exam(
        series=series,
        segmentation=segmentation,
        images=images,
        results=results,
        evidence=tuple(evidence),
        comparison=told.get("comparison"),
    )
