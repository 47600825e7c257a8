"""UIDs that depend on content only, so that the same result always has the same name."""

import hashlib
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID

from node.domain.uid import derive_uid

PENDING_UID = derive_uid("pending")
"""Stands for the UIDs of an object until ``seal_uids`` gives it its own."""


def seal_uids(dataset: Dataset, *, kind: str) -> None:
    """Give a finished object the UIDs that its content asks for.

    Everything that a reader can see takes part: source UIDs, mask, findings, model, settings,
    software versions. So nothing can change under an old UID, not even after an update of a
    library, and nothing that stays the same gets a new one.

    Parameters
    ----------
    dataset : Dataset
        Complete object that was built with ``PENDING_UID`` for instance and series; changed
        in place.
    kind : str
        Keeps apart the UIDs of different kinds of object.
    """
    if "DimensionOrganizationSequence" in dataset:
        _set_dimension_organization(dataset, PENDING_UID)
    content = content_digest(dataset)
    instance_uid = derive_uid(kind, "instance", content)
    dataset.SOPInstanceUID = instance_uid
    dataset.SeriesInstanceUID = derive_uid(kind, "series", content)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance_uid)
    if "DimensionOrganizationSequence" in dataset:
        _set_dimension_organization(dataset, derive_uid(kind, "dimension", content))


def content_digest(dataset: Dataset) -> str:
    """SHA-256 over the data set as it would be written, without file meta information."""
    buffer = BytesIO()
    bare = Dataset(dataset)  # the same elements without file meta information
    dcmwrite(buffer, bare, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _set_dimension_organization(dataset: Dataset, uid: str) -> None:
    dataset.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for item in dataset.get("DimensionIndexSequence", ()):
        item.DimensionOrganizationUID = uid
