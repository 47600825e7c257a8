"""The series that a job worked on, opened for scrolling: slices one by one, outlines over them.

Conventions
-----------
* Slice ``k`` counts along the normal, as everywhere; a screen slice is turned by ``View``.
* Values leave as they are (HU stay HU): the browser applies window and level, so that dragging
  them asks the node nothing.
* Outlines are traced on the screen slice: x to the right, y down, in pixels, (0, 0) the upper left
  corner of the picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.assemble.headers import read_series
from node.assemble.validate import ANY_PART, check_series
from node.domain.errors import InputRejected, Problem
from node.domain.report import EvidenceKind
from node.domain.study import Series
from node.domain.volume import Volume
from node.jobs.job import Job
from node.report.contours import trace_mask
from node.report.display import View, grey_window
from node.report.palette import lesion_colour
from node.storage.instances import InstanceStore
from node.storage.spool import Spool
from node.volume.read import read_slices, read_volume
from node.volume.seg import read_label_planes

SAMPLED_SLICES = 7
"""So many, spread over the series, show which greys are in it."""
MAXIMUM_HELD_BYTES = 512 * 2**20
"""Multi-frame objects are decoded at once where they take no more, and frame by frame beyond."""

CT_PRESETS: Mapping[str, tuple[float, float]] = {
    "brain": (40, 80),
    "soft tissue": (40, 400),
    "lung": (-600, 1500),
    "bone": (400, 1800),
}
"""Centre and width in HU, as they are in common use."""


@dataclass(frozen=True, kw_only=True)
class LesionPlace:
    """Where a lesion lies in a stack.

    Parameters
    ----------
    number : int
        Segment number.
    first, last, largest : int
        Slices.
    colour : str
        As ``#rrggbb``, the same as in SEG and overlay.
    """

    number: int
    first: int
    last: int
    largest: int
    colour: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """A series with its outlines; safe to be used by several threads.

    Parameters
    ----------
    series : Series
        Checked.
    labels : mapping of int to ndarray of uint16, shape (y, x)
        Slice -> segment numbers; empty where there is no segmentation.
    held : Volume, optional
        All slices, where a multi-frame object would have to be opened anew for each of them.
    region_code : str
        SNOMED CT code of what the bundle looks at; it decides the first window.
    """

    series: Series
    labels: Mapping[int, NDArray[np.uint16]]
    held: Volume | None = None
    region_code: str = ""

    def __len__(self) -> int:
        return len(self.series.slices)

    @cached_property
    def view(self) -> View:
        """How slices are turned for the screen."""
        assert self.series.geometry is not None
        return View.of(self.series.geometry)

    @property
    def screen_shape(self) -> tuple[int, int]:
        """Rows and columns of a slice on the screen."""
        assert self.series.geometry is not None
        _, rows, columns = self.series.geometry.shape
        return (columns, rows) if self.view.transpose else (rows, columns)

    def values(self, k: int) -> NDArray[Any]:
        """Return the values of a slice as the screen shows it, int16 or float32, contiguous."""
        if self.held is None:
            plane = read_slices(self.series, [k]).voxels[0]
        else:
            plane = self.held.voxels[k]
        return np.ascontiguousarray(self.view.show(plane))

    @cached_property
    def lesions(self) -> tuple[LesionPlace, ...]:
        """Return where each lesion lies, by number."""
        areas: dict[int, dict[int, int]] = {}
        for k, plane in self.labels.items():
            for number, count in zip(*np.unique(plane[plane > 0], return_counts=True), strict=True):
                areas.setdefault(int(number), {})[k] = int(count)
        return tuple(
            LesionPlace(
                number=number,
                first=min(of_slice),
                last=max(of_slice),
                largest=max(of_slice, key=lambda k: of_slice[k]),
                colour="#{:02x}{:02x}{:02x}".format(*lesion_colour(number)),
            )
            for number, of_slice in sorted(areas.items())
        )

    def outlines(self, k: int) -> dict[int, list[list[tuple[float, float]]]]:
        """Return lesion number -> polygons of (x, y) on the screen slice."""
        plane = self.labels.get(k)
        if plane is None:
            return {}
        shown = self.view.show(plane)
        return {
            int(number): [
                [(round(float(x) + 0.5, 2), round(float(y) + 0.5, 2)) for y, x in polygon]
                for polygon in trace_mask(shown == number)
            ]
            for number in np.unique(shown[shown > 0])
        }

    @cached_property
    def windows(self) -> dict[str, tuple[float, float]]:
        """Return name -> (black, white) of the windows to choose from, the first one to begin with.

        MR has no units: besides the one of its tissue there is the full range.
        """
        sample = self._sample()
        low, high = grey_window(sample, self.region_code)
        lowest, highest = float(sample.voxels.min()), float(sample.voxels.max())
        found = {"standard": (low, high)}
        if self.series.modality == "CT":
            found |= {name: (c - w / 2, c + w / 2) for name, (c, w) in CT_PRESETS.items()}
        return found | {"full range": (lowest, max(highest, lowest + 1))}

    def _sample(self) -> Volume:
        if self.held is not None:
            return self.held
        count = len(self)
        chosen = sorted({round(k) for k in np.linspace(0, count - 1, min(SAMPLED_SLICES, count))})
        return read_slices(self.series, chosen)


def open_stack(
    job: Job, *, store: InstanceStore, spool: Spool, region_code: str = "", minimum_slices: int = 1
) -> Stack:
    """Open the first series of a job, and the segmentation that came of it.

    Raises
    ------
    InputRejected
        If the files of the study were purged, or are damaged.
    """
    uid = job.series_instance_uids[0] if job.series_instance_uids else ""
    received = [
        item
        for item in store.received_of(job.study_instance_uid)
        if item.series_instance_uid == uid and item.instance.path.is_file()
    ]
    found = read_series(received).series if received else ()
    if not found:
        raise InputRejected([_gone(job)])
    series = check_series(
        found[0],
        minimum_slices=minimum_slices,
        choice=job.intake.part(0) or ANY_PART,
        let_gaps_pass=job.intake.completeness.is_partial,
    )
    assert series.geometry is not None
    segmentation = find_result_file(job, EvidenceKind.SEG, spool)
    labels = read_label_planes(segmentation, series.geometry) if segmentation else {}
    return Stack(series=series, labels=labels, held=_hold(series), region_code=region_code)


def _hold(series: Series) -> Volume | None:
    assert series.geometry is not None
    of_one_frame = len(series.instances) == len(series.slices)
    size_bytes = 2 * prod(series.geometry.shape)
    return None if of_one_frame or size_bytes > MAXIMUM_HELD_BYTES else read_volume(series)


def find_result_file(job: Job, kind: EvidenceKind, spool: Spool) -> Path | None:
    """Return a file that a job wrote, None if it wrote none or it was purged."""
    for item in job.result.get("evidence", ()):
        if item["kind"] == kind:
            for attempt in sorted(spool.results.glob(f"{job.job_id}/*/")):
                path = attempt / Path(item["file"]).name
                if path.is_file():
                    return path
    return None


def _gone(job: Job) -> Problem:
    return Problem(
        code="objects-gone",
        found="no file of the series",
        expected="the objects that were received",
        remedy="send the study again: its files were purged",
        uid=job.study_instance_uid,
    )
