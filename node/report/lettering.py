"""The font of reports, and its use in pictures.

One TrueType font is shipped, so that reports look alike on every machine: see ``fonts/README.md``.
"""

import re
import textwrap
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from node.language import Words

FONT_FILE = Path(__file__).parent / "fonts" / "wqy-microhei-gbk.ttf"
MISSING = "\u3013"
"""The geta mark, which stands for a character that a font does not have (JIS X 0208, GB 2312)."""

_BOLD_STROKE = 0.035
"""Of the size; the font has no bold face."""


def letter_figure(figure: Figure, words: Words) -> None:
    """Write all texts of a figure in a font that has the characters of the language.

    English stays in the default font. Call it last, before the figure is drawn.

    Parameters
    ----------
    figure : matplotlib Figure
        Changed in place.
    words : Words
    """
    if words.language == "en":
        return
    family = _register_font()
    for text in figure.findobj(Text):
        if text.get_fontweight() == "bold" and not text.get_path_effects():
            width = _BOLD_STROKE * float(text.get_fontsize())
            text.set_path_effects([withStroke(linewidth=width, foreground=text.get_color())])
        text.set_fontweight("normal")
        text.set_fontfamily(family)


def drawable(text: str) -> str:
    """Put a mark in the place of characters that the font does not have."""
    known = _characters()
    return "".join(sign if ord(sign) in known else MISSING for sign in text)


def is_drawable(text: str) -> bool:
    """Tell whether the font has every character."""
    return drawable(text) == text


def wrap_text(
    text: str, columns: int, *, max_lines: int | None = None, placeholder: str = " ..."
) -> list[str]:
    """Break a text into lines; Chinese between any two characters, each as wide as two letters.

    Parameters
    ----------
    text : str
    columns : int
        Width in letters.
    max_lines : int, optional
        The last of so many ends with the placeholder where there is more.
    placeholder : str
    """
    if not any(_is_wide(sign) for sign in text):
        return textwrap.wrap(text, columns, max_lines=max_lines, placeholder=placeholder)
    lines = break_lines(text, columns, _width)
    if max_lines is None or len(lines) <= max_lines:
        return lines
    last = break_lines(lines[max_lines - 1], columns - _width(placeholder), _width)[0]
    return [*lines[: max_lines - 1], last + placeholder]


_PIECE = re.compile(r"\s+|[^\s\u2e80-\uffef]+|.", re.DOTALL)
_NOT_FIRST = frozenset("，。；：、）》！？”’%")


def break_lines(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Break a text into lines, at spaces and between Chinese characters.

    Parameters
    ----------
    text : str
    width : float
        Widest line, in the unit of ``measure``; a longer word is broken where it has to be.
    measure : callable
        Gives the width of a text.
    """
    lines = [""]
    for piece in _PIECE.findall(text):
        if piece not in _NOT_FIRST and lines[-1] and measure(lines[-1] + piece) > width:
            lines.append("")
        if lines[-1] or not piece.isspace():
            lines[-1] += piece
        while len(lines[-1]) > 1 and measure(lines[-1]) > width and piece not in _NOT_FIRST:
            fits = len(lines[-1]) - 1
            while fits > 1 and measure(lines[-1][:fits]) > width:
                fits -= 1
            lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
    return [line.rstrip() for line in lines if line.strip()]


def _width(text: str) -> int:
    return sum(2 if _is_wide(sign) else 1 for sign in text)


def _is_wide(sign: str) -> bool:
    return unicodedata.east_asian_width(sign) in "WF"


@cache
def _register_font() -> str:
    """Make the font known to matplotlib, and return its family."""
    fontManager.addfont(FONT_FILE)
    return str(FontProperties(fname=FONT_FILE).get_name())


@cache
def _characters() -> frozenset[int]:
    return frozenset(FT2Font(str(FONT_FILE)).get_charmap())
