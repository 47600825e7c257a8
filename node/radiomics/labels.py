"""Feature names for people.

``log-sigma-2-0-mm-3D_glrlm_RunEntropy`` is ``LoG (2 mm) GLRLM run entropy``.

The words are those of the IBSI reference manual (arXiv:1612.07003) where it knows the feature.
"""

import re

_CLASSES = {
    "shape": "Shape",
    "shape2D": "2D shape",
    "firstorder": "first-order",
    "glcm": "GLCM",
    "glrlm": "GLRLM",
    "glszm": "GLSZM",
    "gldm": "NGLDM",
    "ngtdm": "NGTDM",
}
_IMAGES = {
    "original": "",
    "square": "Square",
    "squareroot": "Square root",
    "logarithm": "Logarithm",
    "exponential": "Exponential",
    "gradient": "Gradient",
    "lbp-2D": "LBP 2D",
    "lbp-3D-m1": "LBP 3D (degree 0)",
    "lbp-3D-m2": "LBP 3D (degree 1)",
    "lbp-3D-k": "LBP 3D (kurtosis)",
}
#: Features whose name is an abbreviation, or says something else than IBSI does.
_FEATURES = {
    "firstorder_10Percentile": "10th percentile",
    "firstorder_90Percentile": "90th percentile",
    "firstorder_RootMeanSquared": "root mean square",
    "glcm_Id": "inverse difference",
    "glcm_Idn": "normalised inverse difference",
    "glcm_Idm": "inverse difference moment",
    "glcm_Idmn": "normalised inverse difference moment",
    "glcm_Imc1": "first measure of information correlation",
    "glcm_Imc2": "second measure of information correlation",
    "glcm_MCC": "maximal correlation coefficient",
    "glcm_JointEnergy": "angular second moment",
    "glcm_MaximumProbability": "joint maximum",
    "glcm_SumSquares": "joint variance",
    "shape_Maximum2DDiameterSlice": "maximum 2D diameter in slices",
    "shape_Maximum2DDiameterColumn": "maximum 2D diameter in planes of columns",
    "shape_Maximum2DDiameterRow": "maximum 2D diameter in planes of rows",
    "shape_Maximum3DDiameter": "maximum 3D diameter",
    "shape_SurfaceVolumeRatio": "surface to volume ratio",
    "energy_Mean": "energy",
}


def label_feature(name: str) -> str:
    """Return a feature's name in words.

    Parameters
    ----------
    name : str
        Of any profile: ``<image>_<class>_<feature>``.

    Raises
    ------
    ValueError
        If the name is of no profile's form.
    """
    try:
        image, feature_class, feature = name.split("_")
        words = [_label_image(image), _CLASSES.get(feature_class, ""), ""]
    except (ValueError, KeyError) as fault:
        raise ValueError(f"not the name of a feature: {name!r}") from fault
    words[2] = _FEATURES.get(f"{feature_class}_{feature}") or _split_words(feature)
    text = " ".join(word for word in words if word)
    return text[0].upper() + text[1:]


def _label_image(image: str) -> str:
    if found := re.fullmatch(r"log-sigma-(\d+)-(\d+)-mm-([23])D", image):
        plane = " 2D" if found[3] == "2" else ""
        return f"LoG{plane} ({_number(found[1], found[2])} mm)"
    if found := re.fullmatch(r"gabor-lambda-(\d+)-(\d+)-mm", image):
        return f"Gabor ({_number(found[1], found[2])} mm)"
    if found := re.fullmatch(r"wavelet-packet-([LH-]+)", image):
        return f"Wavelet packet {found[1]}"
    if found := re.fullmatch(r"wavelet-([LH]+)", image):
        return f"Wavelet {found[1]}"
    return _IMAGES[image]


def _number(whole: str, fraction: str) -> str:
    return f"{float(f'{whole}.{fraction}'):g}"


def _split_words(camel_case: str) -> str:
    text = " ".join(re.findall(r"[A-Z][a-z]*", camel_case)).lower()
    text = text.replace("gray", "grey").replace("non uniformity", "non-uniformity")
    return f"normalised {text.removesuffix(' normalized')}" if "normalized" in text else text
