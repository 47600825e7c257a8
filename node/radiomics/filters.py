"""All filters, by name: PyRadiomics' own where it has one that works, else one file each here."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import SimpleITK as sitk

from node.radiomics.gabor import filter_gabor
from node.radiomics.lbp_3d import filter_lbp_3d
from node.radiomics.region import Region
from node.radiomics.wavelet_packet import filter_wavelet_packets

#: Standard deviations of a Gaussian beyond which a filter sees nothing.
LOG_REACH = 5.0
#: Region and settings in; names and images over the lesion's box out.
Filter = Callable[[Region, Mapping[str, Any]], Iterator[tuple[str, sitk.Image]]]


def _pyradiomics(image_type: str, **names: str) -> Filter:
    """Wrap one of PyRadiomics' filters; ``names`` maps its settings to ours."""

    def apply(region: Region, settings: Mapping[str, Any]) -> Iterator[tuple[str, sitk.Image]]:
        from radiomics import imageoperations  # deferred: slow to load

        function = getattr(imageoperations, f"get{image_type}Image")
        chosen = {theirs: settings[ours] for theirs, ours in names.items()}
        made = function(region.image, region.mask, force2D=region.planar, **chosen)
        for image, name, _ in made:
            yield name, region.crop(image)

    return apply


def _filter_log_3d(region: Region, settings: Mapping[str, Any]) -> Iterator[tuple[str, sitk.Image]]:
    near = region.trim(LOG_REACH * settings["sigma_mm"])
    return _pyradiomics("LoG", sigma="sigmas_mm")(near, {"sigmas_mm": [settings["sigma_mm"]]})


def _filter_log_2d(region: Region, settings: Mapping[str, Any]) -> Iterator[tuple[str, sitk.Image]]:
    """LoG in the slice: PyRadiomics' filter, which refuses a slice, has the same settings."""
    sigma_mm = float(settings["sigma_mm"])
    response = sitk.LaplacianRecursiveGaussian(region.image[:, :, 0], sigma_mm, True)
    name = f"log-sigma-{str(sigma_mm).replace('.', '-')}-mm-2D"
    yield name, region.crop(region.like_image(sitk.GetArrayFromImage(response)[None]))


def _filter_lbp_2d(region: Region, _: Mapping[str, Any]) -> Iterator[tuple[str, sitk.Image]]:
    """LBP of whole numbers: of equal neighbours, rounding would else decide which is brighter."""
    near = region.trim(0.0)
    whole = sitk.Cast(sitk.Round(near.image), sitk.sitkInt32)
    rounded = Region(image=whole, mask=near.mask, box=near.box, planar=near.planar)
    return _pyradiomics("LBP2D")(rounded, {})


FILTERS: Mapping[str, Filter] = MappingProxyType(
    {
        "original": _pyradiomics("Original"),
        "log-3D": _filter_log_3d,
        "log-2D": _filter_log_2d,
        "wavelet": _pyradiomics("Wavelet", wavelet="wavelet"),
        "wavelet-packet": filter_wavelet_packets,
        "square": _pyradiomics("Square"),
        "squareroot": _pyradiomics("SquareRoot"),
        "logarithm": _pyradiomics("Logarithm"),
        "exponential": _pyradiomics("Exponential"),
        "gradient": _pyradiomics("Gradient"),
        "lbp-2D": _filter_lbp_2d,
        "lbp-3D": filter_lbp_3d,
        "gabor": filter_gabor,
    }
)
