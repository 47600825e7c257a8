"""Named sets of features; a profile fixes names and order for good.

Names are PyRadiomics': ``<image>_<class>_<feature>``, e.g. ``original_glcm_Contrast``,
``log-sigma-1-0-mm-3D_glrlm_RunEntropy``, ``lbp-2D_firstorder_Mean``. Wavelet packets have one
group of letters for each level, L (low-pass) or H (high-pass) for each axis in the order x, y, z:
``wavelet-packet-LLH-HLL_energy_Mean``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from node.radiomics.names import FEATURES_OF_CLASS, INTENSITY_CLASSES

Setting = float | str
Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ImageType:
    """A filter with its settings, the images that it makes, and what is measured on each.

    Parameters
    ----------
    filter : str
        Key of ``node.radiomics.filters.FILTERS``.
    images : tuple of str
        Names of the images, in the order of the features.
    classes : tuple of str
        Feature classes measured on each image.
    settings : mapping of str to float or str
        Of the filter.
    bin_width : float, optional
        Width of the grey level bins on these images, where intensities are not those of the
        original (local binary patterns).
    minimum_voxels : int
        Extent that the image must have along every axis (of the slice, if the profile is planar).
    minimum_mm : float
        The image must reach this far beyond one voxel, too.
    """

    filter: str
    images: tuple[str, ...]
    classes: tuple[str, ...] = INTENSITY_CLASSES
    settings: Mapping[str, Setting] = field(default_factory=dict)
    bin_width: float | None = None
    minimum_voxels: int = 1
    minimum_mm: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in their order."""
        return tuple(
            f"{image}_{name}_{feature}"
            for image in self.images
            for name in self.classes
            for feature in FEATURES_OF_CLASS[name]
        )


