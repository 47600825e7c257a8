"""Secondary Capture: the lesions as a picture, for archives that take neither SEG nor RTSTRUCT.

References
----------
PS3.3 A.8.1 (Secondary Capture Image IOD), C.8.6.1 (SC Equipment), C.8.6.2 (SC Image).
"""

import copy

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from node.report.provenance import RESEARCH_NOTICE
from node.report.stand_in import begin_stand_in, key_sources
from node.report.uids import seal_uids

FROM_IMAGE = ("121322", "DCM", "Source image for image processing operation")


def build_secondary_capture(picture: NDArray[np.uint8], seg: Dataset) -> Dataset:
    """Wrap the picture of a report.

    Parameters
    ----------
    picture : ndarray of uint8, shape (rows, columns, 3)
        RGB, with the banner burned in; no patient text.
    seg : Dataset
        Segmentation that the picture shows.
    """
    made = begin_stand_in(seg, kind="sc", sop_class_uid=SecondaryCaptureImageStorage, modality="OT")
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.ConversionType = "WSD"
    made.SecondaryCaptureDeviceManufacturer = made.get("Manufacturer") or ""
    made.SecondaryCaptureDeviceManufacturerModelName = made.get("ManufacturerModelName") or ""
    made.BurnedInAnnotation = "YES"
    made.LossyImageCompression = "00"
    made.DerivationDescription = f"AI segmentation drawn on the images, {RESEARCH_NOTICE}"
    made.ImageComments = f"AI - {RESEARCH_NOTICE}"
    made.PatientOrientation = ""
    for keyword in ("BodyPartExamined", "Laterality"):
        if seg.get(keyword):
            made[keyword] = copy.deepcopy(seg[keyword])
    shown = []
    for source in key_sources(seg):
        item = source.to_item()
        purpose = Dataset()
        purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = FROM_IMAGE
        item.PurposeOfReferenceCodeSequence = [purpose]
        shown.append(item)
    if shown:  # of an empty SEG no image is a key, and no sequence of type 3 is empty
        made.SourceImageSequence = shown
    made.SamplesPerPixel = 3
    made.PhotometricInterpretation = "RGB"
    made.PlanarConfiguration = 0
    made.Rows, made.Columns = picture.shape[:2]
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.PixelRepresentation = 0
    made.PixelData = np.ascontiguousarray(picture).tobytes()
    seal_uids(made, kind="sc")
    return made
