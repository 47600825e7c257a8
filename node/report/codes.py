"""Coded concepts of the report that are not in the model's own description."""

import hashlib
from types import MappingProxyType

from node.domain.code import Code
from node.domain.prior import Response
from node.report.ibsi import IBSI_OF_FEATURE


def _dcm(value: str, meaning: str) -> Code:
    return Code(value=value, scheme="DCM", meaning=meaning)


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
UNDETERMINED = Code(value="373068000", scheme="SCT", meaning="Undetermined")
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
DAY = Code(value="d", scheme="UCUM", meaning="day")

VOLUME_CHANGE = Code(
    value="VOLUME_CHANGE",
    scheme=PRIVATE_SCHEME,
    meaning="Relative change of volume since the earlier examination",
)
LONG_AXIS_CHANGE = Code(
    value="LONG_AXIS_CHANGE",
    scheme=PRIVATE_SCHEME,
    meaning="Relative change of long axis since the earlier examination",
)
EARLIER_VOLUME = Code(
    value="EARLIER_VOLUME", scheme=PRIVATE_SCHEME, meaning="Volume in the earlier examination"
)
EARLIER_LONG_AXIS = Code(
    value="EARLIER_LONG_AX", scheme=PRIVATE_SCHEME, meaning="Long axis in the earlier examination"
)
PREDECESSOR = Code(
    value="PREDECESSOR_UID",
    scheme=PRIVATE_SCHEME,
    meaning="Tracking UID of an earlier lesion that this one comes from",
)
PLACE = tuple(
    Code(
        value=f"PLACE_{axis}",
        scheme=PRIVATE_SCHEME,
        meaning=f"Expected middle of a lesion outside the images, {axis} (LPS)",
    )
    for axis in "XYZ"
)
"""In the frame of reference of the images that do not show it."""
DOUBLING_TIME = Code(
    value="DOUBLING_TIME", scheme=PRIVATE_SCHEME, meaning="Doubling time of the volume"
)
CHANGE = Code(value="CHANGE", scheme=PRIVATE_SCHEME, meaning="Change since the earlier examination")
NEW = Code(value="7147002", scheme="SCT", meaning="New")
INCREASE_IN_SIZE = Code(value="15454001", scheme="SCT", meaning="Increase in size")
DECREASE_IN_SIZE = Code(value="19776001", scheme="SCT", meaning="Decrease in size")
STABLE = Code(value="58158008", scheme="SCT", meaning="Stable")
TARGET_LESION = Code(value="112074", scheme="DCM", meaning="Target Lesion at Baseline")
NON_TARGET_LESION = Code(value="112075", scheme="DCM", meaning="Non-Target Lesion at Baseline")
LESION_AT_BASELINE = Code(
    value="AT_BASELINE", scheme=PRIVATE_SCHEME, meaning="Role of the lesion at baseline"
)
CURRENT_RESPONSE = Code(value="112048", scheme="DCM", meaning="Current Response")
RESPONSE_METHOD = Code(value="112021", scheme="DCM", meaning="Response Evaluation Method")
RECIST_1_1 = Code(value="126081", scheme="DCM", meaning="RECIST 1.1")

# Context groups 6143 and 6144: response of target lesions, and of the others.
TARGET_RESPONSES = MappingProxyType(
    {
        Response.COMPLETE: _dcm("112041", "Target Lesion Complete Response"),
        Response.PARTIAL: _dcm("112042", "Target Lesion Partial Response"),
        Response.PROGRESSIVE: _dcm("112043", "Target Lesion Progressive Disease"),
        Response.STABLE: _dcm("112044", "Target Lesion Stable Disease"),
    }
)
OTHER_RESPONSES = MappingProxyType(
    {
        Response.COMPLETE: _dcm("112045", "Non-Target Lesion Complete Response"),
        Response.NON_CR_NON_PD: _dcm(
            "112046", "Non-Target Lesion Incomplete Response or Stable Disease"
        ),
        Response.PROGRESSIVE: _dcm("112047", "Non-Target Lesion Progressive Disease"),
    }
)

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
