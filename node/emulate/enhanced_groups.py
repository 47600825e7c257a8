"""What stands in Enhanced CT and MR objects beside what classic slices tell.

Values are plain, or functions of the header of a classic slice.

References
----------
PS3.3 C.8.13 (Enhanced MR), C.8.15 (Enhanced CT): modules and functional group macros.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydicom.dataset import Dataset

Table = Mapping[str, Any]

_BRAIN = {"CodeValue": "12738006", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Brain"}
_CHEST = {"CodeValue": "51185008", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Chest"}


def build(table: Table, header: Dataset) -> Dataset:
    """Make a data set of a table: a mapping is a sequence of one item."""
    built = Dataset()
    for keyword, given in table.items():
        value = given(header) if callable(given) else given
        if value is None:
            continue
        setattr(built, keyword, [build(value, header)] if isinstance(value, Mapping) else value)
    return built


def _number(keyword: str, missing: float) -> Any:
    return lambda header: float(header.get(keyword) or missing)


def _region(header: Dataset) -> Table:
    return _CHEST if header.get("BodyPartExamined") == "CHEST" else _BRAIN


_ANATOMY: Table = {"AnatomicRegionSequence": _region, "FrameLaterality": "U"}

_OBJECT: Table = {
    "LossyImageCompression": "00",
    "BurnedInAnnotation": "NO",
    "PresentationLUTShape": "IDENTITY",
    "ContentQualification": "RESEARCH",
    "AcquisitionNumber": 1,
    "AcquisitionDuration": 60.0,
    "AcquisitionContextSequence": [],
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "RecognizableVisualFeatures": "YES",
}

MR_OBJECT: Table = MappingProxyType(
    {
        **_OBJECT,
        "ImageType": ["ORIGINAL", "PRIMARY", "T1", "NONE"],
        "ComplexImageComponent": "MAGNITUDE",
        "AcquisitionContrast": "T1",
        "ApplicableSafetyStandardAgency": "IEC",
        "MagneticFieldStrength": _number("MagneticFieldStrength", 1.5),
        "ResonantNucleus": "1H",
        "KSpaceFiltering": "NONE",
        "PulseSequenceName": "SE",
        "MRAcquisitionType": lambda header: header.get("MRAcquisitionType", "2D"),
        "EchoPulseSequence": "SPIN",
        "MultipleSpinEcho": "NO",
        "MultiPlanarExcitation": "NO",
        "PhaseContrast": "NO",
        "TimeOfFlightContrast": "NO",
        "ArterialSpinLabelingContrast": None,
        "SteadyStatePulseSequence": "NONE",
        "EchoPlanarPulseSequence": "NO",
        "SaturationRecovery": "NO",
        "SpectrallySelectedSuppression": "NONE",
        "OversamplingPhase": "NONE",
        "GeometryOfKSpaceTraversal": "RECTILINEAR",
        "SegmentedKSpaceTraversal": "SINGLE",
        "RectilinearPhaseEncodeReordering": "LINEAR",
        "NumberOfKSpaceTrajectories": 1,
        "CoverageOfKSpace": None,
        "ContrastBolusAgentSequence": lambda header: (
            {
                "CodeValue": "424734001",
                "CodingSchemeDesignator": "SCT",
                "CodeMeaning": "Gadolinium compound",
                "ContrastBolusAgentNumber": 1,
                "ContrastBolusAdministrationRouteSequence": {
                    "CodeValue": "47625008",
                    "CodingSchemeDesignator": "SCT",
                    "CodeMeaning": "Intravenous route",
                },
                "ContrastBolusIngredientCodeSequence": {
                    "CodeValue": "16092006",
                    "CodingSchemeDesignator": "SCT",
                    "CodeMeaning": "Gadolinium",
                },
                "ContrastBolusVolume": 10.0,
                "ContrastBolusIngredientConcentration": 1.0,
                "ContrastBolusIngredientOpaque": "NO",
            }
            if header.get("ContrastBolusAgent")
            else None
        ),
    }
)

_MR_FRAME_TYPE: Table = {
    "FrameType": ["ORIGINAL", "PRIMARY", "T1", "NONE"],
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "ComplexImageComponent": "MAGNITUDE",
    "AcquisitionContrast": "T1",
}

MR_FRAME: Table = MappingProxyType(
    {
        "FrameAnatomySequence": _ANATOMY,
        "MRImageFrameTypeSequence": _MR_FRAME_TYPE,
        "MRTimingAndRelatedParametersSequence": {
            "RepetitionTime": lambda header: header.get("RepetitionTime", "500"),
            "FlipAngle": lambda header: header.get("FlipAngle", "90"),
            "EchoTrainLength": 1,
            "RFEchoTrainLength": 1,
            "GradientEchoTrainLength": 0,
            "GradientOutputType": "DB_DT",
            "GradientOutput": 10.0,
            "OperatingModeSequence": {
                "OperatingModeType": "GRADIENT",
                "OperatingMode": "IEC_NORMAL",
            },
            "SpecificAbsorptionRateSequence": {
                "SpecificAbsorptionRateDefinition": "IEC_WHOLE_BODY",
                "SpecificAbsorptionRateValue": 0.5,
            },
        },
        "MRFOVGeometrySequence": {
            "InPlanePhaseEncodingDirection": "ROW",
            "MRAcquisitionFrequencyEncodingSteps": lambda header: int(header.Columns),
            "MRAcquisitionPhaseEncodingStepsInPlane": lambda header: int(header.Rows),
            "MRAcquisitionPhaseEncodingStepsOutOfPlane": None,
            "PercentSampling": "100",
            "PercentPhaseFieldOfView": "100",
        },
        "MREchoSequence": {"EffectiveEchoTime": _number("EchoTime", 10)},
        "MRModifierSequence": {
            "InversionRecovery": "NO",
            "FlowCompensation": "NONE",
            "Spoiling": "NONE",
            "T2Preparation": "NO",
            "SpectrallySelectedExcitation": "NONE",
            "SpatialPresaturation": "NONE",
            "PartialFourier": "NO",
            "ParallelAcquisition": "NO",
        },
        "MRImagingModifierSequence": {
            "MagnetizationTransfer": "NONE",
            "BloodSignalNulling": "NO",
            "Tagging": "NONE",
            "TransmitterFrequency": 63.9,
            "PixelBandwidth": "100",
        },
        "MRReceiveCoilSequence": {
            "ReceiveCoilName": "HEAD",
            "ReceiveCoilManufacturerName": "",
            "ReceiveCoilType": "VOLUME",
            "QuadratureReceiveCoil": "YES",
        },
        "MRTransmitCoilSequence": {
            "TransmitCoilName": "BODY",
            "TransmitCoilManufacturerName": "",
            "TransmitCoilType": "BODY",
        },
        "MRAveragesSequence": {"NumberOfAverages": "1"},
        "ContrastBolusUsageSequence": lambda header: (
            {
                "ContrastBolusAgentNumber": 1,
                "ContrastBolusAgentAdministered": "YES",
                "ContrastBolusAgentDetected": "YES",
            }
            if header.get("ContrastBolusAgent")
            else None
        ),
    }
)

CT_OBJECT: Table = MappingProxyType(
    {
        **_OBJECT,
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        "MultienergyCTAcquisition": "NO",
    }
)

CT_FRAME: Table = MappingProxyType(
    {
        "FrameAnatomySequence": _ANATOMY,
        "IrradiationEventIdentificationSequence": {
            "IrradiationEventUID": lambda header: header.SeriesInstanceUID + ".1"
        },
        "CTImageFrameTypeSequence": {
            "FrameType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
            "PixelPresentation": "MONOCHROME",
            "VolumetricProperties": "VOLUME",
            "VolumeBasedCalculationTechnique": "NONE",
        },
        "CTAcquisitionTypeSequence": {
            "AcquisitionType": "SPIRAL",
            "TubeAngle": None,
            "ConstantVolumeFlag": "NO",
            "FluoroscopyFlag": "NO",
        },
        "CTAcquisitionDetailsSequence": {
            "RotationDirection": "CW",
            "RevolutionTime": 0.5,
            "SingleCollimationWidth": 0.625,
            "TotalCollimationWidth": 40.0,
            "TableHeight": 150.0,
            "GantryDetectorTilt": 0.0,
            "DataCollectionDiameter": 500.0,
        },
        "CTTableDynamicsSequence": {
            "TableSpeed": 80.0,
            "TableFeedPerRotation": 40.0,
            "SpiralPitchFactor": 1.0,
        },
        "CTPositionSequence": {
            "TablePosition": 0.0,
            "DataCollectionCenterPatient": [0.0, 0.0, 0.0],
            "ReconstructionTargetCenterPatient": [0.0, 0.0, 0.0],
        },
        "CTGeometrySequence": {
            "DistanceSourceToDetector": 950.0,
            "DistanceSourceToDataCollectionCenter": 540.0,
        },
        "CTReconstructionSequence": {
            "ReconstructionAlgorithm": "FILTER_BACK_PROJ",
            "ConvolutionKernel": lambda header: header.get("ConvolutionKernel", "STANDARD"),
            "ConvolutionKernelGroup": "SOFT_TISSUE",
            "ReconstructionDiameter": 350.0,
            "ReconstructionPixelSpacing": lambda header: [*map(float, header.PixelSpacing)],
            "ReconstructionAngle": 360.0,
            "ImageFilter": "NONE",
        },
        "CTExposureSequence": {
            "ExposureTimeInms": 500.0,
            "XRayTubeCurrentInmA": 200.0,
            "ExposureInmAs": 100.0,
            "ExposureModulationType": "NONE",
            "CTDIvol": 5.0,
            "CTDIPhantomTypeCodeSequence": {
                "CodeValue": "113691",
                "CodingSchemeDesignator": "DCM",
                "CodeMeaning": "IEC Body Dosimetry Phantom",
            },
        },
        "CTXRayDetailsSequence": {
            "KVP": lambda header: header.get("KVP", "120"),
            "FocalSpots": [1.0],
            "FilterType": "FLAT",
            "FilterMaterial": "ALUMINUM",
        },
    }
)

DERIVED_FRAME: Mapping[str, Table] = MappingProxyType(
    {
        "MREchoSequence": {"MREchoSequence": {"EffectiveEchoTime": 10.0}},
        "MRDiffusionSequence": {
            "MRDiffusionSequence": {
                "DiffusionBValue": 0.0,
                "DiffusionDirectionality": lambda _header: "ISOTROPIC",
            }
        },
        "CardiacSynchronizationSequence": {
            "CardiacSynchronizationSequence": {
                "NominalPercentageOfCardiacPhase": 0.0,
                "NominalCardiacTriggerDelayTime": 0.0,
                "RRIntervalTimeNominal": 800.0,
            }
        },
    }
)
"""Functional groups of single frames that a split writes its values into."""
