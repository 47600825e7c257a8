"""Can this series become a volume? Every fault is told, at once.

The checks are of two kinds: each object by itself (``faults_of_objects``) and the stack that the
planes form (``node.assemble.stack``).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import prod

import structlog
from pydicom import uid

from node.assemble.parts import Taken, find_part, take_part
from node.assemble.planes import ImageHeader, read_image_header
from node.assemble.stack import Stack, build_stack
from node.config.settings import PartChoice
from node.dicom.damage import DAMAGED
from node.dicom.limits import MAXIMUM_FRAME_PIXELS, MAXIMUM_VOXELS
from node.dicom.pixels import PixelsRefused
from node.domain.errors import InputRejected, Problem
from node.domain.study import Part, Series, SliceRef

log = structlog.get_logger()

SOP_CLASSES = frozenset(
    {
        uid.CTImageStorage,
        uid.EnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedCTImageStorage,
        uid.MRImageStorage,
        uid.EnhancedMRImageStorage,
        uid.LegacyConvertedEnhancedMRImageStorage,
    }
)
"""Storage classes that can become a volume."""

TRANSFER_SYNTAXES = frozenset(
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEGBaseline8Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
        uid.HTJ2KLossless,
        uid.HTJ2KLosslessRPCL,
        uid.HTJ2K,
    }
)
"""Transfer syntaxes that the installed decoders read.

