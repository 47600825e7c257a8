"""Entrance of the room: from a report to checked files."""

from collections.abc import Sequence
from pathlib import Path

import structlog
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.config.settings import ReportSettings
from node.domain.report import Evidence, EvidenceKind, Report
from node.domain.volume import Volume
from node.report.capture import draw_capture
from node.report.fault import ReportFault
from node.report.key_image import draw_overlay
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr
from node.report.verify import check_seg_geometry

log = structlog.get_logger()


def write_evidence(
    report: Report,
    volume: Volume,
    *,
    source_paths: Sequence[Path],
    pointing_paths: Sequence[Path] = (),
    out_dir: Path,
    prefix: str,
    settings: ReportSettings,
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
        Files are called ``<prefix>_seg.dcm``, ``<prefix>_sr.dcm``, ``<prefix>_overlay.png``, and
        ``<prefix>_capture.png``.
    settings : ReportSettings

    Returns
    -------
    tuple of Evidence
        SEG (unless nothing was found and no empty one is wanted), SR, overlay, and with a SEG the
        picture for a secondary capture, should an archive want one.

    Raises
    ------
    ReportFault
        If the segmentation, read back from its file, is not the mask.
    """
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
    overlay = draw_overlay(volume, report, out_dir / f"{prefix}_overlay.png")
    written.append(Evidence(kind=EvidenceKind.OVERLAY, path=overlay))
    if seg is not None:
        capture = draw_capture(volume, report, out_dir / f"{prefix}_capture.png")
        written.append(Evidence(kind=EvidenceKind.CAPTURE, path=capture))
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
