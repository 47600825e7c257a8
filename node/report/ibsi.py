"""Which PyRadiomics feature is which feature of the IBSI reference manual.

Only exact matches stand here. Left out on purpose: first-order kurtosis (PyRadiomics does not
subtract 3, IBSI IPH6 does), total energy, the 2D diameters, MCC, and everything that was
computed on a filtered image: the code would not say which filter.

References
----------
Zwanenburg et al., Image Biomarker Standardisation Initiative reference manual, arXiv:1612.07003;
PyRadiomics documentation, "Radiomic features".
"""

from types import MappingProxyType

_SHAPE = {
    "MeshVolume": ("RNU0", "Volume of Mesh"),
    "VoxelVolume": ("YEKZ", "Volume from Voxel Summation"),
    "SurfaceArea": ("C0JK", "Surface Area of Mesh"),
    "SurfaceVolumeRatio": ("2PR5", "Surface to Volume Ratio"),
    "Sphericity": ("QCFX", "Sphericity"),
    "Maximum3DDiameter": ("L0JK", "Maximum 3D Diameter of a Mesh"),
    "MajorAxisLength": ("TDIC", "Major Axis in 3D Length"),
    "MinorAxisLength": ("P9VJ", "Minor Axis in 3D Length"),
    "LeastAxisLength": ("7J51", "Least Axis in 3D Length"),
    "Elongation": ("Q3CK", "Elongation"),
    "Flatness": ("N17B", "Flatness"),
}
_FIRST_ORDER = {
    "Mean": ("Q4LE", "Mean Intensity"),
    "Variance": ("ECT3", "Intensity Variance"),
    "Skewness": ("KE2M", "Intensity Skewness"),
    "Median": ("Y12H", "Median Intensity"),
    "Minimum": ("1GSF", "Minimum Intensity"),
    "10Percentile": ("QG58", "10th Intensity Percentile"),
    "90Percentile": ("8DWT", "90th Intensity Percentile"),
    "Maximum": ("84IY", "Maximum Intensity"),
    "InterquartileRange": ("SALO", "Intensity Interquartile Range"),
    "Range": ("2OJQ", "Intensity Range"),
    "MeanAbsoluteDeviation": ("4FUA", "Intensity-based Mean Absolute Deviation"),
    "RobustMeanAbsoluteDeviation": ("1128", "Intensity-based Robust Mean Absolute Deviation"),
    "Energy": ("N8CA", "Intensity-based Energy"),
    "RootMeanSquared": ("5ZWQ", "Root Mean Square Intensity"),
    "Entropy": ("TLU2", "Intensity Histogram Entropy"),
    "Uniformity": ("BJ5W", "Intensity Histogram Uniformity"),
}
_GLCM = {
    "Autocorrelation": ("QWB0", "Autocorrelation of GLCM"),
    "JointAverage": ("60VM", "Joint Average of GLCM"),
    "ClusterProminence": ("AE86", "Cluster Prominence of GLCM"),
    "ClusterShade": ("7NFM", "Cluster Shade of GLCM"),
    "ClusterTendency": ("DG8W", "Cluster Tendency of GLCM"),
    "Contrast": ("ACUI", "Contrast of GLCM"),
    "Correlation": ("NI2N", "Correlation of GLCM"),
    "DifferenceAverage": ("TF7R", "Difference Average of GLCM"),
    "DifferenceEntropy": ("NTRS", "Difference Entropy of GLCM"),
    "DifferenceVariance": ("D3YU", "Difference Variance of GLCM"),
    "JointEnergy": ("8ZQL", "Angular Second Moment of GLCM"),
    "JointEntropy": ("TU9B", "Joint Entropy of GLCM"),
    "Imc1": ("R8DG", "First Measure of Information Correlation of GLCM"),
    "Imc2": ("JN9H", "Second Measure of Information Correlation of GLCM"),
    "Idm": ("WF0Z", "Inverse Difference Moment of GLCM"),
    "Idmn": ("1QCO", "Normalized Inverse Difference Moment of GLCM"),
    "Id": ("IB1Z", "Inverse Difference of GLCM"),
    "Idn": ("NDRX", "Normalized Inverse Difference of GLCM"),
    "InverseVariance": ("E8JP", "Inverse Variance of GLCM"),
    "MaximumProbability": ("GYBY", "Joint Maximum of GLCM"),
    "SumAverage": ("ZGXS", "Sum Average of GLCM"),
    "SumEntropy": ("P6QZ", "Sum Entropy of GLCM"),
    "SumSquares": ("UR99", "Joint Variance of GLCM"),
}
_GLRLM = {
    "ShortRunEmphasis": ("22OV", "Short Runs Emphasis"),
    "LongRunEmphasis": ("W4KF", "Long Runs Emphasis"),
    "GrayLevelNonUniformity": ("R5YN", "Gray Level Nonuniformity in Runs"),
    "GrayLevelNonUniformityNormalized": ("OVBL", "Normalized Gray Level Nonuniformity in Runs"),
    "RunLengthNonUniformity": ("W92Y", "Run Length Nonuniformity"),
    "RunLengthNonUniformityNormalized": ("IC23", "Normalized Run Length Nonuniformity"),
    "RunPercentage": ("9ZK5", "Run Percentage"),
    "GrayLevelVariance": ("8CE5", "Gray Level Variance in Runs"),
    "RunVariance": ("SXLW", "Run Length Variance"),
    "RunEntropy": ("HJ9O", "Run Entropy"),
    "LowGrayLevelRunEmphasis": ("V3SW", "Low Gray Level Run Emphasis"),
    "HighGrayLevelRunEmphasis": ("G3QZ", "High Gray Level Run Emphasis"),
    "ShortRunLowGrayLevelEmphasis": ("HTZT", "Short Run Low Gray Level Emphasis"),
    "ShortRunHighGrayLevelEmphasis": ("GD3A", "Short Run High Gray Level Emphasis"),
    "LongRunLowGrayLevelEmphasis": ("IVPO", "Long Run Low Gray Level Emphasis"),
    "LongRunHighGrayLevelEmphasis": ("3KUM", "Long Run High Gray Level Emphasis"),
}
_GLSZM = {
    "SmallAreaEmphasis": ("5QRC", "Small Zone Emphasis"),
    "LargeAreaEmphasis": ("48P8", "Large Zone Emphasis"),
    "GrayLevelNonUniformity": ("JNSA", "Gray Level Nonuniformity of Size Zone Counts"),
    "GrayLevelNonUniformityNormalized": (
        "Y1RO",
        "Normalized Gray Level Nonuniformity of Size Zone Counts",
    ),
    "SizeZoneNonUniformity": ("4JP3", "Zone Size Nonuniformity"),
    "SizeZoneNonUniformityNormalized": ("VB3A", "Normalized Zone Size Nonuniformity"),
    "ZonePercentage": ("P30P", "Size Zone Percentage"),
    "GrayLevelVariance": ("BYLV", "Gray Level Variance in Size Zones"),
    "ZoneVariance": ("3NSA", "Zone Size Variance"),
    "ZoneEntropy": ("GU8N", "Zone Size Entropy"),
    "LowGrayLevelZoneEmphasis": ("XMSY", "Low Gray Level Zone Emphasis"),
    "HighGrayLevelZoneEmphasis": ("5GN9", "High Gray Level Zone Emphasis"),
    "SmallAreaLowGrayLevelEmphasis": ("5RAI", "Small Zone Low Gray Level Emphasis"),
    "SmallAreaHighGrayLevelEmphasis": ("HW1V", "Small Zone High Gray Level Emphasis"),
    "LargeAreaLowGrayLevelEmphasis": ("YH51", "Large Zone Low Gray Level Emphasis"),
    "LargeAreaHighGrayLevelEmphasis": ("J17V", "Large Zone High Gray Level Emphasis"),
}
_GLDM = {
    "SmallDependenceEmphasis": ("SODN", "Low dependence emphasis"),
    "LargeDependenceEmphasis": ("IMOQ", "High dependence emphasis"),
    "GrayLevelNonUniformity": ("FP8K", "Grey level non-uniformity of NGLDM"),
    "DependenceNonUniformity": ("Z87G", "Dependence count non-uniformity"),
    "DependenceNonUniformityNormalized": (
        "OKJI",
        "Dependence count non-uniformity normalized",
    ),
    "GrayLevelVariance": ("1PFV", "Grey level variance of NGLDM"),
    "DependenceVariance": ("DNX2", "Dependence count variance"),
    "DependenceEntropy": ("FCBV", "Dependence count entropy"),
    "LowGrayLevelEmphasis": ("TL9H", "Low grey level count emphasis"),
    "HighGrayLevelEmphasis": ("OAE7", "High grey level count emphasis"),
    "SmallDependenceLowGrayLevelEmphasis": ("EQ3F", "Low dependence low grey level emphasis"),
    "SmallDependenceHighGrayLevelEmphasis": ("JA6D", "Low dependence high grey level emphasis"),
    "LargeDependenceLowGrayLevelEmphasis": ("NBZI", "High dependence low grey level emphasis"),
    "LargeDependenceHighGrayLevelEmphasis": ("9QMG", "High dependence high grey level emphasis"),
}
_NGTDM = {
    "Coarseness": ("QCDE", "Coarseness of NGTDM"),
    "Contrast": ("65HE", "Contrast of NGTDM"),
    "Busyness": ("NQ30", "Busyness of NGTDM"),
    "Complexity": ("HDEZ", "Complexity of NGTDM"),
    "Strength": ("1X9X", "Strength of NGTDM"),
}

IBSI_OF_FEATURE = MappingProxyType(
    {
        f"original_{family}_{name}": code
        for family, members in {
            "shape": _SHAPE,
            "firstorder": _FIRST_ORDER,
            "glcm": _GLCM,
            "glrlm": _GLRLM,
            "glszm": _GLSZM,
            "gldm": _GLDM,
            "ngtdm": _NGTDM,
        }.items()
        for name, code in members.items()
    }
)
"""PyRadiomics name -> IBSI code value and meaning."""
