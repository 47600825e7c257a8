"""Extract radiomics features of a lesion: PyRadiomics' classes on the images of a profile.

References
----------
van Griethuysen et al., Cancer Research 77(21), 2017, doi:10.1158/0008-5472.CAN-17-0339.
Zwanenburg et al. (IBSI), Radiology 295(2), 2020, doi:10.1148/radiol.2020191145.
"""

import logging
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from node.domain.features import FeatureVector
from node.domain.hanging import find_hanging
from node.domain.intensity import normalise_over_tissue
from node.domain.segmentation import Lesion, Segmentation
from node.domain.volume import Volume
from node.radiomics.filters import FILTERS
from node.radiomics.grid import resample_region
from node.radiomics.measure import measure_classes
from node.radiomics.profiles import FeatureProfile, ImageType
from node.radiomics.region import Region

#: Normalised intensities are multiplied by this, so that a bin width reads as percent of one
#: standard deviation of the tissue.
SCALE = 100.0
#: What filters see beyond the lesion's box: five standard deviations of the widest LoG.
MARGIN_MM = 15.0


@dataclass(frozen=True, kw_only=True)
class ExtractionSpec:
    """Settings that change feature values; part of a bundle's manifest.

    Parameters
    ----------
    profile : FeatureProfile
    spacing_mm : float
        In-plane spacing to which image (B-spline) and mask are resampled.
    bin_width : float
        Width of the grey level bins, in hundredths of the tissue's standard deviation, or in the
        unit of the image (HU) where it is not normalised.
    foreground_fraction : float
        See ``normalise_over_tissue``; not used where nothing is normalised.
    normalisation : {"tissue", "none"}
        Zero mean and unit deviation over the tissue of the slice (planar profiles) or of the
        volume; or intensities as they are (CT), rounded to whole HU after resampling as IBSI
        has it, except in ``planar-102``.
    slice_spacing_mm : float, optional
        Distance of slices to which volumes are resampled; None leaves the slices as they are.
    """

    profile: FeatureProfile
    spacing_mm: float
    bin_width: float
    foreground_fraction: float = 0.0
    normalisation: Literal["tissue", "none"] = "tissue"
    slice_spacing_mm: float | None = None


