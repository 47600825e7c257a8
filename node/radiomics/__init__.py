"""Volume and Lesion in, FeatureVector out, by PyRadiomics."""
