"""Entrance of the messages: from a report to files that are ready to be sent."""

import hashlib
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from node.domain.report import Evidence, EvidenceKind, Report
from node.domain.uid import derive_uid
from node.domain.volume import Volume
from node.report.messages.about import read_about
from node.report.messages.content import tell
from node.report.sources import read_sources


def write_messages(
    report: Report,
    volume: Volume,
    *,
    kinds: Collection[EvidenceKind],
    evidence: tuple[Evidence, ...],
    source_paths: Sequence[Path],
    out_dir: Path,
    prefix: str,
    at: datetime,
) -> tuple[Evidence, ...]:
    """Write the messages of a result.

    Parameters
    ----------
    report : Report
    volume : Volume
        What the report was made from.
    kinds : collection of EvidenceKind
        ``ORU`` and ``FHIR``, as far as they are wanted.
    evidence : tuple of Evidence
        Objects of the same result.
    source_paths : sequence of Path
        File of the first slice; more are fine. It tells whom and which order it is about.
    out_dir : Path
    prefix : str
        Files are called ``<prefix>_oru.hl7`` and ``<prefix>_fhir.json``.
    at : datetime
        When the result was made, aware.

    Returns
    -------
    tuple of Evidence
        Each with a UID that its content gives, times aside; no SOP Class: they are no objects.

    Raises
    ------
    ReportFault
        If a message is not valid.
    """
    if not kinds:
        return ()
    (header,) = read_sources(source_paths, volume.source_uids[:1])
    told = tell(report, read_about(header), evidence)
    written = []
    if EvidenceKind.ORU in kinds:
        from node.report.messages.oru import build_oru, control_id_of

        text = build_oru(told, at=at)
        place = out_dir / f"{prefix}_oru.hl7"
        place.write_bytes(text.encode())
        uid = derive_uid("oru", control_id_of(text))
        written.append(Evidence(kind=EvidenceKind.ORU, path=place, sop_instance_uid=uid))
    if EvidenceKind.FHIR in kinds:
        from node.report.messages.fhir import build_bundle

        bundle = build_bundle(told, at=at)
        place = out_dir / f"{prefix}_fhir.json"
        place.write_text(json.dumps(bundle, ensure_ascii=False, indent=1) + "\n", "utf-8")
        timeless = json.dumps(_without_times(bundle), sort_keys=True)
        uid = derive_uid("fhir", hashlib.sha256(timeless.encode()).hexdigest())
        written.append(Evidence(kind=EvidenceKind.FHIR, path=place, sop_instance_uid=uid))
    return tuple(written)


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        left_out = ("issued", "timestamp")
        return {key: _without_times(each) for key, each in value.items() if key not in left_out}
    return [_without_times(each) for each in value] if isinstance(value, list) else value
