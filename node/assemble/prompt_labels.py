"""Which regions of a planning or segmentation object are lesions, by their names and codes.

Names are compared without regard to case; ``*`` and ``?`` are wildcards. A name or code of a
lesion counts most ("nodule in right lung"), then one of an organ, a planning margin or a device.
A name that tells neither ("ROI-3") is taken, unless the study holds regions that are lesions by
name or code.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from node.assemble.regions import Nature

LESIONS = (
    "*nodul*",
    "*lesion*",
    "*tumor*",
    "*tumour*",
    "*neoplas*",
    "*metasta*",
    "*cancer*",
    "*carcinom*",
    "*mass*",
    "*gtv*",
)

OTHERS = (
    "*lung*",
    "*pulmo*",
    "*lobe*",
    "*fissure*",
    "*heart*",
    "*cord*",
    "*canal*",
    "*spin*",
    "*esoph*",
    "*oesoph*",
    "*trachea*",
    "*bronch*",
    "*airway*",
    "*carina*",
    "*aorta*",
    "*artery*",
    "*vein*",
    "*vessel*",
    "*cava*",
    "*atrium*",
    "*ventric*",
    "*plexus*",
    "*chest*",
    "*thorax*",
    "*rib*",
    "*bone*",
    "*vertebra*",
    "*stern*",
    "*clavic*",
    "*scapula*",
    "*humer*",
    "*muscle*",
    "*brain*",
    "*diaphragm*",
    "*liver*",
    "*spleen*",
    "*kidney*",
    "*stomach*",
    "*pancrea*",
    "*bowel*",
    "*thyroid*",
    "*larynx*",
    "*breast*",
    "*body*",
    "*external*",
    "*outline*",
    "*skin*",
    "*patient*",
    "*couch*",
    "*table*",
    "*ptv*",
    "*ctv*",
    "*itv*",
    "*prv*",
    "*margin*",
    "*avoid*",
    "ring*",
    "*dose*",
    "*iso*cent*",
    "*marker*",
    "*background*",
)


def matches(label: str, patterns: Sequence[str]) -> bool:
    """Tell whether any pattern fits the whole name."""
    folded = label.strip().casefold()
    return any(fnmatchcase(folded, p.strip().casefold().replace("[", "[[]")) for p in patterns)


def judge_label(label: str, nature: Nature) -> Nature:
    """Tell what a region is by its name, and where that says nothing, by its code."""
    if matches(label, LESIONS) or nature is Nature.LESION:
        return Nature.LESION
    if matches(label, OTHERS) or nature is Nature.OTHER:
        return Nature.OTHER
    return Nature.UNTOLD