class Extractor:
    """A feature profile with the settings of one bundle."""

    def __init__(self, spec: ExtractionSpec) -> None:
        import radiomics  # deferred: it loads slowly and only workers and training need it
        from radiomics.featureextractor import RadiomicsFeatureExtractor

        # Its own logger talks at INFO whatever the root's level is, two lines for each lesion.
        logging.getLogger(radiomics.__name__).setLevel(logging.ERROR)
        self.spec = spec
        self.names = spec.profile.names
        self._load: Any = RadiomicsFeatureExtractor.loadImage
        self._settings: dict[str, Any] = RadiomicsFeatureExtractor(
            binWidth=spec.bin_width,
            resampledPixelSpacing=[spec.spacing_mm, spec.spacing_mm, 0],
            force2D=spec.profile.planar,
            force2Ddimension=0,
            additionalInfo=False,
            minimumROIDimensions=1,
            correctMask=True,
        ).settings

    def extract(self, volume: Volume, segmentation: Segmentation, lesion: Lesion) -> FeatureVector:
        """Extract the features of one lesion: of its largest slice, if the profile is planar.

        Local binary patterns and wavelets know up from down: slices are turned as they hang, so
        that the order in which a scanner stores rows, columns and slices makes no difference.

        Returns
        -------
        FeatureVector
            With NaN where a feature is undefined; all of them where the lesion is too small to
            be meshed.
        """
        hanging = find_hanging(volume.geometry)
        spacing_mm = hanging.spacing(volume.geometry.spacing_mm)
        if self.spec.profile.planar:
            k = lesion.largest_slice
            return self.extract_slice(
                hanging.apply(volume.voxels[k]),
                hanging.apply(segmentation.labels[k] == lesion.number),
                spacing_mm=spacing_mm[1:],
                lesion_number=lesion.number,
            )
        return self._extract(
            hanging.stack(volume.voxels),
            hanging.stack(segmentation.mask_of(lesion)),
            spacing_mm,
            lesion.number,
        )

    def extract_volume(
        self,
        voxels: NDArray[Any],
        mask: NDArray[np.bool_],
        *,
        spacing_mm: tuple[float, float, float],
        lesion_number: int = 1,
    ) -> FeatureVector:
        """Extract from a volume (z, y, x) with the spacing of its slices, rows and columns.

        A planar profile sees the slice on which the mask is largest.
        """
        if self.spec.profile.planar:
            k = int(np.argmax(mask.sum(axis=(1, 2))))
            return self.extract_slice(
                voxels[k], mask[k], spacing_mm=spacing_mm[1:], lesion_number=lesion_number
            )
        return self._extract(voxels, mask, spacing_mm, lesion_number)

    def extract_slice(
        self,
        image: NDArray[Any],
        mask: NDArray[np.bool_],
        *,
        spacing_mm: tuple[float, float],
        lesion_number: int = 1,
    ) -> FeatureVector:
        """Extract from one slice (rows, columns) with the spacing of its rows and columns.

        A profile in three dimensions gets a volume of one slice: what needs more is NaN.
        """
        return self._extract(image[None], mask[None], (1.0, *spacing_mm), lesion_number)

    def _extract(
        self,
        voxels: NDArray[Any],
        mask: NDArray[np.bool_],
        spacing_mm: tuple[float, float, float],
        lesion_number: int,
    ) -> FeatureVector:
        region = self._prepare(voxels, mask, spacing_mm)
        found = {} if region is None else self._measure(region)
        return FeatureVector(
            names=self.names,
            values=np.array([found.get(name, np.nan) for name in self.names], np.float64),
            profile=self.spec.profile.name,
            lesion_number=lesion_number,
        )

    def _prepare(
        self, voxels: NDArray[Any], mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
    ) -> Region | None:
        """Normalise, cut out and resample; None where no lesion is left."""
        from radiomics.imageoperations import checkMask

        scaled = self._normalise(voxels) if mask.any() else None
        if scaled is None:
            return None
        try:
            if self.spec.profile.grid == "pyradiomics":
                pair = _as_image(scaled, spacing_mm), _as_image(mask.astype(np.uint8), spacing_mm)
                image, label = self._load(*pair, None, **self._settings)
            else:
                image, label = self._resample(scaled, mask, spacing_mm)
            box, _ = checkMask(image, label, **self._settings)
        except (ValueError, RuntimeError):
            return None  # holes in the image; or a mask that vanishes or is a single voxel
        return Region(image=image, mask=label, box=box, planar=self.spec.profile.planar)

    def _normalise(self, voxels: NDArray[Any]) -> NDArray[Any] | None:
        if self.spec.normalisation == "none":
            return voxels
        pixels = voxels.astype(np.float32)
        scaled = normalise_over_tissue(
            pixels - min(0.0, float(pixels.min())),
            foreground_fraction=self.spec.foreground_fraction,
        )
        return None if scaled is None else scaled * np.float32(SCALE)

    def _resample(
        self, voxels: NDArray[Any], mask: NDArray[np.bool_], source_mm: tuple[float, float, float]
    ) -> tuple[sitk.Image, sitk.Image]:
        in_plane_mm = self.spec.spacing_mm
        slices_mm = 0.0 if self.spec.profile.planar else self.spec.slice_spacing_mm or 0.0
        spacing_mm = (slices_mm, in_plane_mm, in_plane_mm)
        z, y, x = (
            max(math.ceil(MARGIN_MM / (new or old)), self.spec.profile.margin_voxels)
            for new, old in zip(spacing_mm, source_mm, strict=True)
        )
        image, label = resample_region(
            voxels, mask, source_mm=source_mm, spacing_mm=spacing_mm, margin=(z, y, x)
        )
        if not np.isfinite(sitk.GetArrayViewFromImage(image)).all():
            raise ValueError("the image has holes, which a spline carries everywhere")
        return (sitk.Round(image) if self.spec.normalisation == "none" else image), label

    def _measure(self, region: Region) -> dict[str, float]:
        profile = self.spec.profile
        undefined = (
            profile.undefined(region.image_shape, region.lesion_shape, region.spacing_mm)
            if profile.grid == "centred"
            else {}
        )
        values: dict[str, float] = {}
        for kind in profile.image_types:
            if not undefined.keys() >= set(kind.names):
                values |= self._measure_images(region, kind)
        return {name: value for name, value in values.items() if name not in undefined}

    def _measure_images(self, region: Region, kind: ImageType) -> dict[str, float]:
        settings = self._settings | ({"binWidth": kind.bin_width} if kind.bin_width else {})
        mask = region.crop(region.mask)
        return {
            f"{name}_{feature}": value
            for name, image in FILTERS[kind.filter](region, kind.settings)
            for feature, value in measure_classes(image, mask, kind.classes, settings).items()
        }


def _as_image(voxels: NDArray[Any], spacing_mm: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing_mm[::-1])
    return image
