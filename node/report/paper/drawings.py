"""Drawings of the second page: bars of the classifier's reasons, and the training cloud."""

from collections.abc import Mapping, Sequence

from reportlab.lib.colors import Color, HexColor, white
from reportlab.platypus import Flowable

from node.domain.model_facts import TrainingCloud
from node.language import Words
from node.report.lettering import break_lines
from node.report.palette import lesion_colour
from node.report.paper.text import (
    BENIGN_INK,
    INK,
    MALIGNANT_INK,
    NORMAL,
    QUIET,
    RULE,
    SMALL,
    draw_text,
    measure,
)
from node.report.phrases import tell_feature, tell_type

# Okabe and Ito's colours, which readers with colour blindness can tell apart.
_CLASS_COLOURS = tuple(map(HexColor, ("#0072B2", "#D55E00", "#009E73", "#CC79A7")))


class ReasonBars(Flowable):
    """The features that counted most for one lesion, as bars to either side of nought.

    Parameters
    ----------
    title : str
    contributions : mapping of str to float
        PyRadiomics name -> change in the logit of malignancy, largest first.
    largest : float
        Contribution that fills the room, the same for all lesions of a report.
    words : Words
    """

    _ROW, _NAMES = 17.0, 0.56

    def __init__(
        self, title: str, contributions: Mapping[str, float], largest: float, words: Words
    ) -> None:
        super().__init__()
        self.title, self.contributions, self.largest = title, contributions, largest
        self.words = words
        self.spaceAfter = 5

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        """Return the room that the bars take."""
        self.width = width
        self.height = 13 + self._ROW * len(self.contributions)
        return width, self.height

    def draw(self) -> None:
        """Draw title, names, bars and values."""
        canvas = self.canv
        draw_text(canvas, 0, self.height - 9, self.title, size=NORMAL, bold=True)
        left, right = self._NAMES * self.width, self.width
        middle, reach = (left + right) / 2, (right - left) / 2 - 24
        for number, (name, logit) in enumerate(self.contributions.items()):
            y = self.height - 13 - self._ROW * (number + 1)
            lines = break_lines(tell_feature(name, self.words), left - 4, _measure_small)[:2]
            lift = 5 if len(lines) == 1 else 9
            for place, line in enumerate(lines):
                draw_text(canvas, 0, y + lift - 7.6 * place, line, size=SMALL)
            length = reach * min(1, abs(logit) / self.largest) if self.largest else 0
            canvas.setFillColor(MALIGNANT_INK if logit > 0 else BENIGN_INK)
            start = middle if logit > 0 else middle - length
            canvas.rect(start, y + 3, max(length, 0.5), 8, stroke=0, fill=1)
            end = middle + length + 2 if logit > 0 else middle - length - 2
            align = "left" if logit > 0 else "right"
            draw_text(canvas, end, y + 4.6, f"{logit:+.2f}", size=SMALL, align=align)
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.6)
        canvas.line(middle, 1, middle, self.height - 13)


class CloudPlot(Flowable):
    """The training lesions on their first two principal components, the case's among them.

    Parameters
    ----------
    cloud : TrainingCloud
    words : Words
    """

    _HEIGHT = 200.0

    def __init__(self, cloud: TrainingCloud, words: Words) -> None:
        super().__init__()
        self.cloud, self.words = cloud, words

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        """Return the room that the plot takes."""
        self.width = width
        return width, self._HEIGHT

    def draw(self) -> None:
        """Draw frame, points, the case's lesions and the legend."""
        canvas, cloud = self.canv, self.cloud
        left, bottom, right, top = 12.0, 12.0, self.width, self._HEIGHT - 14
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.6)
        canvas.rect(left, bottom, right - left, top - bottom, stroke=1, fill=0)
        places = {number: (place.x, place.y) for number, place in cloud.places.items()}
        to_page = _Scale([*map(tuple, cloud.points), *places.values()], (left, bottom, right, top))
        names = sorted(set(cloud.labels))
        colours = dict(zip(names, _CLASS_COLOURS * len(names), strict=False))
        canvas.saveState()
        for point, label in zip(cloud.points, cloud.labels, strict=True):
            x, y = to_page(float(point[0]), float(point[1]))
            canvas.setFillColor(colours[label], alpha=0.5)
            canvas.circle(x, y, 1.5, stroke=0, fill=1)
        canvas.restoreState()
        for number, place in places.items():
            self._mark(number, *to_page(*place))
        self._write_legend(names, colours)
        shares = [f"{100 * share:.0f} %" for share in cloud.explained]
        draw_text(
            canvas,
            (left + right) / 2,
            3,
            self.words.gettext("first component, %(share)s of the variance", share=shares[0]),
            size=6,
            colour=QUIET,
            align="centre",
        )
        canvas.saveState()
        canvas.rotate(90)
        draw_text(
            canvas,
            (bottom + top) / 2,
            -8,
            self.words.gettext("second component, %(share)s", share=shares[1]),
            size=6,
            colour=QUIET,
            align="centre",
        )
        canvas.restoreState()

    def _mark(self, number: int, x: float, y: float) -> None:
        red, green, blue = (value / 255 for value in lesion_colour(number))
        self.canv.setFillColor(Color(red, green, blue))
        self.canv.setStrokeColor(INK)
        self.canv.setLineWidth(1.2)
        self.canv.circle(x, y, 4.2, stroke=1, fill=1)
        self.canv.setFillColor(white)
        self.canv.setStrokeColor(RULE)
        self.canv.setLineWidth(0.4)
        width = measure(str(number), NORMAL) + 4
        self.canv.roundRect(x + 6, y - 5, width, 10, 2, stroke=1, fill=1)
        draw_text(self.canv, x + 8, y - 3, str(number), bold=True)

    def _write_legend(self, names: Sequence[str], colours: Mapping[str, Color]) -> None:
        x, y = 12.0, self._HEIGHT - 9
        for name in names:
            told = tell_type(name, self.words)
            self.canv.setFillColor(colours[name])
            self.canv.circle(x + 2.5, y + 2.4, 2.2, stroke=0, fill=1)
            draw_text(self.canv, x + 7, y, told, size=SMALL)
            x += 15 + measure(told, SMALL)


class _Scale:
    """From the plane of the cloud to the page."""

    def __init__(
        self, points: Sequence[tuple[float, ...]], box: tuple[float, float, float, float]
    ) -> None:
        left, bottom, right, top = box
        xs, ys = [float(point[0]) for point in points], [float(point[1]) for point in points]
        self.low = min(xs), min(ys)
        self.factor = tuple(
            0.92 * room / (max(values) - min(values) or 1.0)
            for room, values in ((right - left, xs), (top - bottom, ys))
        )
        self.start = left + 0.04 * (right - left), bottom + 0.04 * (top - bottom)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return (
            self.start[0] + (x - self.low[0]) * self.factor[0],
            self.start[1] + (y - self.low[1]) * self.factor[1],
        )


def _measure_small(text: str) -> float:
    return measure(text, SMALL)
