"""Stand-ins for the delivery ladder: made by the dispatcher from the stored result.

What needs the voxels (SEG, SR, pictures) was made by the worker. The rest is derived from these
files when a destination turns out to need it, which most never do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from secrets import token_hex

import structlog
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from node.bootstrap.parts import Parts
from node.bootstrap.readers import language_of
from node.deliver.ladder import AUTO, KEY_OBJECT, PAPER, REPORTS, WITHOUT_SEGMENTS, Ladder
from node.dicom.damage import DAMAGED
from node.domain.errors import SetupFault, TryLater
from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import Delivery
from node.jobs.ledger import Ledger
from node.report.fault import ReportFault
from node.storage.spool import IncomingFile, Spool

log = structlog.get_logger()

KINDS = {
    "rtstruct": EvidenceKind.RTSTRUCT,
    "secondary_capture": EvidenceKind.SC,
    KEY_OBJECT: EvidenceKind.KO,
    "labelmap": EvidenceKind.LABELMAP,
}
KEPT_BESIDE = (EvidenceKind.FRACTIONAL, EvidenceKind.PARAMETRIC_MAP)
"""The worker has made them, where a destination wanted them then."""


def ladder_of(parts: Parts, owner: str) -> Ladder:
    """Return the ladder of a node, for whoever holds the deliveries."""
    maker = StandInMaker(
        ledger=parts.ledger,
        spool=parts.spool,
        language_of=lambda name: language_of(parts.settings, name),
    )
    return Ladder(
        ledger=parts.ledger, owner=owner, make=maker.make, accepted=parts.negotiations.accepted
    )


@dataclass(frozen=True, kw_only=True)
class StandInMaker:
    """Makes other forms of results, beside them in their folder.

    Making one again writes the same bytes under the same name, so a crash before the ledger knows
    of it costs nothing.

    Parameters
    ----------
    ledger : Ledger
    spool : Spool
    language_of : callable
        Gives the language that a destination wants by its name; empty where it wants none.
    """

    ledger: Ledger
    spool: Spool
    language_of: Callable[[str], str] = field(default=lambda _name: "")

    def make(self, delivery: Delivery, form: str) -> tuple[Evidence, ...]:
        """Make a form of what a delivery holds; see ``node.deliver.ladder`` for their names.

        Raises
        ------
        SetupFault
            If a file of the result is gone or damaged.
        TryLater
            If the disk does not do its work now.
        """
        try:
            if form == WITHOUT_SEGMENTS or form in REPORTS:
                return self._make_report(delivery, form)
            if form in KEPT_BESIDE:
                return self._find_beside(self._root_of(delivery), EvidenceKind(form))
            if form == PAPER:
                return self._find_paper(delivery)
            return self._make_picture(delivery, form)
        except (FileNotFoundError, InvalidDicomError) as error:
            raise SetupFault(f"{form}: a file of the result is gone or damaged") from error
        except (*DAMAGED, ReportFault) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise TryLater(f"{form}: {type(error).__name__}") from error
            log.exception("stand_in.failed", form=form, sop_instance_uid=delivery.sop_instance_uid)
            raise SetupFault(f"{form}: {type(error).__name__}") from error

    def _make_report(self, delivery: Delivery, form: str) -> tuple[Evidence, ...]:
        from node.report.sr_forms import recast_sr, without_segments

        sr = dcmread(delivery.path)
        made = without_segments(sr) if form == WITHOUT_SEGMENTS else recast_sr(sr, REPORTS[form])
        if made is sr:
            return (_evidence(sr, EvidenceKind.SR, delivery.path),)
        place = delivery.path.with_name(f"{delivery.path.stem}_{form}.dcm")
        return (keep_object(self.spool, made, EvidenceKind.SR, place),)

    def _make_picture(self, delivery: Delivery, form: str) -> tuple[Evidence, ...]:
        # highdicom and scikit-image, which most dispatchers never need
        from node.report.capture import read_capture
        from node.report.key_object import build_key_object
        from node.report.labelmap import build_labelmap, fits_binary_readers
        from node.report.rtstruct import build_rtstruct
        from node.report.secondary_capture import build_secondary_capture

        root, end = self._root_of(delivery), ""
        seg, prefix = dcmread(root), root.stem.removesuffix("_seg")
        if form == AUTO and fits_binary_readers(int(seg.Rows), int(seg.Columns)):
            return (_evidence(seg, EvidenceKind.SEG, root),)
        if form in (AUTO, "labelmap"):
            made = [("labelmap", build_labelmap(seg))]
        elif form == "rtstruct":
            made = [(form, build_rtstruct(seg))]
        else:
            shown = self._in_language(root.with_name(f"{prefix}_capture.png"), delivery)
            picture, end = read_capture(shown), shown.stem.removeprefix(f"{prefix}_capture")
            capture = build_secondary_capture(picture, seg)
            made = [(form, capture), (KEY_OBJECT, build_key_object(seg, capture))]
        return tuple(
            keep_object(
                self.spool, dataset, KINDS[name], root.with_name(f"{prefix}_{name}{end}.dcm")
            )
            for name, dataset in made
        )

    def _find_beside(self, root: Path, kind: EvidenceKind) -> tuple[Evidence, ...]:
        place = root.with_name(f"{root.stem.removesuffix('_seg')}_{kind}.dcm")
        if not place.is_file():  # the settings are younger than the result
            log.warning("stand_in.not_made_with_the_result", form=kind.value)
            return ()
        return (_evidence(dcmread(place, stop_before_pixels=True), kind, place),)

    def _find_paper(self, delivery: Delivery) -> tuple[Evidence, ...]:
        root = self._root_of(delivery)
        prefix = root.stem.removesuffix("_sr")
        place = self._in_language(root.with_name(f"{prefix}_pdf.dcm"), delivery)
        if not place.is_file():  # the settings are younger than the result
            log.warning("stand_in.not_made_with_the_result", form=PAPER)
            return ()
        header = dcmread(place, stop_before_pixels=True)
        return (_evidence(header, EvidenceKind.PDF, place),)

    def _in_language(self, place: Path, delivery: Delivery) -> Path:
        """Return a file in the language of a destination, if it is there, else in the node's."""
        language = self.language_of(delivery.destination)
        other = place.with_name(f"{place.stem}_{language}{place.suffix}")
        return other if language and other.is_file() else place

    def _root_of(self, delivery: Delivery) -> Path:
        """Return the file of the SEG at the top of the ladder."""
        linked = self.ledger.deliveries(delivery.job_id)
        by_uid = {
            each.sop_instance_uid: each
            for each in linked
            if each.destination == delivery.destination
        }
        while delivery.stands_for in by_uid:
            delivery = by_uid[delivery.stands_for]
        return delivery.path


def keep_object(spool: Spool, dataset: Dataset, kind: EvidenceKind, place: Path) -> Evidence:
    """Write an object so that it is whole and durable, or not there."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    temporary = IncomingFile(place.with_name(f".{place.name}.{token_hex(4)}"))
    temporary.write(buffer.getvalue())
    spool.keep(temporary, place)
    return _evidence(dataset, kind, place)


def _evidence(dataset: Dataset, kind: EvidenceKind, place: Path) -> Evidence:
    return Evidence(
        kind=kind,
        path=place,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
    )
