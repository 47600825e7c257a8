"""To which objects an object refers, wherever in it that stands."""

from collections.abc import Iterator

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

REFERENCED_SOP_INSTANCE_UID = Tag("ReferencedSOPInstanceUID")


def references_of(dataset: Dataset) -> frozenset[str]:
    """Return the SOP Instance UIDs that an object refers to, at any depth.

    Only sequences are looked into: contours and other long values stay as they were read.
    """
    return frozenset(_walk(dataset))


def _walk(dataset: Dataset) -> Iterator[str]:
    for tag in dataset.keys():  # noqa: SIM118 - a Dataset iterates over its elements, and decodes them
        if tag == REFERENCED_SOP_INSTANCE_UID:
            yield str(dataset[tag].value or "")
        elif _is_sequence(dataset, tag):
            for item in dataset[tag].value or ():
                yield from _walk(item)


def _is_sequence(dataset: Dataset, tag: BaseTag) -> bool:
    vr = getattr(dataset.get_item(tag), "VR", None)
    if vr is None:  # implicit VR
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            return False
    return str(vr) == "SQ"
