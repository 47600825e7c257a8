"""Features of predicted lesions: what the classifier is trained and judged on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from rich.progress import track

from node.domain.segmentation import Segmentation
from node.evaluation.overlap import measure_dice
from node.radiomics.extract import Extractor
from node.segment.lesions import LesionSpec, find_lesions
from node.segment.network import Network
from node.training.datasets.labelled import LabelledCase

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureTable:
    """One row for each labelled slice.

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

    def select(self, rows: NDArray[np.bool_]) -> "FeatureTable":
        """Return the chosen rows."""
        columns = {
            name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "names"
        }
        return FeatureTable(names=self.names, **columns)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Rows whose features are all defined."""
        return np.asarray(~np.isnan(self.values).any(axis=1))

    def save(self, path: Path) -> None:
        """Write as a compressed npz without pickles."""
        np.savez_compressed(path, **{n: getattr(self, n) for n in self.__dataclass_fields__})

    @classmethod
    def load(cls, path: Path) -> "FeatureTable":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as content:
            columns = {name: content[name] for name in content.files}
        columns["names"] = tuple(str(name) for name in columns["names"])
        return cls(**columns)


def build_feature_table(
    slices: Sequence[LabelledCase],
    parts: dict[str, str],
    *,
    network: Network,
    lesions: LesionSpec,
    extractor: Extractor,
) -> FeatureTable:
    """Segment every slice as the node would and extract the features of its largest lesion."""
    rows = []
    for item in track(slices, description="features"):
        probability = network.predict(item.volume)
        segmentation = find_lesions(item.volume, probability, lesions, model_digest="")
        rows.append(_measure(item, segmentation, extractor))
    dice, overlap, count, values = zip(*rows, strict=True)
    return FeatureTable(
        names=extractor.names,
        identifiers=_texts(item.identifier for item in slices),
        patients=_texts(item.patient for item in slices),
        parts=_texts(parts[item.patient] for item in slices),
        tumour_types=_texts(item.tumour_type for item in slices),
        malignant=np.array([item.malignant for item in slices]),
        dice=np.array(dice),
        overlap=np.array(overlap),
        lesion_count=np.array(count),
        values=np.stack(values),
    )


def _measure(
    item: LabelledCase, segmentation: Segmentation, extractor: Extractor
) -> tuple[float, float, int, NDArray[np.float64]]:
    dice = measure_dice(segmentation.labels, item.mask)
    if not segmentation.lesions:
        return dice, 0.0, 0, np.full(len(extractor.names), np.nan)
    largest = segmentation.lesions[0]
    overlap = measure_dice(segmentation.labels == largest.number, item.mask)
    vector = extractor.extract(item.volume, segmentation, largest)
    return dice, overlap, len(segmentation.lesions), vector.values


def _texts(items: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(items), dtype=np.str_)
