"""Colours of the style sheet can be told from what they stand on.

References
----------
WCAG 2.2, success criteria 1.4.3 (text: 4.5 to 1) and 1.4.11 (other: 3 to 1).
"""

import re
from itertools import product

import pytest

from node.web.rendering import STATIC

STYLE = (STATIC / "style.css").read_text("utf-8")
STUDY_STYLE = (STATIC / "study.css").read_text("utf-8")
SCHEMES = {"dark": 0, "light": 1}

TEXT = [
    *product(("text", "dim", "link", "good", "warn", "bad"), ("page", "panel")),
    ("button-text", "button"),
    ("test-text", "test"),
    ("production-text", "production"),
]
SERIES = tuple(f"series-{n}" for n in range(1, 7))
LINES = [*product(("line", "focus", "link", *SERIES), ("page", "panel"))]


def colours(scheme: str) -> dict[str, str]:
    """The variables of a scheme; the light one changes those of the dark one."""
    found: dict[str, str] = {}
    for style in (STYLE, STUDY_STYLE):
        blocks = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
        assert len(blocks) == 2
        for block in blocks[: SCHEMES[scheme] + 1]:
            found |= dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block))
    return found


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("text", "ground"), TEXT)
def test_text_can_be_read(scheme: str, text: str, ground: str) -> None:
    found = colours(scheme)
    assert contrast(found[text], found[ground]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("line", "ground"), LINES)
def test_edges_and_focus_can_be_seen(scheme: str, line: str, ground: str) -> None:
    found = colours(scheme)
    assert contrast(found[line], found[ground]) >= 3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_test_and_production_do_not_look_alike(scheme: str) -> None:
    found = colours(scheme)
    assert found["test"] != found["production"]


def test_colours_stand_in_the_variables_only() -> None:
    rest = re.sub(r":root \{.*?\}", "", STYLE, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb\(|hsl\(", rest)


def test_focus_is_never_hidden() -> None:
    hidden = re.findall(r"([^{}]*)\{[^}]*outline:\s*(?:none|0)", STYLE)
    assert [rule.strip() for rule in hidden] == ["main:focus"]  # the target of the skip link
