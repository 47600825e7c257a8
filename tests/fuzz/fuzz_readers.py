"""What people and other nodes say of results, damaged: readers' objects, and earlier reports."""

import atexit
import math
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from factories_labels import square, write_rtstruct
from factories_opinions import write_human_seg, write_human_sr, write_rejection
from factories_report import axes, make_labels, make_report, make_series
from fuzz_pieces import Changes, pick
from fuzz_seeds import Seed, seed_of, write_damaged
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from node.assemble.earlier_masks import read_lesion_points
from node.assemble.earlier_report import read_earlier_report
from node.config.settings import ReportSettings
from node.domain.errors import InputRejected
from node.domain.finding import BENIGN
from node.domain.report import EvidenceKind
from node.domain.study import InstanceRef
from node.feedback.hear import Outcome, hear
from node.feedback.own_results import OwnLesion, OwnResult
from node.report.write import write_evidence

SHAPE = (4, 24, 20)
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Delivered:
    """A result on disk: what the node made, and what readers made of it, as seeds."""

    result: OwnResult
    own: tuple[Seed, Seed]
    said: tuple[tuple[Seed, str], ...]  # and its SOP class


@cache
def delivered() -> Delivered:
    """Write a result of two lesions once in a process."""
    folder = Path(mkdtemp(prefix="onconode-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    grid = axes(shape=SHAPE)
    series = make_series(folder / "study", grid)
    labels = make_labels(SHAPE, 2)
    report = make_report(series.volume, labels)
    evidence = write_evidence(
        report,
        series.volume,
        source_paths=list(series.paths),
        out_dir=folder,
        prefix="own",
        settings=ReportSettings(),
    )
    paths = {item.kind: item.path for item in evidence}
    seg, sr = paths[EvidenceKind.SEG], paths[EvidenceKind.SR]
    lesions = report.segmentation.lesions
    masks = [labels == lesion.number for lesion in lesions]
    said = [folder / name for name in ("human.dcm", "drawn.dcm", "sr.dcm", "note.dcm")]
    write_human_seg(said[0], series, masks, tracking_uids=[each.tracking_uid for each in lesions])
    write_human_sr(said[2], series, seg, {1: BENIGN})
    write_rejection(said[3], [seg, sr])
    write_rtstruct(said[1], series, {"GTV": [square(grid, k, (6, 12), (4, 9)) for k in range(3)]})
    result = OwnResult(
        job_id="j",
        study_instance_uid=series.volume.study_instance_uid,
        bundle="b",
        objects={item.sop_instance_uid: item.kind.value for item in evidence},
        seg_uid=next(i.sop_instance_uid for i in evidence if i.kind is EvidenceKind.SEG),
        seg_path=seg,
        frame_of_reference_uids=frozenset({series.volume.frame_of_reference_uid}),
        lesions=tuple(
            OwnLesion(number=each.number, tracking_uid=each.tracking_uid, assessment="Malignant")
            for each in lesions
        ),
    )
    return Delivered(
        result=result,
        own=(seed_of(seg), seed_of(sr)),
        said=tuple((seed_of(path), str(dcmread(path).SOPClassUID)) for path in said),
    )


def fuzz_reader_objects(changes: Changes, folder: Path) -> None:
    """SEG, RTSTRUCT, SR and rejection notes of people: opinions, or what is wrong; never raised."""
    there = delivered()
    seed, sop_class_uid = pick(changes, there.said)
    path = write_damaged(folder / "said.dcm", seed, changes)
    instance = InstanceRef(
        sop_instance_uid="1.2.3",
        sop_class_uid=sop_class_uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        path=path,
        sha256="",
    )
    heard = hear(instance, there.result, device_uids=(), received_at=AT)
    assert heard.outcome is not Outcome.OWN
    assert bool(heard.opinions) is (heard.outcome is Outcome.OPINION)
    if not changes:
        assert heard.opinions
    for opinion in heard.opinions:
        outline = opinion.outline
        assert outline is None or 0 <= outline.dice <= 1
        assert opinion.at.tzinfo is not None


def fuzz_earlier_report(changes: Changes, folder: Path) -> None:
    """SR and SEG of an earlier examination, as an archive gives them back: read, or left out."""
    seg, sr = delivered().own
    report = read_earlier_report(write_damaged(folder / "sr.dcm", sr, changes))
    if not changes:
        assert report is not None
    for lesion in () if report is None else (*report.lesions, *report.unseen):
        assert 0 <= lesion.volume_ml < math.inf
        assert 0 <= lesion.long_axis_mm < math.inf
        assert all(map(math.isfinite, lesion.place_lps_mm or ()))
    with suppress(InputRejected):
        points = read_lesion_points(write_damaged(folder / "seg.dcm", seg, changes))
        assert all(np.isfinite(each).all() for each in points.values())
