"""A page of the OHIF viewer: studies opened, segmentations loaded, what it decoded read back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FloatRect, Page
from scipy.spatial import cKDTree

PATIENCE_MS = 240_000
"""Chromium without a graphics card, beside other tests, is slow."""
STEADY_LOOKS = 4
LINE = 3
"""Pixels of the screen that an outline may stand over."""

_THUMBNAIL = '[data-cy^="study-browser-thumbnail"]'
_IMAGE_IS_SHOWN = """() => {
  const id = window.services.viewportGridService.getActiveViewportId();
  const viewport = id && window.services.cornerstoneViewportService.getCornerstoneViewport(id);
  return Boolean(viewport?.getImageIds?.().length && viewport.getImageData?.());
}"""

# Of each derived image: the source that it lies on, and [index, segment number] of its pixels. A
# viewer may spread segments over layers, each with values of its own that are bound to segments.
_DECODED = """([segmentationId]) => {
  const { segmentationService } = window.services;
  const { cache, metaData } = window.cornerstone;
  const labelmap = segmentationService.getSegmentation(segmentationId).representationData.Labelmap;
  const layers = labelmap.labelmaps
    ? Object.entries(labelmap.labelmaps).map(([id, layer]) => [id, layer.imageIds ?? []])
    : [['', labelmap.imageIds ?? []]];
  const segmentOf = new Map(
    Object.entries(labelmap.segmentBindings ?? {}).map(([segment, bound]) => [
      `${bound.labelmapId}/${bound.labelValue}`, Number(segment)]));
  const found = [];
  for (const [layer, imageIds] of layers) {
    for (const imageId of imageIds) {
      const image = cache.getImage(imageId);
      const source = image?.referencedImageId;
      if (!source) { throw new Error(`no source of ${imageId}`); }
      const pixels = image.voxelManager?.getScalarData() ?? image.getPixelData();
      const marked = [];
      pixels.forEach((value, index) => {
        if (value) { marked.push([index, segmentOf.get(`${layer}/${value}`) ?? value]); }
      });
      found.push({
        source, marked, rows: image.rows, columns: image.columns,
        sop: metaData.get('instance', source).SOPInstanceUID,
      });
    }
  }
  return found;
}"""

_VIEWPORT = """
  const viewport = window.services.cornerstoneViewportService.getCornerstoneViewport(
    window.services.viewportGridService.getActiveViewportId());
