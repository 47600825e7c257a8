"""Coded concepts of the report that are not in the model's own description."""

import hashlib
from types import MappingProxyType

from node.domain.code import Code
from node.report.ibsi import IBSI_OF_FEATURE

PRIVATE_SCHEME = "99ONCONODE"
PRIVATE_SCHEME_NAME = "OncoNode private coding scheme"
IBSI_SCHEME_UID = "1.2.840.10008.2.16.13"
IBSI_SCHEME_NAME = "Image Biomarker Standardisation Initiative"

MALIGNANCY = Code(value="MALIGNANCY", scheme=PRIVATE_SCHEME, meaning="Malignancy assessment")
TUMOUR_TYPE = Code(value="TUMOUR_TYPE", scheme=PRIVATE_SCHEME, meaning="Predicted tumour type")
PRESENCE = Code(value="PRESENCE", scheme=PRIVATE_SCHEME, meaning="Presence of finding")
SEGMENTATION_CONFIDENCE = Code(
    value="SEG_CONFIDENCE",
    scheme=PRIVATE_SCHEME,
    meaning="Mean voxel probability of the segmentation",
)
ABSENT = Code(value="272519000", scheme="SCT", meaning="Absent")
COMMENT = Code(value="121106", scheme="DCM", meaning="Comment")
QUALITATIVE_EVALUATIONS = Code(value="C0034375", scheme="UMLS", meaning="Qualitative Evaluations")

PROBABILITY_OF_CANCER = Code(value="111047", scheme="DCM", meaning="Probability of cancer")
VOLUME = Code(value="118565006", scheme="SCT", meaning="Volume")
LONG_AXIS = Code(value="103339001", scheme="SCT", meaning="Long Axis")
SHORT_AXIS = Code(value="103340004", scheme="SCT", meaning="Short Axis")
MAXIMUM_3D_DIAMETER = Code(value="L0JK", scheme="IBSI", meaning="Maximum 3D Diameter of a Mesh")
ATTENUATION = Code(value="112031", scheme="DCM", meaning="Attenuation Coefficient")
MEAN = Code(value="373098007", scheme="SCT", meaning="Mean")

MILLILITRE = Code(value="ml", scheme="UCUM", meaning="milliliter")
MILLIMETRE = Code(value="mm", scheme="UCUM", meaning="millimeter")
SQUARE_MILLIMETRE = Code(value="mm2", scheme="UCUM", meaning="square millimeter")
CUBIC_MILLIMETRE = Code(value="mm3", scheme="UCUM", meaning="cubic millimeter")
PER_MILLIMETRE = Code(value="/mm", scheme="UCUM", meaning="per millimeter")
PERCENT = Code(value="%", scheme="UCUM", meaning="Percent")
HOUNSFIELD = Code(value="[hnsf'U]", scheme="UCUM", meaning="Hounsfield unit")
NO_UNITS = Code(value="1", scheme="UCUM", meaning="no units")

# Context group 100, as validators of TID 1500 accept it; the region is in the finding site.
PROCEDURES = MappingProxyType(
    {
        "CT": Code(value="25045-6", scheme="LN", meaning="CT unspecified body region"),
        "MR": Code(value="25056-3", scheme="LN", meaning="MRI unspecified body region"),
    }
)

_TUMOUR_TYPES = MappingProxyType(
    {
        "meningioma": Code(value="302820008", scheme="SCT", meaning="Intracranial meningioma"),
        "glioma": Code(value="393564001", scheme="SCT", meaning="Glioma"),
        "pituitary tumour": Code(
            value="127024001", scheme="SCT", meaning="Neoplasm of pituitary gland"
        ),
        "pituitary adenoma": Code(value="254956000", scheme="SCT", meaning="Pituitary adenoma"),
    }
)

_FEATURE_UNITS = MappingProxyType(
    {
        "MeshVolume": CUBIC_MILLIMETRE,
        "VoxelVolume": CUBIC_MILLIMETRE,
        "SurfaceArea": SQUARE_MILLIMETRE,
        "SurfaceVolumeRatio": PER_MILLIMETRE,
        "MajorAxisLength": MILLIMETRE,
        "MinorAxisLength": MILLIMETRE,
        "LeastAxisLength": MILLIMETRE,
        "Maximum3DDiameter": MILLIMETRE,
        "Maximum2DDiameterSlice": MILLIMETRE,
        "Maximum2DDiameterColumn": MILLIMETRE,
        "Maximum2DDiameterRow": MILLIMETRE,
    }
)


def tumour_type_code(name: str) -> Code:
    """Code for a tumour type that a bundle names in words; private where we know no other."""
    known = _TUMOUR_TYPES.get(" ".join(name.lower().replace("_", " ").split()))
    american = _TUMOUR_TYPES.get(name.lower().replace("_", " ").replace("tumor", "tumour"))
    return known or american or _private("T", name, name)


def type_probability_code(name: str) -> Code:
    """Code for the probability of one tumour type."""
    return _private("P", name, f"Probability of {name}")


def feature_code(name: str) -> Code:
    """Code for a radiomics feature by its PyRadiomics name.

    IBSI where the definitions are the same, else private with the PyRadiomics name as meaning.
    """
    if name in IBSI_OF_FEATURE:
        value, meaning = IBSI_OF_FEATURE[name]
        return Code(value=value, scheme="IBSI", meaning=meaning)
    return _private("F", name, name)


def feature_unit(name: str) -> Code:
    """UCUM unit of a feature.

    Intensities have none: features are computed on normalised images, and a unit that is only
    sometimes true is worse than none.
    """
    family, _, member = name.removeprefix("original_").partition("_")
    return _FEATURE_UNITS.get(member, NO_UNITS) if family == "shape" else NO_UNITS


def _private(kind: str, name: str, meaning: str) -> Code:
    # Code values are short strings; a digest stays the same whatever is added to the list.
    digest = hashlib.sha256(name.encode()).hexdigest()[:12].upper()
    return Code(value=f"{kind}_{digest}", scheme=PRIVATE_SCHEME, meaning=meaning[:64])
