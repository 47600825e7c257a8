"""Extract radiomics features of a lesion with PyRadiomics.

References
----------
van Griethuysen et al., Cancer Research 77(21), 2017, doi:10.1158/0008-5472.CAN-17-0339.
Zwanenburg et al. (IBSI), Radiology 295(2), 2020, doi:10.1148/radiol.2020191145.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from node.domain.features import FeatureVector
from node.domain.intensity import normalise_over_tissue
from node.domain.segmentation import Lesion, Segmentation
from node.domain.volume import Volume
from node.radiomics.profiles import FeatureProfile

#: Normalised intensities are multiplied by this, so that a bin width reads as percent of one
#: standard deviation of the tissue.
SCALE = 100.0


@dataclass(frozen=True, kw_only=True)
class ExtractionSpec:
    """Settings that change feature values; part of a bundle's manifest.

    Parameters
    ----------
    profile : FeatureProfile
    spacing_mm : float
        In-plane spacing to which image (B-spline) and mask (nearest neighbour) are resampled.
    bin_width : float
        Width of the grey level bins, in hundredths of the tissue's standard deviation.
    foreground_fraction : float
        See ``normalise_over_tissue``.
    """

    profile: FeatureProfile
    spacing_mm: float
    bin_width: float
    foreground_fraction: float


class Extractor:
    """PyRadiomics with the settings of one bundle."""

    def __init__(self, spec: ExtractionSpec) -> None:
        import radiomics  # deferred: it loads slowly and only workers and training need it
        from radiomics.featureextractor import RadiomicsFeatureExtractor

        # Its own logger talks at INFO whatever the root's level is, two lines for each lesion.
        logging.getLogger(radiomics.__name__).setLevel(logging.ERROR)
        self.spec = spec
        self._extractor: Any = RadiomicsFeatureExtractor(
            binWidth=spec.bin_width,
            resampledPixelSpacing=[spec.spacing_mm, spec.spacing_mm, 0],
            force2D=spec.profile.planar,
            force2Ddimension=0,
            additionalInfo=False,
            minimumROIDimensions=1,
            correctMask=True,
        )
        self._extractor.disableAllFeatures()
        self._extractor.disableAllImageTypes()
        self._extractor.enableImageTypeByName("Original")
        for name in spec.profile.classes:
            self._extractor.enableFeatureClassByName(name)
        self.names = tuple(
            f"original_{name}_{feature}"
            for name in spec.profile.classes
            for feature, deprecated in sorted(_feature_names(name).items())
            if not deprecated
        )

    def extract(self, volume: Volume, segmentation: Segmentation, lesion: Lesion) -> FeatureVector:
        """Extract the features of one lesion.

        Returns
        -------
        FeatureVector
            With NaN where a feature is undefined; all of them where the lesion is too small to
            be meshed.
        """
        k = lesion.largest_slice
        return self.extract_slice(
            volume.voxels[k],
            segmentation.labels[k] == lesion.number,
            spacing_mm=volume.geometry.spacing_mm[1:],
            lesion_number=lesion.number,
        )

    def extract_slice(
        self,
        image: NDArray[Any],
        mask: NDArray[np.bool_],
        *,
        spacing_mm: tuple[float, float],
        lesion_number: int = 1,
    ) -> FeatureVector:
        """Extract from one slice (rows, columns) with the spacing of its rows and columns."""
        values = np.full(len(self.names), np.nan)
        pixels = image.astype(np.float32)
        scaled = normalise_over_tissue(
            pixels - min(0.0, float(pixels.min())),
            foreground_fraction=self.spec.foreground_fraction,
        )
        if scaled is not None and mask.any():
            try:
                found = self._extractor.execute(
                    _as_image(scaled * SCALE, spacing_mm),
                    _as_image(mask.astype(np.uint8), spacing_mm),
                )
            except (ValueError, RuntimeError):
                found = {}  # PyRadiomics refuses masks that vanish or flatten when resampled
            values = np.array([float(found.get(name, np.nan)) for name in self.names])
        values[~np.isfinite(values)] = np.nan
        return FeatureVector(
            names=self.names,
            values=values,
            profile=self.spec.profile.name,
            lesion_number=lesion_number,
        )


def _feature_names(feature_class: str) -> dict[str, bool]:
    from radiomics import getFeatureClasses

    names: dict[str, bool] = getFeatureClasses()[feature_class].getFeatureNames()
    return names


def _as_image(plane: NDArray[Any], spacing_mm: tuple[float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(plane[None])
    image.SetSpacing((spacing_mm[1], spacing_mm[0], 1.0))
    return image
