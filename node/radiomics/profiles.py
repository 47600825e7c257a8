"""Named sets of features; a profile fixes names and order for good."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FeatureProfile:
    """What is extracted.

    Parameters
    ----------
    name : str
    classes : tuple of str
        PyRadiomics feature classes, all features of each that PyRadiomics does not deprecate.
    planar : bool
        Whether features are taken from the largest slice of the lesion only.
    """

    name: str
    classes: tuple[str, ...]
    planar: bool


#: 102 features of the lesion's largest slice. The training set holds single slices, so volumes
#: are judged by one slice too.
PLANAR_102 = FeatureProfile(
    name="planar-102",
    classes=("shape2D", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"),
    planar=True,
)

PROFILES = {PLANAR_102.name: PLANAR_102}
