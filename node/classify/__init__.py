"""FeatureVector in, Finding out: the calibrated SVM of a bundle, and when it must abstain."""
