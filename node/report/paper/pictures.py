"""The pictures of the first page: the main slice whole, and close-ups beside it."""

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from node.domain.report import Report
from node.domain.volume import Volume
from node.language import Words
from node.report.display import View, grey_window
from node.report.key_image import choose_close_ups, main_slice
from node.report.lettering import letter_figure
from node.report.panels import draw_scale, draw_slice, write_corner, write_letters

WIDTH_POINTS, HEIGHT_POINTS = 523.0, 262.0
_DOTS_PER_INCH = 200
_POINTS_PER_INCH = 72
_GAP = 3.0


def draw_pictures(volume: Volume, report: Report, words: Words) -> bytes:
    """Draw the pictures as one PNG, ``WIDTH_POINTS`` by ``HEIGHT_POINTS``.

    Parameters
    ----------
    volume : Volume
    report : Report
    words : Words
    """
    size = (WIDTH_POINTS / _POINTS_PER_INCH, HEIGHT_POINTS / _POINTS_PER_INCH)
    figure = Figure(figsize=size, dpi=_DOTS_PER_INCH, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    view = View.of(volume.geometry)
    window = grey_window(volume, report.model.anatomic_region.value)
    main = figure.add_axes((0, 0, HEIGHT_POINTS / WIDTH_POINTS, 1))
    k = main_slice(report)
    draw_slice(main, k, volume=volume, report=report, view=view, window=window, line_width=1.4)
    _darken(main, figure)
    write_letters(main, view, size=9)
    draw_scale(main, size=7)
    told = words.gettext("slice %(number)s of %(count)s", number=k + 1, count=len(volume.voxels))
    write_corner(main, f"{volume.modality}  {told}", size=7.5)
    side = (HEIGHT_POINTS - _GAP) / 2
    for place, (slice_index, crop, title) in enumerate(choose_close_ups(report, view, words)):
        left = HEIGHT_POINTS + _GAP + (place % 2) * (side + _GAP)
        bottom = (1 - place // 2) * (side + _GAP)
        panel = figure.add_axes(
            (left / WIDTH_POINTS, bottom / HEIGHT_POINTS, side / WIDTH_POINTS, side / HEIGHT_POINTS)
        )
        draw_slice(
            panel,
            slice_index,
            volume=volume,
            report=report,
            view=view,
            window=window,
            crop=crop,
            line_width=1.2,
            numbers=False,
        )
        _darken(panel, figure)
        draw_scale(panel, size=6)
        write_corner(panel, title, size=6.5)
    letter_figure(figure, words)
    buffer = BytesIO()
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _darken(axes: Axes, figure: Figure) -> None:
    """Put black behind a slice that does not fill its place."""
    from matplotlib.patches import Rectangle

    place = axes.get_position(original=True)
    figure.add_artist(
        Rectangle((place.x0, place.y0), place.width, place.height, color="black", zorder=-1)
    )
