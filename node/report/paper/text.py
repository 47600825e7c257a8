"""Text on paper: one font for both languages, lines broken by their true width."""

from collections.abc import Callable
from functools import cache

from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, TableStyle

from node.report.lettering import FONT_FILE, break_lines, drawable

INK, QUIET, RULE, GROUND = map(HexColor, ("#1b2230", "#5b6675", "#c9d0d9", "#f1f4f7"))
AMBER, AMBER_GROUND = HexColor("#7a4b00"), HexColor("#fff4dc")
MALIGNANT_INK, BENIGN_INK = HexColor("#b3261e"), HexColor("#1a7f45")
SMALL, NORMAL, LARGE, HUGE = 7.0, 8.5, 10.5, 14.0
LEADING = 1.32
"""Of the size, from line to line."""
_BOLD_STROKE = 0.03


@cache
def font_name() -> str:
    """Return the name of the font, after making it known to reportlab."""
    pdfmetrics.registerFont(TTFont("OncoNode", str(FONT_FILE)))
    return "OncoNode"


def measure(text: str, size: float) -> float:
    """Return the width of a text in points."""
    return float(pdfmetrics.stringWidth(text, font_name(), size))


def draw_text(
    canvas: Canvas,
    x: float,
    y: float,
    text: str,
    *,
    size: float = NORMAL,
    colour: Color = INK,
    bold: bool = False,
    align: str = "left",
) -> None:
    """Draw one line; the font has no bold face, so that bold is drawn with an outline."""
    text = drawable(text)
    width = measure(text, size)
    shift = {"left": 0.0, "right": width, "centre": width / 2}[align]
    line = canvas.beginText(x - shift, y)
    line.setFont(font_name(), size)
    line.setFillColor(colour)
    line.setStrokeColor(colour)
    if bold:
        canvas.setLineWidth(_BOLD_STROKE * size)
    line.setTextRenderMode(2 if bold else 0)
    line.textOut(text)
    line.setTextRenderMode(0)
    canvas.drawText(line)


class TextBlock(Flowable):
    """A paragraph.

    Parameters
    ----------
    text : str
    size : float
        In points.
    colour : Color
    bold : bool
    align : {"left", "right", "centre"}
    """

    def __init__(
        self,
        text: str,
        *,
        size: float = NORMAL,
        colour: Color = INK,
        bold: bool = False,
        align: str = "left",
        space_after: float = 0,
    ) -> None:
        super().__init__()
        self.text, self.size, self.colour, self.bold = drawable(text), size, colour, bold
        self.align, self.spaceAfter = align, space_after
        self._lines: list[str] = []

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        """Break the lines for a width, and return the room that they take."""
        self.width = width
        self._lines = break_lines(self.text, width, self._measure()) or [""]
        return width, len(self._lines) * LEADING * self.size

    def draw(self) -> None:
        """Draw the lines."""
        x = {"left": 0.0, "right": self.width, "centre": self.width / 2}[self.align]
        top = len(self._lines) * LEADING * self.size
        for number, line in enumerate(self._lines, start=1):
            y = top - number * LEADING * self.size + 0.28 * self.size
            draw_text(
                self.canv,
                x,
                y,
                line,
                size=self.size,
                colour=self.colour,
                bold=self.bold,
                align=self.align,
            )

    def _measure(self) -> Callable[[str], float]:
        return lambda text: measure(text, self.size)


def table_style(*rules: tuple[object, ...]) -> TableStyle:
    """Return the style of a table whose cells, also the empty ones, use the embedded font."""
    whole = (0, 0), (-1, -1)
    return TableStyle([("FONT", *whole, font_name(), NORMAL), *rules])


class Heading(TextBlock):
    """A heading with a line below."""

    def __init__(self, text: str) -> None:
        super().__init__(text, size=LARGE, bold=True, space_after=4)
        self.spaceBefore = 9
        self.keepWithNext = 1

    def draw(self) -> None:
        """Draw the text and the line."""
        super().draw()
        self.canv.setStrokeColor(RULE)
        self.canv.setLineWidth(0.6)
        self.canv.line(0, -1.5, self.width, -1.5)