"""
_GO_TO = (
    "async (source) => {"
    + _VIEWPORT
    + """
  const wasThere = viewport.getCurrentImageId() === source;
  await viewport.setImageIdIndex(viewport.getImageIds().indexOf(source));
  viewport.render();
  return wasThere;
}"""
)
# The position of a pixel as PS3.3 C.7.6.2.1.1 has it, not as the viewer computes it.
_ON_SCREEN = (
    "([source, columns, indices]) => {"
    + _VIEWPORT
    + """
  const plane = window.cornerstone.metaData.get('imagePlaneModule', source);
  const place = (index) => [0, 1, 2].map((axis) => plane.imagePositionPatient[axis]
    + plane.rowCosines[axis] * plane.columnPixelSpacing * (index % columns)
    + plane.columnCosines[axis] * plane.rowPixelSpacing * Math.floor(index / columns));
  const box = viewport.element.getBoundingClientRect();
  const points = indices.map((index) => viewport.worldToCanvas(place(index)));
  return { box: [box.x, box.y, box.width, box.height], points };
}"""
)
_TOGGLE = """() => {
  const { segmentationService, viewportGridService } = window.services;
  const viewportId = viewportGridService.getActiveViewportId();
  for (const each of segmentationService.getSegmentationRepresentations(viewportId)) {
    segmentationService.toggleSegmentationRepresentationVisibility(
      viewportId, { segmentationId: each.segmentationId, type: each.type });
  }
}"""


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedSlice:
    """What the viewer shows on one source image.

    Parameters
    ----------
    source_uid : str
        SOP Instance UID.
    frame : int
        From 1.
    image_id : str
        The viewer's name of the source.
    labels : ndarray of uint8, shape (rows, columns)
    """

    source_uid: str
    frame: int
    image_id: str
    labels: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class ViewerPage:
    """A tab of the browser with the viewer in it.

    Parameters
    ----------
    page : Page
    url : str
        Of the viewer.
    """

    page: Page
    url: str

    def open_study(self, study_instance_uid: str) -> None:
        """Open a study as its link in a worklist does, and wait until an image is shown."""
        self.page.goto(
            f"{self.url}/viewer?StudyInstanceUIDs={study_instance_uid}",
            wait_until="domcontentloaded",
        )
        self.page.locator(_THUMBNAIL).first.wait_for(timeout=PATIENCE_MS)
        self.page.wait_for_function(_IMAGE_IS_SHOWN, timeout=PATIENCE_MS)
        self._close_tour()

    def load_segmentation(self, series_number: int) -> str:
        """Load a SEG as a user does: double click on its thumbnail, and "Yes".

        Returns
        -------
        str
            The viewer's name of it.
        """
        before = set(self._segmentations())
        thumbnail = self.page.locator(f'{_THUMBNAIL}[data-series="{series_number}"]')
        thumbnail.dblclick(timeout=PATIENCE_MS)
        self.page.locator('[data-cy="yes-hydrate-btn"]').click(timeout=PATIENCE_MS)
        self.page.wait_for_function(
            "(known) => window.services.segmentationService.getSegmentations()"
            ".some((each) => !known.includes(each.segmentationId))",
            arg=sorted(before),
            timeout=PATIENCE_MS,
        )
        (new,) = set(self._segmentations()) - before
        return new

    def decoded(self, segmentation: str) -> list[DecodedSlice]:
        """Return the label map of a segmentation as the viewer holds it in its memory."""
        found = self.page.evaluate(_DECODED, [segmentation])
        return [_slice_of(each) for each in found]

    def show(self, decoded: DecodedSlice) -> None:
        """Scroll to a slice, until the viewport stays there.

        One that has just got a segmentation may still go back to where it starts.
        """
        deadline = time.monotonic() + PATIENCE_MS / 1000
        seen = 0
        while seen < STEADY_LOOKS:
            assert time.monotonic() < deadline, "the viewport does not stay on the slice"
            seen = seen + 1 if self.page.evaluate(_GO_TO, decoded.image_id) else 0
            self._settle()

    def overlay(self, decoded: DecodedSlice) -> "Overlay":
        """Look at the pixels of the screen with and without the segmentation, each of them twice.

        Whatever else comes or goes meanwhile (a message of the viewer, a tip under the mouse, a
        picture that is still being drawn) makes two that should be the same differ: then it is
        done again.
        """
        self.page.mouse.move(1, 1)
        marked = np.flatnonzero(decoded.labels).tolist()
        columns = decoded.labels.shape[1]
        corner = [0, 1, columns]  # and its neighbours in the row and in the column
        told = self.page.evaluate(_ON_SCREEN, [decoded.image_id, columns, corner + marked])
        (first, right, below), points = np.split(np.array(told["points"]), [len(corner)])
        x, y, width, height = told["box"]
        clip: FloatRect = {"x": x, "y": y, "width": width, "height": height}
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while True:
            pictures = []
            for _ in range(4):
                pictures.append(self._look(clip))
                self.page.evaluate(_TOGGLE)
            shown, hidden, shown_again, hidden_again = pictures
            changed = _differ(shown, hidden)
            moved = _differ(shown, shown_again) | _differ(hidden, hidden_again)
            if changed.any() and not moved.any():
                diagonal = np.linalg.norm(right + below - 2 * first)
                return Overlay(changed=changed, points=points, reach=float(diagonal) / 2)
            assert time.monotonic() < deadline, "the picture of the viewer does not stay the same"

    def _look(self, clip: FloatRect) -> NDArray[np.uint8]:
        """Picture of a part of the screen, as soon as it stands still."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        before = None
        while True:
            self._settle()
            now = _pixels(self.page.screenshot(clip=clip))
            if before is not None and not _differ(before, now).any():
                return now
            assert time.monotonic() < deadline, "the picture of the viewer does not stand still"
            before = now

    def _segmentations(self) -> Sequence[str]:
        found: list[str] = self.page.evaluate(
            "() => window.services.segmentationService.getSegmentations()"
            ".map((each) => each.segmentationId)"
        )
        return found

    def _settle(self) -> None:
        # Two frames are drawn before the screen shows what was asked for.
        self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        self.page.wait_for_timeout(700)

    def _close_tour(self) -> None:
        self.page.add_style_tag(
            content=".shepherd-modal-overlay-container, .shepherd-element { display: none }"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlay:
    """Where the screen changes when a segmentation is hidden.

    Parameters
    ----------
    changed : ndarray of bool, shape (height, width)
    points : ndarray of float, shape (n, 2)
        x, y of the centre of every voxel that is marked, by the viewer's camera.
    reach : float
        From the centre of a voxel to its corner, in pixels of the screen.
    """

    changed: NDArray[np.bool_]
    points: NDArray[np.float64]
    reach: float

    def covered(self) -> float:
        """Share of the marked voxels whose centre is drawn over."""
        x, y = self.points.round().astype(int).T
        height, width = self.changed.shape
        seen = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        return float(
            np.mean(
                [self.changed[b, a] if s else False for a, b, s in zip(x, y, seen, strict=True)]
            )
        )

    def astray(self) -> NDArray[np.intp]:
        """x, y of the pixels of the screen that change outside of every marked voxel."""
        y, x = np.nonzero(self.changed)
        pixels = np.stack([x, y], axis=1)
        distances, _ = cKDTree(self.points).query(pixels)
        return pixels[distances > self.reach + LINE]


def _slice_of(told: dict[str, Any]) -> DecodedSlice:
    labels = np.zeros(told["rows"] * told["columns"], dtype=np.uint8)
    for index, segment in told["marked"]:
        labels[index] = segment
    _, has_frame, frame = str(told["source"]).rpartition("/frames/")
    return DecodedSlice(
        source_uid=told["sop"],
        frame=int(frame) if has_frame else 1,
        image_id=told["source"],
        labels=labels.reshape(told["rows"], told["columns"]),
    )


def _differ(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(one.astype(int) - other).max(axis=2) > 12)


def _pixels(picture: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(picture)).convert("RGB"))
