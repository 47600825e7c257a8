"""Which side is up, and the picture itself."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from factories_report import axes, make_labels, make_report, make_series
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from PIL import Image

from node.domain.geometry import Geometry
from node.domain.intake import Arrival, Completeness
from node.language import words_of
from node.report.captions import write_findings
from node.report.display import (
    View,
    dice,
    grey_window,
    orientation_letters,
    scale_length_mm,
    smooth_outline,
)
from node.report.key_image import CAPTIONS, DOTS_PER_INCH, SIZE_INCHES, draw_overlay
from node.report.lettering import letter_figure
from node.report.palette import lesion_colour

STANDARD = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "H", "F"),
    "sagittal": ("A", "P", "H", "F"),
}
STEPS = {  # rows and columns of stored slices
    "axial": ((0, 1, 0), (1, 0, 0)),
    "coronal": ((0, 0, -1), (1, 0, 0)),
    "sagittal": ((0, 0, -1), (0, 1, 0)),
}


@pytest.mark.parametrize("plane", STANDARD)
@pytest.mark.parametrize("rows_sign", [1, -1])
@pytest.mark.parametrize("columns_sign", [1, -1])
@pytest.mark.parametrize("swap", [False, True])
def test_every_storage_order_is_shown_the_usual_way(plane, rows_sign, columns_sign, swap):
    down, right = (np.array(step, float) for step in STEPS[plane])
    row, column = (right, down) if swap else (down, right)
    geometry = Geometry.from_axes(
        origin_mm=(0, 0, 0),
        slice_step_mm=np.cross(right, down) * 3,
        row_step_mm=rows_sign * row * 2,
        column_step_mm=columns_sign * column,
        shape=(4, 5, 6),
    )
    view = View.of(geometry)
    letters = view.letters()
    assert tuple(letters[side] for side in ("left", "right", "top", "bottom")) == STANDARD[plane]
    # the pixels turn together with the letters
    k, j, i = np.indices(geometry.shape)
    lps = geometry.to_lps(np.stack([k, j, i], axis=-1))[0]
    shown = np.stack([view.show(lps[..., axis]) for axis in range(3)], axis=-1)
    across = shown[0, 1] - shown[0, 0]
    assert np.allclose(across, view.right * view.column_mm)
    assert np.allclose(shown[1, 0] - shown[0, 0], view.down * view.row_mm)


def test_letters_of_oblique_directions():
    assert orientation_letters(np.array([0.9, 0.43, 0.05])) == "LP"
    assert orientation_letters(np.array([-1.0, 0.1, 0.0])) == "R"


def test_outline_keeps_the_size_and_small_lesions():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 12:28] = True
    field, level = smooth_outline(mask)
    assert (field > level).sum() / 16 == pytest.approx(mask.sum(), rel=0.02)
    dot = np.zeros((9, 9), bool)
    dot[4, 4] = True
    field, level = smooth_outline(dot)
    assert 0 < level < field.max()


def test_scale_is_a_round_part_of_the_picture():
    assert scale_length_mm(240) == 50
    assert scale_length_mm(50) == 10


def test_dice():
    a = np.zeros((2, 4, 4), bool)
    b = a.copy()
    assert dice(a, b) == 1.0
    a[0, 0, :2] = b[0, 0, 1:3] = True
    assert dice(a, b) == 0.5


@pytest.mark.parametrize(("region", "black"), [("39607008", -1350), ("10200004", -160)])
def test_ct_windows(tmp_path, region, black):
    series = make_series(tmp_path, axes(shape=(3, 8, 8)), modality="CT")
    assert grey_window(series.volume, region)[0] == black


@pytest.mark.parametrize("lesions", [0, 1, 3])
def test_overlay_shows_each_lesion_in_its_colour(tmp_path, lesions):
    series = make_series(tmp_path / "im", axes(shape=(8, 40, 48)))
    report = make_report(series.volume, make_labels((8, 40, 48), lesions))
    path = draw_overlay(
        series.volume, report, tmp_path / "x.png", reference=report.segmentation.labels
    )
    with Image.open(path) as image:
        assert image.size == (1600, 1000)
        pixels = np.asarray(image.convert("RGB")).astype(int)
    for number in range(1, 4):
        close = np.abs(pixels - np.array(lesion_colour(number))).max(axis=-1) < 12
        left = close[:, :1060]
        assert (left.sum() > 50) == (number <= lesions), number
    banner = pixels[20, 700]
    assert banner[0] > banner[2] + 50


def test_overlay_of_a_sheared_oblique_stack_is_drawn(tmp_path):
    geometry = axes(shape=(6, 21, 33), rotation_deg=(70, 20, 10), tilt_deg=10)
    series = make_series(tmp_path / "im", geometry)
    report = make_report(series.volume, make_labels(geometry.shape, 2))
    assert draw_overlay(series.volume, report, tmp_path / "x.png").stat().st_size > 10_000


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("reference", [None, 0.5])
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("lesions", [1, 3, 4, 6])
def test_no_caption_lies_over_another(tmp_path, lesions, partial, reference, language):
    geometry = axes(shape=(4, 60, 60))
    labels = np.zeros((4, 60, 60), dtype=np.uint8)
    for number in range(1, lesions + 1):
        labels[1:3, 8 * number : 8 * number + 5, 10:20] = number
    report = make_report(make_series(tmp_path, geometry).volume, labels)
    long = "more to say about it than there is room for in a line of the column of captions " * 6
    report = replace(
        report,
        findings=tuple(replace(each, reason=long) for each in report.findings),
        model=replace(report.model, limitations=long),
    )
    if partial:
        gaps = Completeness(arrival=Arrival.INCOMPLETE, missing=7, limitations=(long,))
        report = replace(report, completeness=gaps)
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    column = figure.add_axes(CAPTIONS)
    write_findings(column, report, words_of(language), dice=reference)
    letter_figure(figure, words_of(language))
    canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in column.texts]
    over = [
        (one, other)
        for (one, box), (other, second) in combinations(boxes, 2)
        if Bbox.intersection(box, second) is not None
        and min(Bbox.intersection(box, second).size) > 1
    ]
    assert over == []
    assert min(box.y0 for _, box in boxes) >= 0
    marks = [patch for patch in column.patches if isinstance(patch, Rectangle)]
    shown = sum(mark.get_width() == 0.022 for mark in marks)
    told = words_of(language).gettext(
        "and %(more)s more, together %(volume)s ml: see the report",
        more=lesions - shown,
        volume=f"{sum(each.volume_ml for each in report.segmentation.lesions[shown:]):.2f}",
    )
    assert 1 <= shown <= lesions
    assert (told in [text for text, _ in boxes]) is (shown < lesions)