@dataclass(frozen=True, kw_only=True)
class FeatureProfile:
    """What is extracted.

    Parameters
    ----------
    name : str
    planar : bool
        Whether features are taken from the largest slice of the lesion only.
    image_types : tuple of ImageType
        In the order of the features.
    grid : {"centred", "pyradiomics"}
        How image and mask are resampled: on a grid that shares its centre with the image's, mask
        by partial volume, as IBSI has it; or by PyRadiomics itself.
    margin_voxels : int
        What filters see beyond the lesion's box, at least.
    """

    name: str
    planar: bool
    image_types: tuple[ImageType, ...]
    grid: Literal["centred", "pyradiomics"] = "centred"
    margin_voxels: int = 12

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in their order."""
        return tuple(name for kind in self.image_types for name in kind.names)

    def undefined(
        self,
        image_shape: tuple[int, int, int],
        lesion_shape: tuple[int, int, int],
        spacing_mm: Triple = (1.0, 1.0, 1.0),
    ) -> dict[str, str]:
        """Tell which features have no value on such data.

        Parameters
        ----------
        image_shape : tuple of int
            Slices, rows and columns of the image, on the grid on which features are computed.
        lesion_shape : tuple of int
            Those of the lesion's bounding box.
        spacing_mm : tuple of float
            Distances of slices, rows and columns.

        Returns
        -------
        dict of str to str
            Feature name -> reason. Other features may still come out as NaN for a lesion of very
            few voxels.
        """
        reasons: dict[str, str] = {}
        axes = (1, 2) if self.planar else (0, 1, 2)
        if not self.planar:
            reasons |= _undefined_shape(self.names, image_shape[0], lesion_shape[0])
        for kind in self.image_types:
            for axis in axes:
                least = max(kind.minimum_voxels, math.ceil(kind.minimum_mm / spacing_mm[axis]) + 1)
                if image_shape[axis] < least:
                    where = ("slices", "rows", "columns")[axis]
                    text = f"the filter needs {least} {where}, the image has {image_shape[axis]}"
                    reasons |= dict.fromkeys(kind.names, text)
                    break
        return reasons


def _undefined_shape(
    names: tuple[str, ...], image_slices: int, lesion_slices: int
) -> dict[str, str]:
    shape = [name for name in names if name.split("_")[1] == "shape"]
    if image_slices == 1:
        return dict.fromkeys(shape, "the image is one slice: a lesion's thickness is not known")
    if lesion_slices == 1:
        flat = ("Flatness", "LeastAxisLength")
        reason = "the lesion lies in one slice: its third axis has no length"
        return {name: reason for name in shape if name.endswith(flat)}
    return {}


def _original(shape: str) -> ImageType:
    return ImageType(filter="original", images=("original",), classes=(shape, *INTENSITY_CLASSES))


def _packets(axes: int, level: int) -> tuple[str, ...]:
    bands = ["".join(letters) for letters in product("LH", repeat=axes)]
    return tuple(f"wavelet-packet-{'-'.join(path)}" for path in product(bands, repeat=level))


def _wavelet_packets(axes: int, level: int) -> ImageType:
    return ImageType(
        filter="wavelet-packet",
        images=_packets(axes, level),
        classes=("energy",),
        settings={"wavelet": "coif1", "level": level},
        minimum_voxels=2**level,
    )


def _log(sigma_mm: float, axes: int, classes: tuple[str, ...]) -> ImageType:
    return ImageType(
        filter=f"log-{axes}D",
        images=(f"log-sigma-{str(float(sigma_mm)).replace('.', '-')}-mm-{axes}D",),
        classes=classes,
        settings={"sigma_mm": sigma_mm},
        minimum_voxels=4,
        minimum_mm=sigma_mm,
    )


def _lbp_2d(classes: tuple[str, ...]) -> ImageType:
    return ImageType(
        filter="lbp-2D", images=("lbp-2D",), classes=classes, bin_width=1.0, minimum_voxels=1
    )


def _gabor(wavelength_mm: float) -> ImageType:
    return ImageType(
        filter="gabor",
        images=(f"gabor-lambda-{str(float(wavelength_mm)).replace('.', '-')}-mm",),
        settings={"wavelength_mm": wavelength_mm},
    )


SIGMAS_MM = (1.0, 2.0, 3.0)
GABOR_WAVELENGTHS_MM = (4.0, 8.0)

#: 102 features of the lesion's largest slice, resampled by PyRadiomics. The training set holds
#: single slices, so volumes are judged by one slice too.
PLANAR_102 = FeatureProfile(
    name="planar-102", planar=True, image_types=(_original("shape2D"),), grid="pyradiomics"
)

#: The counterpart of ``standard-237`` for single slices: 9 shape, 93 first-order and texture, 64
#: wavelet packet energies (2D, level 3), 18 first-order on LBP, 48 GLRLM on LoG.
PLANAR_232 = FeatureProfile(
    name="planar-232",
    planar=True,
    image_types=(
        _original("shape2D"),
        _wavelet_packets(axes=2, level=3),
        _lbp_2d(("firstorder",)),
        *(_log(sigma_mm, 2, ("glrlm",)) for sigma_mm in SIGMAS_MM),
    ),
    margin_voxels=24,
)

#: 14 shape, 93 first-order and texture, 64 wavelet packet energies (3D, level 2), 18 first-order
#: on LBP in slices, 48 GLRLM on LoG.
STANDARD_237 = FeatureProfile(
    name="standard-237",
    planar=False,
    image_types=(
        _original("shape"),
        _wavelet_packets(axes=3, level=2),
        _lbp_2d(("firstorder",)),
        *(_log(sigma_mm, 3, ("glrlm",)) for sigma_mm in SIGMAS_MM),
    ),
)

#: Every filter class, all first-order and texture features on each image that it makes.
FULL = FeatureProfile(
    name="full",
    planar=False,
    image_types=(
        _original("shape"),
        *(_log(sigma_mm, 3, INTENSITY_CLASSES) for sigma_mm in SIGMAS_MM),
        ImageType(
            filter="wavelet",
            images=tuple(f"wavelet-{''.join(letters)}" for letters in product("LH", repeat=3)),
            settings={"wavelet": "coif1"},
            minimum_voxels=2,
        ),
        _wavelet_packets(axes=3, level=2),
        ImageType(filter="square", images=("square",)),
        ImageType(filter="squareroot", images=("squareroot",)),
        ImageType(filter="logarithm", images=("logarithm",)),
        ImageType(filter="exponential", images=("exponential",)),
        ImageType(filter="gradient", images=("gradient",), minimum_voxels=2),
        _lbp_2d(INTENSITY_CLASSES),
        ImageType(
            filter="lbp-3D",
            images=("lbp-3D-m1", "lbp-3D-m2", "lbp-3D-k"),
            bin_width=1.0,
            minimum_voxels=3,
        ),
        *(_gabor(wavelength_mm) for wavelength_mm in GABOR_WAVELENGTHS_MM),
    ),
)

PROFILES = {profile.name: profile for profile in (PLANAR_102, PLANAR_232, STANDARD_237, FULL)}
