"""Features of predicted lesions: what the classifier is trained and judged on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from node.domain.segmentation import Segmentation
from node.evaluation.overlap import measure_dice
from node.radiomics.extract import Extractor
from node.segment.lesions import LesionSpec
from node.training.datasets.labelled import LabelledCase
from node.training.handmade import HANDMADE, measure_handmade
from node.training.segment_cases import CaseSegmenter

#: Fields that name columns; every other field has one entry for each row.
NAMES = ("names", "handmade_names")


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureTable:
    """One row for each labelled case.

    Parameters
    ----------
    names : tuple of str
        Features.
    identifiers, patients, parts, tumour_types : ndarray of str, shape (n,)
    malignant : ndarray of bool, shape (n,)
    dice : ndarray of float64, shape (n,)
        Of all predicted lesions together against the labelled tumour.
    overlap : ndarray of float64, shape (n,)
        Dice of the largest predicted lesion alone; 0 where nothing was found.
    lesion_count : ndarray of int64, shape (n,)
    values : ndarray of float64, shape (n, features)
        Of the largest predicted lesion; NaN where nothing was found.
    labelled : ndarray of bool, shape (n,), optional
        Whether ``malignant`` is known; a set may leave it open. All True if not given.
    handmade_names : tuple of str, optional
    handmade : ndarray of float64, shape (n, handmade features), optional
        Features without PyRadiomics (``node.training.handmade``), for the control group.
    """

    names: tuple[str, ...]
    identifiers: NDArray[np.str_]
    patients: NDArray[np.str_]
    parts: NDArray[np.str_]
    tumour_types: NDArray[np.str_]
    malignant: NDArray[np.bool_]
    dice: NDArray[np.float64]
    overlap: NDArray[np.float64]
    lesion_count: NDArray[np.int64]
    values: NDArray[np.float64]
    labelled: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    handmade_names: tuple[str, ...] = ()
    handmade: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        rows = len(self.patients)
        if not len(self.labelled):
            object.__setattr__(self, "labelled", np.ones(rows, bool))
        if not self.handmade_names:
            object.__setattr__(self, "handmade", np.empty((rows, 0)))

    def select(self, rows: NDArray[np.bool_]) -> "FeatureTable":
        """Return the chosen rows."""
        names = {name: getattr(self, name) for name in NAMES}
        columns = {
            name: getattr(self, name)[rows]
            for name in self.__dataclass_fields__
            if name not in NAMES
        }
        return FeatureTable(**names, **columns)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Rows with a lesion: at least one feature is defined."""
        return np.asarray(~np.isnan(self.values).all(axis=1))

    def save(self, path: Path) -> None:
        """Write as a compressed npz without pickles."""
        np.savez_compressed(path, **{n: getattr(self, n) for n in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> "FeatureTable":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as content:
            columns = {name: content[name] for name in content.files}
        for names in NAMES:
            columns[names] = tuple(str(name) for name in columns.get(names, ()))
        return cls(**columns)


def build_feature_table(
    cases: Sequence[LabelledCase],
    parts: dict[str, str],
    *,
    segmenter: CaseSegmenter,
    lesions: LesionSpec,
    extractor: Extractor,
) -> FeatureTable:
    """Segment every case as the node would and extract the features of its largest lesion."""
    rows = [
        _measure(item, segmenter.segment(item, lesions), extractor)
        for item in track(cases, description="features")
    ]
    dice, overlap, count, values, handmade = zip(*rows, strict=True)
    return FeatureTable(
        names=extractor.names,
        identifiers=_texts(item.identifier for item in cases),
        patients=_texts(item.patient for item in cases),
        parts=_texts(parts[item.patient] for item in cases),
        tumour_types=_texts(item.tumour_type for item in cases),
        malignant=np.array([bool(item.malignant) for item in cases]),
        labelled=np.array([item.malignant is not None for item in cases]),
        dice=np.array(dice),
        overlap=np.array(overlap),
        lesion_count=np.array(count),
        values=np.stack(values),
        handmade_names=HANDMADE,
        handmade=np.stack(handmade),
    )


def _measure(
    item: LabelledCase, segmentation: Segmentation, extractor: Extractor
) -> tuple[float, float, int, NDArray[np.float64], NDArray[np.float64]]:
    dice = measure_dice(segmentation.labels, item.mask)
    if not segmentation.lesions:
        undefined = np.full(len(extractor.names), np.nan), np.full(len(HANDMADE), np.nan)
        return dice, 0.0, 0, *undefined
    largest = segmentation.lesions[0]
    overlap = measure_dice(segmentation.labels == largest.number, item.mask)
    vector = extractor.extract(item.volume, segmentation, largest)
    handmade = measure_handmade(item.volume, segmentation.mask_of(largest))
    return dice, overlap, len(segmentation.lesions), vector.values, handmade


def _texts(items: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(items), dtype=np.str_)
