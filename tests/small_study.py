"""A fresh study of a few slices through the tumour: small, but with the head's field of view."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from node.emulate.phantom import WrittenSeries, write_case

SLICES = 5


def write_small_study(folder: Path, *, headers: Mapping[str, Any] | None = None) -> WrittenSeries:
    """Write the slices of the first sample case that show most of its tumour, under new UIDs."""
    series = write_case("brain1", folder, headers=headers, fresh=True)
    areas = [int(series.masks[uid].sum()) for uid in series.source_uids]
    first = max(
        range(len(areas) - SLICES + 1), key=lambda start: sum(areas[start : start + SLICES])
    )
    kept = slice(first, first + SLICES)
    return replace(series, paths=series.paths[kept], source_uids=series.source_uids[kept])
