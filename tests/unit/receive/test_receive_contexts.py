"""What the listener offers in the negotiation."""

from pydicom.uid import UID

from node.assemble.validate import SOP_CLASSES
from node.receive.contexts import TRANSFER_SYNTAXES, accepted_contexts, storage_classes


def test_the_classes_of_a_ct_or_mr_department_are_there() -> None:
    classes = {UID(uid).keyword for uid in storage_classes()}
    assert {
        "CTImageStorage",
        "EnhancedCTImageStorage",
        "MRImageStorage",
        "EnhancedMRImageStorage",
        "SecondaryCaptureImageStorage",
        "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
        "SegmentationStorage",
        "ComprehensiveSRStorage",
        "Comprehensive3DSRStorage",
        "KeyObjectSelectionDocumentStorage",
        "GrayscaleSoftcopyPresentationStateStorage",
        "RTStructureSetStorage",
        "PositronEmissionTomographyImageStorage",
        "NuclearMedicineImageStorage",
        "UltrasoundImageStorage",
        "XRayAngiographicImageStorage",
        "EncapsulatedPDFStorage",
        "RawDataStorage",
        "MRSpectroscopyStorage",
    } <= classes
    assert "1.2.840.10008.5.1.4.1.1.66.7" in storage_classes(), "label map segmentation"


def test_each_class_is_offered_once_with_every_transfer_syntax() -> None:
    verification, *storage = accepted_contexts()
    assert verification.abstract_syntax == "1.2.840.10008.1.1"
    assert len({context.abstract_syntax for context in storage}) == len(storage)
    for context in storage:
        assert tuple(context.transfer_syntax) == TRANSFER_SYNTAXES


def test_uncompressed_comes_first() -> None:
    names = [UID(uid).is_compressed for uid in TRANSFER_SYNTAXES]
    assert names[:3] == [False, False, False]


def test_multi_frame_objects_are_taken_as_the_node_reads_them() -> None:
    assert set(storage_classes()) >= SOP_CLASSES
    assert {UID(uid).keyword for uid in SOP_CLASSES} == {
        "CTImageStorage",
        "EnhancedCTImageStorage",
        "LegacyConvertedEnhancedCTImageStorage",
        "MRImageStorage",
        "EnhancedMRImageStorage",
        "LegacyConvertedEnhancedMRImageStorage",
    }
