"""Chinese in pictures and on paper: every sign has a shape, lines break where they may."""

import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from babel.messages.pofile import read_po
from factories_report import axes, make_labels, make_report, make_series
from PIL import Image

from node.domain.intake import Arrival, Completeness
from node.language import words_of
from node.language.words import CATALOGS
from node.report.capture import draw_capture
from node.report.key_image import draw_overlay
from node.report.lettering import FONT_FILE, MISSING, drawable, wrap_text

SHAPE = (5, 40, 48)


def signs_of_catalogs() -> set[str]:
    signs = set()
    for path in CATALOGS.glob("zh/*.po"):
        with path.open("rb") as opened:
            for message in read_po(opened):
                signs |= set("".join(message.string)) - {"\n"}
    return signs


def test_the_font_has_every_sign_of_the_catalogs() -> None:
    signs = signs_of_catalogs()
    assert len(signs) > 300
    assert {sign for sign in signs if drawable(sign) != sign} == set()


def test_the_font_has_common_and_rare_signs_of_names() -> None:
    assert drawable("欧阳娜娜 陳小明 喆堃翀昇珺頔 Müller Łukasz Ångström") == (
        "欧阳娜娜 陳小明 喆堃翀昇珺頔 Müller Łukasz Ångström"
    )
    assert drawable("𠮷田 ไทย") == f"{MISSING}田 {MISSING * 3}"


def test_the_font_is_small_and_has_its_licence_beside_it() -> None:
    assert FONT_FILE.stat().st_size < 3_000_000
    licence = FONT_FILE.with_name("LICENSE-wqy-microhei.txt").read_text()
    assert "Apache License" in licence


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("outside the training range", 12, ["outside the", "training", "range"]),
        ("超出训练数据范围", 8, ["超出训练", "数据范围"]),
        ("超出训练，数据范围", 8, ["超出训练，", "数据范围"]),
        ("层厚 5 mm，为假定值", 10, ["层厚 5 mm，", "为假定值"]),
        ("flair 仅覆盖", 8, ["flair 仅", "覆盖"]),
    ],
)
def test_lines_break_between_words_and_signs(text, columns, expected) -> None:
    assert wrap_text(text, columns) == expected


def test_the_last_line_says_that_there_is_more() -> None:
    lines = wrap_text(
        "训练数据为含脑膜瘤胶质瘤或垂体瘤的单层图像", 12, max_lines=2, placeholder=" ……"
    )
    assert len(lines) == 2
    assert lines[1].endswith(" ……")


@pytest.mark.parametrize("lesions", [0, 1, 5])
@pytest.mark.parametrize("draw", [draw_overlay, draw_capture])
def test_pictures_speak_chinese_and_no_sign_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, draw, lesions: int
) -> None:
    series = make_series(tmp_path / "images", axes(shape=SHAPE))
    report = make_report(series.volume, make_labels(SHAPE, lesions))
    partial = Completeness(arrival=Arrival.INCOMPLETE, missing=3, limitations=("COMPLETE",))
    report = replace(report, completeness=partial)
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # matplotlib warns of missing glyphs
        chinese = draw(series.volume, report, tmp_path / "zh.png", words=words_of("zh"))
    assert not [record.message for record in caplog.records]  # and logs fonts that it lacks
    english = draw(series.volume, report, tmp_path / "en.png")
    pixels = [np.asarray(Image.open(path).convert("L"), dtype=int) for path in (chinese, english)]
    assert pixels[0].shape == pixels[1].shape
    banner = [each[: each.shape[0] // 20] for each in pixels]
    assert (np.abs(banner[0] - banner[1]) > 64).sum() > 500
    assert (banner[0] > 200).sum() > 500, "nothing is written into the banner"
