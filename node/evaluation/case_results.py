"""What a bundle made of labelled cases: outlines, lesions and assessments, one row each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.evaluation.lesionwise import LesionMatch, name_size_class
from node.evaluation.slice_figures import SliceResults
from node.evaluation.surface import MaskFigures

#: Columns of the notes that cases are grouped by, and the words for them in a report.
NOTED_GROUPS: Mapping[str, str] = {"identifiers": "identifiers", "orientation": "orientation"}


@dataclass(frozen=True, kw_only=True, eq=False)
class CaseResults(SliceResults):
    """Results with the figures of outlines and lesions.

    Parameters
    ----------
    identifiers : ndarray of str, shape (n,)
    masks : tuple of MaskFigures
    lesions : tuple of LesionMatch
    quiet_slices : ndarray of float64, shape (n,)
        Share of the slices without tumour that were left without a mark; NaN where every slice
        holds tumour.
    notes : tuple of mapping of str to str
        Further columns of the data set, by which cases can be grouped.
    reasons : ndarray of str, shape (n,)
        Why the assessment was indeterminate; empty where it was not.
    """

    identifiers: NDArray[np.str_]
    masks: tuple[MaskFigures, ...]
    lesions: tuple[LesionMatch, ...]
    quiet_slices: NDArray[np.float64]
    notes: tuple[Mapping[str, str], ...]
    reasons: NDArray[np.str_]

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one of the figures of ``MaskFigures`` for all cases."""
        return np.array([getattr(one, name) for one in self.masks], float)

    @property
    def size_classes(self) -> NDArray[np.str_]:
        """Size class of the largest labelled lesion of each case; empty where there is none."""
        return np.array(
            [
                name_size_class(float(one.diameter_mm.max())) if len(one.diameter_mm) else ""
                for one in self.lesions
            ],
            dtype=np.str_,
        )

    def lesion_rows(self) -> dict[str, NDArray[Any]]:
        """Return all labelled lesions, one row each: patients, diameter_mm, size_class, found."""
        counts = [len(one.diameter_mm) for one in self.lesions]
        diameters = [d for one in self.lesions for d in one.diameter_mm]
        return {
            "patients": np.repeat(self.patients, counts),
            "diameter_mm": np.array(diameters, float),
            "size_class": np.array([name_size_class(float(d)) for d in diameters], dtype=np.str_),
            "found": np.array([f for one in self.lesions for f in one.found], bool),
        }

    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """Return the groups that a report tells apart: name to cases, shape (n,)."""
        named = {"all": np.ones(len(self.patients), bool)}
        columns: dict[str, NDArray[np.str_]] = {
            "type": self.tumour_types,
            **{
                words: np.array([one.get(key, "") for one in self.notes], dtype=np.str_)
                for key, words in NOTED_GROUPS.items()
            },
            "lesion": self.size_classes,
        }
        for column, values in columns.items():
            for value in np.unique(values):
                if value:
                    named[f"{column}: {value}"] = values == value
        return named