JPEG Extended (12 bit, lossy) is not among them: only a GPL-licensed decoder reads it.
"""

_GREY = ("MONOCHROME1", "MONOCHROME2")


ANY_PART = PartChoice()
"""What is taken of a series that holds several volumes where no rule says."""


def check_series(
    series: Series,
    *,
    minimum_slices: int,
    choice: PartChoice | Part = ANY_PART,
    let_gaps_pass: bool = False,
) -> Series:
    """Check headers and geometry; return the series ordered along its normal.

    Parameters
    ----------
    series : Series
        As read from headers, in any order.
    minimum_slices : int
        Fewer slices are refused.
    choice : PartChoice or Part
        Which volume is taken of a series that holds several; or the one that was taken before.
    let_gaps_pass : bool
        Take the longest run of slices without a gap instead of refusing the series.

    Returns
    -------
    Series
        With ``slices`` and ``geometry`` filled, and ``instances`` in the order of their first
        slice along row direction x column direction. Where it holds several volumes, ``part``
        says which was taken, and ``instances`` are those of it.

    Raises
    ------
    InputRejected
        With one problem for each kind of fault.
    """
    headers, problems = _read_headers(series)
    problems += faults_of_objects(headers)
    if not any(header.instance.sop_class_uid in SOP_CLASSES for header in headers):
        raise InputRejected(problems)  # no images: what follows would only repeat that
    planes = [plane for header in headers for plane in header.planes]
    taken = (
        Taken(planes=find_part(planes, choice), part=choice)
        if isinstance(choice, Part)
        else take_part(planes, choice, series_uid=series.series_instance_uid)
    )
    problems += taken.problems
    stack = build_stack(
        taken.planes,
        series_uid=series.series_instance_uid,
        minimum=minimum_slices,
        let_gaps_pass=let_gaps_pass,
    )
    problems += [  # that volumes lie on one another was told
        problem
        for problem in stack.problems
        if not (taken.problems and problem.code == "duplicate-position")
    ]
    if stack.geometry is not None and prod(stack.geometry.shape) > MAXIMUM_VOXELS:
        told = " x ".join(map(str, stack.geometry.shape))
        problems.append(_too_large(f"{told} voxels", series.series_instance_uid))
    if problems or stack.geometry is None:
        raise InputRejected(problems)
    if stack.tilt_degrees > 0.1:
        log.info(
            "series.tilted",
            series_instance_uid=series.series_instance_uid,
            tilt_degrees=round(stack.tilt_degrees, 2),
        )
    return _order(series, stack, taken.part)


def _too_large(found: str, of_uid: str) -> Problem:
    return Problem(
        code="too-large",
        uid=of_uid,
        found=found,
        expected="images within the limits of dicom_conf/README.md",
        remedy="send the series in parts, or a reconstruction with fewer pixels",
    )


def check_all_series(
    series: Iterable[Series],
    *,
    minimum_slices: int,
    choices: Iterable[PartChoice | Part],
    let_gaps_pass: bool = False,
) -> tuple[Series, ...]:
    """Check several series of one case, as ``check_series`` does.

    Parameters
    ----------
    series : iterable of Series
        One may come more than once, if different volumes of it are taken.
    minimum_slices : int
    choices : iterable of PartChoice or Part
        For each of the series.
    let_gaps_pass : bool

    Raises
    ------
    InputRejected
        With the faults of all of them, or if one volume was taken twice.
    """
    checked: list[Series] = []
    problems: list[Problem] = []
    for item, choice in zip(series, choices, strict=True):
        try:
            checked.append(
                check_series(
                    item,
                    minimum_slices=minimum_slices,
                    choice=choice,
                    let_gaps_pass=let_gaps_pass,
                )
            )
        except InputRejected as rejected:
            problems += rejected.problems
    problems += _volumes_taken_twice(checked)
    if problems:
        raise InputRejected(problems)
    return tuple(checked)


def _volumes_taken_twice(checked: Sequence[Series]) -> list[Problem]:
    seen, problems = set(), []
    for series in checked:
        volume = (series.series_instance_uid, series.slices)
        if volume in seen:
            problems.append(
                Problem(
                    code="part-taken-twice",
                    tag="ImagePositionPatient",
                    uid=series.series_instance_uid,
                    found=str(series.part or "one volume in the series") + ", for two roles",
                    expected="another volume for each role",
                    remedy="change 'part' of the roles in routing.yaml, or send all volumes",
                )
            )
        seen.add(volume)
    return problems


def _order(series: Series, stack: Stack, part: Part | None) -> Series:
    by_uid = {instance.sop_instance_uid: instance for instance in series.instances}
    first_seen = dict.fromkeys(plane.source_uid for plane in stack.planes)
    labels = part.labels if part else {}
    return replace(
        series,
        instances=tuple(by_uid[source_uid] for source_uid in first_seen),
        slices=tuple(SliceRef(source_uid=p.source_uid, frame=p.frame) for p in stack.planes),
        geometry=stack.geometry,
        attributes={**series.attributes, **{k: v for k, v in labels.items() if v}},
        part=part,
        missing_slices=stack.missing,
    )


def _read_headers(series: Series) -> tuple[list[ImageHeader], list[Problem]]:
    headers, problems = [], []
    for instance in series.instances:
        try:
            headers.append(read_image_header(instance))
        except PixelsRefused as fault:
            problems.append(_too_large(str(fault), instance.sop_instance_uid))
        except DAMAGED as fault:
            problems.append(
                Problem(
                    code="unreadable-header",
                    uid=instance.sop_instance_uid,
                    found=type(fault).__name__,
                    expected="a readable DICOM header",
                    remedy="send the object again",
                )
            )
    return headers, problems


def faults_of_objects(headers: Sequence[ImageHeader]) -> list[Problem]:
    """Faults that an object has by itself, one problem for each kind."""
    checks: list[tuple[str, str, Callable[[ImageHeader], str], str, str]] = [
        (
            "unsupported-sop-class",
            "SOPClassUID",
            lambda h: "" if h.instance.sop_class_uid in SOP_CLASSES else h.instance.sop_class_uid,
            "CT or MR images, classic or enhanced",
            "route only CT and MR image series to this node",
        ),
        (
            "unsupported-transfer-syntax",
            "TransferSyntaxUID",
            lambda h: (
                ""
                if h.instance.transfer_syntax_uid in TRANSFER_SYNTAXES
                else h.instance.transfer_syntax_uid or "none"
            ),
            "uncompressed, RLE, JPEG, JPEG-LS or JPEG 2000",
            "send uncompressed, or in a transfer syntax of the conformance statement",
        ),
        (
            "not-grey",
            "PhotometricInterpretation",
            _colour_of,
            "one sample per pixel, MONOCHROME1 or MONOCHROME2",
            "send the original images, not a colour capture of them",
        ),
        (
            "unsupported-bits",
            "BitsAllocated",
            lambda h: "" if h.bits_allocated in (8, 16, 32) else f"{h.bits_allocated} bits",
            "8, 16 or 32 bits allocated",
            "send the original images",
        ),
        (
            "empty-matrix",
            "Rows",
            lambda h: "" if h.rows > 0 and h.columns > 0 else f"{h.rows} x {h.columns} pixels",
            "at least one row and one column",
            "send the original images",
        ),
        (
            "too-large",
            "Rows",
            lambda h: (
                f"{h.rows} x {h.columns} pixels"
                if h.rows * h.columns > MAXIMUM_FRAME_PIXELS
                else ""
            ),
            f"at most {MAXIMUM_FRAME_PIXELS} pixels in a frame",
            "send a reconstruction with fewer pixels",
        ),
    ]
    problems = []
    images = [header for header in headers if header.instance.sop_class_uid in SOP_CLASSES]
    for code, tag, fault_of, expected, remedy in checks:
        judged = headers if code == "unsupported-sop-class" else images
        faulty = [(header.instance.sop_instance_uid, fault_of(header)) for header in judged]
        faulty = [(source_uid, fault) for source_uid, fault in faulty if fault]
        if faulty:
            kinds = ", ".join(sorted({fault for _, fault in faulty}))
            problems.append(
                Problem(
                    code=code,
                    tag=tag,
                    uid=faulty[0][0],
                    found=f"{kinds} in {_count(faulty, headers)}",
                    expected=expected,
                    remedy=remedy,
                )
            )
    frames_of_reference = {header.frame_of_reference_uid for header in headers}
    if len(frames_of_reference) > 1:
        problems.append(
            Problem(
                code="mixed-frame-of-reference",
                tag="FrameOfReferenceUID",
                uid=headers[0].instance.sop_instance_uid,
                found=f"{len(frames_of_reference)} frames of reference",
                expected="one: positions of different frames cannot be compared",
                remedy="send acquisitions of one session as one series",
            )
        )
    return problems


def _colour_of(header: ImageHeader) -> str:
    if header.samples_per_pixel == 1 and header.photometric_interpretation in _GREY:
        return ""
    return f"{header.photometric_interpretation or 'no'} ({header.samples_per_pixel} samples)"


def _count(faulty: Sequence[object], everything: Iterable[object]) -> str:
    return f"{len(faulty)} of {len(list(everything))} instances"
