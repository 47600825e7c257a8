"""Entrance: from a report to the bytes of its PDF."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO

from pydicom.dataset import Dataset
from reportlab.lib.colors import white
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, Image, PageTemplate
from reportlab.platypus.doctemplate import LayoutError

from node.domain.report import Report
from node.domain.volume import Volume
from node.language import Words
from node.report.fault import ReportFault
from node.report.paper import sections
from node.report.paper.identity import Identity, read_identity
from node.report.paper.pictures import HEIGHT_POINTS, WIDTH_POINTS, draw_pictures
from node.report.paper.text import (
    AMBER,
    LARGE,
    QUIET,
    RULE,
    SMALL,
    draw_text,
    font_name,
    measure,
)
from node.report.phrases import tell_banner

MOST_PAGES = 2
_ROOM = (12, 8, 5, 3, 1)
"""Lesions in the tables, and remarks: as many as keep the report within its pages."""
_MARGIN, _BAND, _FOOT = 36.0, 24.0, 30.0


def write_paper(
    report: Report,
    volume: Volume,
    header: Dataset,
    *,
    words: Words,
    objects: Sequence[str] = (),
) -> bytes:
    """Write the report as a PDF of one or two pages.

    Parameters
    ----------
    report : Report
    volume : Volume
        What the report was made from.
    header : Dataset
        Of a source image, as it was read: patient and study come from there.
    words : Words
        The reader's language.
    objects : sequence of str
        Kinds and UIDs of the objects that say the same, e.g. ``"SR 2.25.1"``.

    Raises
    ------
    ReportFault
        If it does not fit two pages.
    """
    identity = read_identity(header, words)
    pictures = draw_pictures(volume, report, words)
    for shown in _ROOM:
        story = partial(
            _compose, report, volume, identity, pictures, words, shown=shown, objects=objects
        )
        try:
            pages, content = _build(story(), report, identity, words, total=MOST_PAGES)
        except LayoutError:  # something that cannot be parted is longer than a page
            continue
        if pages < MOST_PAGES:
            _, content = _build(story(), report, identity, words, total=pages)
        if pages <= MOST_PAGES:
            return content
    raise ReportFault(f"the report does not fit {MOST_PAGES} pages")


def _compose(
    report: Report,
    volume: Volume,
    identity: Identity,
    pictures: bytes,
    words: Words,
    *,
    shown: int,
    objects: Sequence[str],
) -> list[Flowable]:
    return [
        *sections.identity_section(identity, words),
        *sections.conclusion_section(report, volume, words),
        Image(BytesIO(pictures), width=WIDTH_POINTS, height=HEIGHT_POINTS),
        *sections.lesion_section(report, shown, words),
        *sections.change_section(report, shown, words),
        *sections.reason_section(report, words),
        *sections.reliability_section(report, shown, words),
        *sections.model_section(report, objects, words),
    ]


def _build(
    story: list[Flowable], report: Report, identity: Identity, words: Words, *, total: int
) -> tuple[int, bytes]:
    """Set the pages; return their number and the PDF."""
    buffer = BytesIO()
    width, height = A4
    document = BaseDocTemplate(
        buffer,
        pagesize=A4,
        invariant=1,
        initialFontName=font_name(),  # else a font that is not embedded is named
        title=words.gettext("AI imaging report"),
        author=f"OncoNode, {report.model.name} {report.model.version}",
        subject=tell_banner(words),
        lang="zh-CN" if words.language == "zh" else "en-GB",
    )
    frame = Frame(
        _MARGIN,
        _FOOT + 6,
        width - 2 * _MARGIN,
        height - _BAND - _FOOT - 14,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )

    def draw_edges(canvas: Canvas, _document: BaseDocTemplate) -> None:
        _draw_edges(canvas, report, identity, words, total=total)

    document.addPageTemplates([PageTemplate(id="page", frames=[frame], onPage=draw_edges)])
    document.build(story)
    return document.page, buffer.getvalue()


def _draw_edges(
    canvas: Canvas, report: Report, identity: Identity, words: Words, *, total: int
) -> None:
    """Draw the banner above and whose page it is below."""
    width, height = A4
    canvas.setFillColor(AMBER)
    canvas.rect(0, height - _BAND, width, _BAND, stroke=0, fill=1)
    y = height - _BAND + 8
    title = words.gettext("AI imaging report")
    draw_text(canvas, _MARGIN, y, f"OncoNode  |  {title}", size=LARGE, colour=white, bold=True)
    banner = tell_banner(words)
    if report.completeness.is_partial:
        banner = f"{words.gettext('PARTIAL')}  |  {banner}"
    right = width - _MARGIN
    draw_text(canvas, right, y, banner, size=LARGE, colour=white, bold=True, align="right")
    canvas.setStrokeColor(RULE)
    canvas.setLineWidth(0.6)
    canvas.line(_MARGIN, _FOOT, right, _FOOT)
    page = words.gettext("Page %(page)s of %(total)s", page=canvas.getPageNumber(), total=total)
    room = right - _MARGIN - measure(page, SMALL) - 12
    told = _tell_whose(identity, room)
    draw_text(canvas, _MARGIN, _FOOT - 11, told, size=SMALL, colour=QUIET)
    draw_text(canvas, right, _FOOT - 11, page, size=SMALL, colour=QUIET, align="right")
    draw_text(
        canvas, width / 2, _FOOT - 21, tell_banner(words), size=SMALL, colour=AMBER, align="centre"
    )


def _tell_whose(identity: Identity, room: float) -> str:
    """Name patient and study on a line of so many points; only the name is ever shortened."""
    rest = "".join(f"  ·  {part}" for part in (identity.patient_id, identity.study_date) if part)
    name, cut = identity.name, identity.name
    while cut and measure(name + rest, SMALL) > room:
        cut = cut[:-1]
        name = f"{cut.rstrip()}..."
    return name + rest if name else rest.removeprefix("  ·  ")
