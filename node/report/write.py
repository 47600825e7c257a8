"""Entrance of the room: from a report to checked files."""

from collections.abc import Sequence
from pathlib import Path

import structlog
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.config.settings import ReportSettings
from node.domain.report import Evidence, EvidenceKind, Report
from node.domain.volume import Volume
from node.language import Readers, words_of
from node.report.capture import draw_capture
from node.report.encapsulated_pdf import build_encapsulated_pdf
from node.report.fault import ReportFault
from node.report.key_image import draw_overlay
from node.report.paper.document import write_paper
from node.report.probability import build_fractional, build_parametric_map
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr
from node.report.verify import check_seg_geometry

log = structlog.get_logger()

BUILDERS = {"fractional": build_fractional, "parametric_map": build_parametric_map}
"""Forms of the network's probability."""


def write_evidence(
    report: Report,
    volume: Volume,
    *,
    source_paths: Sequence[Path],
    pointing_paths: Sequence[Path] = (),
    out_dir: Path,
    prefix: str,
    settings: ReportSettings,
    readers: Readers | None = None,
) -> tuple[Evidence, ...]:
    """Build, verify and save the results of one series.

    Parameters
    ----------
    report : Report
    volume : Volume
        What the report was made from.
    source_paths : sequence of Path
        Files of the source series, in any order.
    pointing_paths : sequence of Path
        Objects in which somebody had pointed at the lesions; the report names them as evidence.
    out_dir : Path
        Made if it is missing.
    prefix : str
        Files are called ``<prefix>_seg.dcm``, ``<prefix>_sr.dcm``, ``<prefix>_overlay.png``,
        ``<prefix>_capture.png``, ``<prefix>_report.pdf`` and ``<prefix>_pdf.dcm``; those in another
        language than the node's have it in their names, e.g. ``<prefix>_report_zh.pdf``. With
        ``readers.maps`` also ``<prefix>_fractional.dcm`` and ``<prefix>_parametric_map.dcm``.
    settings : ReportSettings
    readers : Readers, optional
        Languages of pictures and PDF reports; English without PDF by default.

    Returns
    -------
    tuple of Evidence
        SEG (unless nothing was found and no empty one is wanted), SR, overlay, with a SEG the
        picture for a secondary capture, should an archive want one, and PDF reports.

    Raises
    ------
    ReportFault
        If the segmentation, read back from its file, is not the mask.
    """
    readers = readers or Readers()
    out_dir.mkdir(parents=True, exist_ok=True)
    sources = read_sources(source_paths, volume.source_uids)
    seg = build_seg(report, sources, settings=settings)
    pointing = [dcmread(path, stop_before_pixels=True) for path in pointing_paths]
    sr = build_sr(report, sources, seg, settings=settings, volume=volume, pointing=pointing)
    written = []
    if seg is not None:
        evidence = _save(seg, EvidenceKind.SEG, out_dir / f"{prefix}_seg.dcm")
        try:
            check_seg_geometry(dcmread(evidence.path), report.segmentation, sources)
        except ReportFault:
            evidence.path.unlink()
            raise
        written.append(evidence)
    written.append(_save(sr, EvidenceKind.SR, out_dir / f"{prefix}_sr.dcm"))
    objects = [f"{each.kind.upper()} {each.sop_instance_uid}" for each in written]
    overlay = out_dir / f"{prefix}_overlay.png"
    draw_overlay(volume, report, overlay, words=words_of(readers.language))
    written.append(Evidence(kind=EvidenceKind.OVERLAY, path=overlay))
    if seg is not None:
        for language in (readers.language, *readers.pictures):
            capture = out_dir / f"{prefix}_capture{readers.suffix(language)}.png"
            draw_capture(volume, report, capture, words=words_of(language))
            written.append(Evidence(kind=EvidenceKind.CAPTURE, path=capture))
    if seg is not None:
        for form in readers.maps:
            made = BUILDERS[form](report, sources, settings=settings)
            path = out_dir / f"{prefix}_{form}.dcm"
            made.save_as(path, enforce_file_format=True)
            # without UIDs: only destinations that want it get it, see the delivery ladder
            written.append(Evidence(kind=EvidenceKind(form), path=path))
    for language in readers.papers:
        try:
            pdf = write_paper(report, volume, sources[0], words=words_of(language), objects=objects)
        except ReportFault as fault:  # SEG and SR say it all, and go without
            log.error("report.no_paper", language=language, reason=str(fault))
            continue
        end = readers.suffix(language)
        paper = out_dir / f"{prefix}_report{end}.pdf"
        paper.write_bytes(pdf)
        written.append(Evidence(kind=EvidenceKind.PAPER, path=paper))
        made = build_encapsulated_pdf(pdf, report, sources, settings=settings)
        written.append(_save(made, EvidenceKind.PDF, out_dir / f"{prefix}_pdf{end}.dcm"))
    log.info(
        "report.written",
        series_instance_uid=volume.series_instance_uid,
        lesions=len(report.segmentation.lesions),
        sop_instance_uids=[each.sop_instance_uid for each in written if each.sop_instance_uid],
    )
    return tuple(written)


def _save(dataset: Dataset, kind: EvidenceKind, path: Path) -> Evidence:
    dataset.save_as(path, enforce_file_format=True)
    return Evidence(
        kind=kind,
        path=path,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
    )
