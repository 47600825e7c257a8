"""What the functional groups of Enhanced CT and MR objects say, under the names of classic ones.

References
----------
PS3.3 C.7.6.16 (functional groups), C.8.13.5 (MR macros), C.8.15.3 (CT macros);
PS3.16 annex L (anatomic regions and Body Part Examined).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node.dicom.text import as_text

SHARED = "SharedFunctionalGroupsSequence"
PER_FRAME = "PerFrameFunctionalGroupsSequence"

IN_GROUPS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
        "ConvolutionKernel": ("CTReconstructionSequence", "ConvolutionKernel"),
        "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
        "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
        "FlipAngle": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
        "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
        "InversionTime": ("MRModifierSequence", "InversionTimes"),
        "KVP": ("CTXRayDetailsSequence", "KVP"),
        "Laterality": ("FrameAnatomySequence", "FrameLaterality"),
        "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
        "RepetitionTime": ("MRTimingAndRelatedParametersSequence", "RepetitionTime"),
        "SliceThickness": ("PixelMeasuresSequence", "SliceThickness"),
        "SpacingBetweenSlices": ("PixelMeasuresSequence", "SpacingBetweenSlices"),
        "StackID": ("FrameContentSequence", "StackID"),
        "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
        "TriggerTime": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    }
)
"""Classic keyword -> functional group and the attribute in it."""

_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence")

_BODY_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "12738006": "BRAIN",
        "69536005": "HEAD",
        "774007": "HEADNECK",
        "45048000": "NECK",
        "51185008": "CHEST",
        "39607008": "LUNG",
        "76752008": "BREAST",
        "818981001": "ABDOMEN",
        "113345001": "ABDOMEN",
        "10200004": "LIVER",
        "64033007": "KIDNEY",
        "15776009": "PANCREAS",
        "818982008": "ABDOMENPELVIS",
        "816092008": "PELVIS",
        "12921003": "PELVIS",
        "41216001": "PROSTATE",
        "416775004": "CHESTABDPELVIS",
        "421060004": "SPINE",
    }
)
"""SNOMED CT code of an anatomic region -> Body Part Examined, for what bundles are made for."""


def group_of(dataset: Dataset, frame: int, sequence: str) -> Dataset:
    """Return the item of a functional group of a frame (from 0), its own or the shared one.

    Returns
    -------
    Dataset
        Empty where the object has no such group.
    """
    own = dataset.get(PER_FRAME) or ()
    shared = dataset.get(SHARED) or ()
    for groups in (*own[frame : frame + 1], *shared[:1]):
        items = groups.get(sequence)
        if items:
            item: Dataset = items[0]
            return item
    return Dataset()


def value_of(dataset: Dataset, frame: int, keyword: str) -> Any:
    """Return what an Enhanced object says of a frame (from 0), by the keyword of classic objects.

    Returns
    -------
    Any
        None where it says nothing.
    """
    if keyword == "ImageType":
        types = (group_of(dataset, frame, sequence).get("FrameType") for sequence in _FRAME_TYPES)
        return next((found for found in types if found), None)
    sequence, name = IN_GROUPS[keyword]
    value = group_of(dataset, frame, sequence).get(name)
    if keyword == "InversionTime" and isinstance(value, MultiValue | list):
        return value[0] if value else None
    return value


def attributes_of_groups(dataset: Dataset) -> dict[str, str]:
    """Return what an Enhanced object says of its first frame, as texts under classic keywords."""
    if not dataset.get(PER_FRAME):
        return {}
    found = {keyword: value_of(dataset, 0, keyword) for keyword in IN_GROUPS}
    found["ScanningSequence"] = _scanning_sequence(dataset)
    found["ContrastBolusAgent"] = _contrast_agent(dataset)
    found["BodyPartExamined"] = _body_part(dataset)
    if found.get("Laterality") not in ("L", "R"):
        found["Laterality"] = None  # U and B are not of the classic attribute
    return {keyword: as_text(value) for keyword, value in found.items() if value not in (None, "")}


def _scanning_sequence(dataset: Dataset) -> list[str]:
    """Echo Pulse Sequence, Inversion Recovery and Echo Planar as classic Scanning Sequence."""
    echo = str(dataset.get("EchoPulseSequence") or "")
    names = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}.get(echo, [])
    if group_of(dataset, 0, "MRModifierSequence").get("InversionRecovery") == "YES":
        names = [*names, "IR"]
    if dataset.get("EchoPlanarPulseSequence") == "YES":
        names = [*names, "EP"]
    return names or [""]


def _contrast_agent(dataset: Dataset) -> str:
    """Name of the agent, unless the frame says that none was given."""
    usage = group_of(dataset, 0, "ContrastBolusUsageSequence")
    if usage.get("ContrastBolusAgentAdministered") == "NO":
        return ""
    agents = dataset.get("ContrastBolusAgentSequence") or ()
    return " ".join(str(agent.get("CodeMeaning") or "unnamed agent") for agent in agents[:1])


def _body_part(dataset: Dataset) -> str:
    anatomy = group_of(dataset, 0, "FrameAnatomySequence")
    regions = anatomy.get("AnatomicRegionSequence") or dataset.get("AnatomicRegionSequence") or ()
    codes = (str(region.get("CodeValue") or "") for region in regions)
    return next((_BODY_PARTS[code] for code in codes if code in _BODY_PARTS), "")
